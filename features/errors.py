"""The errors that a user can act on, and nothing else.

UserError                 something the user can mend; the message says what was found, expected and to do
├── BadInput              a file, a row, an option or a definition that breaks its contract
├── NotReady              something that has to come first is missing: no log, no model, no scores
├── Busy                  another process is doing the same work on the same data
└── Damaged               stored data that fails its own checks: a bundle, a log, a store
"""


class UserError(Exception):
    """Something that the user can mend; the message says what was found, what was expected and what to do."""


class BadInput(UserError):
    """A file, a row, an option or a definition that breaks its contract."""


class NotReady(UserError):
    """Something that has to come first is missing, for example a log, a model or a score run."""


class Busy(UserError):
    """Another process is doing the same work on the same data."""


class Damaged(UserError):
    """Stored data that fails its own checks, for example a model bundle with a wrong checksum."""
