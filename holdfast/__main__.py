"""The door: runs a command, and turns whatever goes wrong into one line and an exit code."""

import os
import sys
from collections.abc import Sequence

# Set before any library reads them: threads that wait politely, and a registry that never unpickles.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("MLFLOW_ALLOW_PICKLE_DESERIALIZATION", "false")
os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run `holdfast` with the arguments of the command line and exit with its code."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    try:
        from holdfast.failures import run  # noqa: PLC0415 after the environment is set
    except ImportError as error:
        sys.exit(_why_nothing_imports(error))
    sys.exit(run(given))


def _why_nothing_imports(error: ImportError) -> str:
    from holdfast import shadows  # noqa: PLC0415 only when the imports above have failed

    hidden = shadows.hidden()
    if not hidden:
        raise error
    return "\n".join(["error: another package hides one of Holdfast's.", *hidden, shadows.ADVICE])


if __name__ == "__main__":
    main()
