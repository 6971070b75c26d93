"""What `holdfast define` found, in words for people and as a document for machines."""

from holdfast.define_steps import Defined
from training.candidates import name_of


def defined_text(done: Defined) -> str:
    """The report, the files, and what to do next."""
    return "\n\n".join([done.says, *([_files(done)] if done.files else []), _next(done)])


def defined_document(done: Defined) -> dict[str, object]:
    """The same for machines."""
    return {
        **done.to_json(),
        "log_version": done.log_version,
        "files": list(done.files),
        "written": done.written,
    }


def defined_code(done: Defined) -> int:
    """1 where the log carries no definition, else 0."""
    return int(done.found is not None and done.recommended is None)


def _files(done: Defined) -> str:
    return f"Wrote {', '.join(path.name for path in done.files)} to {done.files[0].parent}."


def _next(done: Defined) -> str:
    if done.found is None:
        return "An event decides, so days of silence recommend nothing. Next: holdfast train"
    chosen = done.recommended
    if chosen is None:
        return "Nothing was written: there is no definition to write."
    if done.written is not None:
        return (
            f"Wrote look-back and horizon {name_of(chosen)} to [{done.section}] of {done.written}. Next: holdfast train"
        )
    if chosen == done.found.in_force:
        return "The recommended definition is the one in force. Next: holdfast train"
    return "To take it: holdfast define --write"
