"""The kinds of event that are ours: they begin with a sign that no kind of a user's may begin with."""

PROFILE = "$profile"  # what is known about a user from a moment on


def is_reserved(kind: str) -> bool:
    """Whether a kind is one of ours and not something that users do.

    >>> is_reserved(PROFILE), is_reserved("purchase")
    (True, False)
    """
    return kind.startswith("$")
