"""Whether something else called `features`, `models`, `serving` or `training` stands in front of ours.

Uses the standard library only: when a shadow is there, nothing of ours can be imported.
"""

import importlib.util
from importlib.metadata import packages_distributions
from pathlib import Path

OURS = ("features", "models", "training", "serving")


def hidden(home: Path | None = None) -> list[str]:
    """A sentence for each of our packages that Python finds elsewhere, so that ours cannot be imported."""
    root = home or Path(__file__).resolve().parent.parent
    sentences = []
    for name in OURS:
        found = importlib.util.find_spec(name)
        places = [found.origin, *(found.submodule_search_locations or [])] if found else []
        if not any(place and Path(place).resolve().is_relative_to(root / name) for place in places):
            where = next((place for place in places if place), "nowhere")
            sentences.append(f"Python finds {name!r} at {where}, expected it in {root}.")
    return sentences


def installed_beside() -> list[str]:
    """A sentence for each other installed distribution that brings a package of one of our names."""
    owners = packages_distributions()
    return [
        f"the installed package {owner!r} also brings a {name!r}."
        for name in OURS
        for owner in sorted(set(owners.get(name, [])) - {"holdfast"})
    ]


def folders_in(folder: Path, home: Path | None = None) -> list[str]:
    """A sentence for each folder or file here that `python -m` would take for one of our packages."""
    root = home or Path(__file__).resolve().parent.parent
    if folder.resolve() == root:
        return []
    return [
        f"{folder / found} would be taken for Holdfast's own {name!r} by `python -m holdfast`."
        for name in OURS
        for found in (name, f"{name}.py")
        if (folder / found).exists()
    ]


ADVICE = "Run `holdfast`, not `python -m holdfast`, from another folder, in an environment made by `make setup`."
