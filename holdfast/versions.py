"""Which code this is, so that a model can say what made it."""

import subprocess
from pathlib import Path

from holdfast import __version__


def code_version() -> str:
    """The version, and the commit where the code is a git working copy: `0.1.0+1a2b3c4d`, `-changed` if it was."""
    home = Path(__file__).resolve().parent.parent
    try:
        if _git(home, "rev-parse", "--show-toplevel") != str(home):
            return __version__
        changed = "-changed" if _git(home, "status", "--porcelain", "--untracked-files=no") else ""
        return f"{__version__}+{_git(home, 'rev-parse', '--short=8', 'HEAD')}{changed}"
    except (OSError, subprocess.SubprocessError):
        return __version__  # no git, or no commit


def _git(home: Path, *arguments: str) -> str:
    ran = subprocess.run(  # noqa: S603 our own arguments, no shell
        ["git", "-C", str(home), *arguments],  # noqa: S607 the user's git
        capture_output=True,
        text=True,
        timeout=10,
        check=True,
    )
    return ran.stdout.strip()
