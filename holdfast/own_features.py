"""A feature set of the user's own, from a Python file."""

import importlib.util
import traceback
from pathlib import Path
from types import ModuleType

from features.errors import BadInput
from features.language import FeatureSet

NAME = "FEATURES"


def load(file: Path) -> FeatureSet:
    """The feature set that the file names `FEATURES`, or the only one in it; runs the file.

    Raises `BadInput` when there is no such file, when it fails, and when it holds none or several.
    """
    if not file.is_file():
        raise BadInput(f"{file}: there is no such file; expected a Python file with a feature set.")
    module = _run(file)
    named = getattr(module, NAME, None)
    found = [thing for thing in vars(module).values() if isinstance(thing, FeatureSet)]
    if isinstance(named, FeatureSet):
        return named
    if len(found) != 1:
        raise BadInput(
            f"{file}: found {len(found)} feature sets; expected one, or one called {NAME}, "
            f"for example {NAME} = feature_set(days_since_last_event=events().days_since_last())."
        )
    return found[0]


def _run(file: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location("own_features_of_user", file)
    if spec is None or spec.loader is None:
        raise BadInput(f"{file}: expected a Python file, its name ending in .py.")
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        line = next(
            (
                frame.lineno
                for frame in reversed(traceback.extract_tb(error.__traceback__))
                if frame.filename == str(file.absolute())
            ),
            None,
        )
        where = f" line {line}" if line else ""
        raise BadInput(f"{file}{where}: {type(error).__name__}: {error}") from error
    return module
