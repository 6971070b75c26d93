"""What a command said, and with which exit code."""

import contextlib
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from holdfast.failures import run


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:  # Any: JSON
        return json.loads(self.out)


def here(*arguments: str, folder: Path) -> Said:
    """A command run to its end in this process, which has paid for its imports."""
    out, err, environment = io.StringIO(), io.StringIO(), dict(os.environ)
    with contextlib.chdir(folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run(list(arguments))
    os.environ.pop("MLFLOW_TRACKING_URI", None)  # MLflow leaves its address behind for child processes
    os.environ.update(environment)
    return Said(code, out.getvalue(), err.getvalue())
