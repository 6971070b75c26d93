"""A trained model on disk: a folder of text and JSON that is checked, tried in a child process, and only then loaded.

    sums.json         the format's version and the SHA-256 of every other file; checked before anything is parsed
    booster-0.txt …   LightGBM's text format
    model.json        splines, weights, calibration, parameters, order of the features
    features.json     the feature set with its fingerprint
    definition.json   what churn means
    facts.json        when and on what it was trained, and how good it is
    fifths.json       where the fifths of the newest population of the training end; null where no feature asks
    hazard.json       intervals and baseline of the risk curve, and hazard.txt its trees; only where one was learnt
    golden.json       rows with the margins and probabilities that the model gave them
    card.md           the same for people

There is no pickle in it: loading a bundle runs no code of the bundle's.
"""

import hashlib
import json
import os
import shutil
import tempfile
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from features.errors import BadInput, Damaged, NotReady
from features.feature_set import FeatureSet
from features.fifths import DatedFifths
from models.blend import Blend, Floats
from models.definition import ChurnDefinition
from models.finite import infinite
from models.hazard import HazardModel
from models.judgement import Judgement
from models.trial import HAZARD, HAZARD_TREES, golden_rows
from models.trying import ADVICE, Trying

if TYPE_CHECKING:
    import pandas as pd

    from models.model import ChurnModel

FORMAT = 4  # 4: boosters of half the horizon among the facts of the fit
_SUMS = "sums.json"
_GOLDEN_ROWS = 200  # enough to visit most leaves of small trees; a few milliseconds to reproduce


@dataclass(frozen=True)
class Bundle:
    """A model and all it takes to use it: its features, its definition of churn, and the facts of its training."""

    blend: Blend  # all it takes to score
    described: dict[str, Any]  # Any: JSON; the model as `ChurnModel.to_json` has it
    features: FeatureSet
    definition: ChurnDefinition
    facts: dict[str, Any]  # Any: JSON
    fifths: DatedFifths | None = None  # without them a user alone has no place in the population: it is missing
    hazard: HazardModel | None = None  # for the risk by day; most bundles have none

    @classmethod
    def of(
        cls,
        model: "ChurnModel",
        features: FeatureSet,
        definition: ChurnDefinition,
        facts: dict[str, Any],  # Any: JSON
        fifths: DatedFifths | None = None,
        hazard: HazardModel | None = None,
    ) -> Self:
        """That of a fitted model."""
        return cls(model.blend_, model.to_json(), features, definition, facts, fifths, hazard)

    def with_model(self, model: "ChurnModel") -> "Bundle":
        """The same with another fitted model."""
        return replace(self, blend=model.blend_, described=model.to_json())

    @cached_property
    def model(self) -> "ChurnModel":
        """The model as data scientists use it: an estimator of scikit-learn, which takes a second to import."""
        from models.model import ChurnModel  # noqa: PLC0415 - as the docstring says

        return ChurnModel.from_json(self.described, self.blend.booster_texts)

    @property
    def threads(self) -> int:
        """How many may work on a batch."""
        return int(self.described["parameters"]["n_threads"])

    def judge(self, matrix: Floats) -> Judgement:
        """Margins and contributions of rows in the order of the features; raises `BadInput` for an infinite value."""
        said = infinite(matrix, self.features.names)
        if said:
            raise BadInput(said)
        return self.blend.judge(matrix, threads=self.threads)

    @property
    def as_known(self) -> bool:
        """Whether its features read only what had been received before a cutoff: as in training, so in scoring."""
        return bool(self.facts.get("as_known", False))


def save(bundle: Bundle, folder: Path, *, golden: "pd.DataFrame") -> None:
    """Writes the bundle; the folder appears complete or not at all.

    `golden` holds feature rows, of which up to 200 are kept to recognise the model by: take them from all over.
    Raises `BadInput` when the folder exists or the model's features are not those of the feature set.
    """
    if folder.exists():
        raise BadInput(f"{folder} exists already; a bundle is written once. Choose a new folder.")
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        _write(_files(bundle, golden), draft)
        draft.chmod(0o755)
        draft.rename(folder)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
    _sync(folder.parent)


def load(folder: Path, trying: Trying | None = None) -> Bundle:
    """The bundle in the folder, after its sums and its golden rows were found right.

    `trying` is its trial where that is under way already. Raises `NotReady` when there is no bundle, `Damaged` when a
    file is missing, changed or not understood.
    """
    with trying or Trying.start(folder) as trial:
        files = _verified(folder)
        trial.check()
    try:
        return _parsed(files)
    except (KeyError, TypeError, ValueError, BadInput) as error:
        raise Damaged(f"the model bundle {folder} is not understood: {error}. {ADVICE}") from error


def _files(bundle: Bundle, golden: "pd.DataFrame") -> dict[str, bytes]:
    from models.card import model_card  # noqa: PLC0415 - what takes long to import is for who writes a bundle
    from models.columns import matrix_of  # noqa: PLC0415 - as above

    names = bundle.described["features"] or []
    if names != list(bundle.features.names):
        raise BadInput(
            f"the model reads {len(names)} features and the feature set has {len(bundle.features.names)}, not the "
            "same or in another order. Fit the model on a table whose columns are the feature set's."
        )
    _check_fifths(bundle)
    _check_hazard(bundle)
    chosen = np.unique(np.linspace(0, len(golden) - 1, min(len(golden), _GOLDEN_ROWS)).astype(int))
    rows = matrix_of(golden.iloc[chosen], names)
    documents = {
        "model.json": {"fingerprint": bundle.features.fingerprint, "model": bundle.described},
        "features.json": bundle.features.to_json(),
        "definition.json": bundle.definition.to_json(),
        "facts.json": bundle.facts,
        "fifths.json": None if bundle.fifths is None else bundle.fifths.to_json(),
        "golden.json": golden_rows(bundle.blend, rows, bundle.judge(rows).margins),
    }
    texts = {name: json.dumps(document, indent=1, allow_nan=False) for name, document in documents.items()}
    texts |= {f"booster-{number}.txt": text for number, text in enumerate(bundle.blend.booster_texts)}
    texts |= _hazard_texts(bundle.hazard, rows)
    texts["card.md"] = model_card(
        bundle.model,
        bundle.features,
        definition=bundle.definition,
        facts=bundle.facts,
        fifths_as_of=None if bundle.fifths is None else bundle.fifths.as_of,
    )
    files = {name: text.encode() for name, text in texts.items()}
    sums = {name: hashlib.sha256(content).hexdigest() for name, content in sorted(files.items())}
    return files | {_SUMS: json.dumps({"format": FORMAT, "files": sums}, indent=1).encode()}


def _hazard_texts(hazard: HazardModel | None, golden: Floats) -> dict[str, str]:
    if hazard is None:
        return {}
    document = {"model": hazard.to_json(), "golden_log_survival": hazard.log_survival(golden).tolist()}
    return {HAZARD: json.dumps(document, indent=1, allow_nan=False), HAZARD_TREES: hazard.booster_text}


def _write(files: dict[str, bytes], folder: Path) -> None:
    for name, content in files.items():
        with (folder / name).open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    _sync(folder)


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _verified(folder: Path) -> dict[str, bytes]:
    """The content of every file by its name, each with the sum that was recorded."""
    if not (folder / _SUMS).exists():
        raise NotReady(f"there is no model bundle in {folder}: {_SUMS} is not there. Run `holdfast train` first.")
    sums = _sums(folder)
    return {name: _content(folder, name, expected=expected) for name, expected in sums.items()}


def _sums(folder: Path) -> dict[str, str]:
    try:
        document = json.loads(_plain_file(folder, _SUMS).read_text("utf-8"))
        version, sums = document["format"], {str(name): str(expected) for name, expected in document["files"].items()}
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Damaged(f"{folder / _SUMS} is not the list of sums it should be: {error!r}. {ADVICE}") from error
    if version != FORMAT:
        raise Damaged(
            f"{folder} is a model bundle of format {version!r}; this version of Holdfast reads format {FORMAT}. "
            "Use the version that wrote it, or train again with `holdfast train`."
        )
    needed = {"model.json", "features.json", "definition.json", "facts.json", "fifths.json", "golden.json", "card.md"}
    if not needed <= sums.keys():
        raise Damaged(f"{folder / _SUMS} does not list {', '.join(sorted(needed - sums.keys()))}. {ADVICE}")
    return sums


def _content(folder: Path, name: str, *, expected: str) -> bytes:
    content = _plain_file(folder, name).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if found != expected:
        raise Damaged(
            f"{folder / name} was changed or damaged after training: its SHA-256 is {found[:12]}…, "
            f"{_SUMS} says {expected[:12]}…. {ADVICE}"
        )
    return content


def _plain_file(folder: Path, name: str) -> Path:
    path = folder / name
    if Path(name).name != name or name in {"", ".", ".."} or "\\" in name:
        raise Damaged(f"{folder / _SUMS} names {name!r}, which is not a file of this folder. {ADVICE}")
    if path.is_symlink():
        raise Damaged(f"{path} is a symbolic link; a bundle holds its own files only. {ADVICE}")
    if not path.is_file():
        raise Damaged(f"{path} is missing. {ADVICE}")
    return path


def _parsed(files: dict[str, bytes]) -> Bundle:
    described = json.loads(files["model.json"])
    features = FeatureSet.from_json(json.loads(files["features.json"]))
    if described["fingerprint"] != features.fingerprint:
        raise BadInput(
            f"the model was fitted on features {described['fingerprint']}, features.json holds {features.fingerprint}"
        )
    count = described["model"]["blend"]["boosters"]
    texts = tuple(files[f"booster-{number}.txt"].decode() for number in range(count))
    fifths = json.loads(files["fifths.json"])
    described_hazard = files.get(HAZARD)
    hazard = None
    if described_hazard is not None:
        hazard = HazardModel.from_json(json.loads(described_hazard)["model"], files[HAZARD_TREES].decode())
    bundle = Bundle(
        blend=Blend.from_json(described["model"]["blend"], texts),
        described=described["model"],
        features=features,
        definition=ChurnDefinition.from_json(json.loads(files["definition.json"])),
        facts=json.loads(files["facts.json"]),
        fifths=None if fifths is None else DatedFifths.from_json(fifths),
        hazard=hazard,
    )
    _check_fifths(bundle)
    _check_hazard(bundle)
    return bundle


def _check_fifths(bundle: Bundle) -> None:
    if bundle.fifths is not None and bundle.fifths.fingerprint != bundle.features.fingerprint:
        raise BadInput(
            f"the fifths are of the features {bundle.fifths.fingerprint}, the feature set is "
            f"{bundle.features.fingerprint}; expected those of the same features."
        )


def _check_hazard(bundle: Bundle) -> None:
    if bundle.hazard is not None and bundle.hazard.names != bundle.features.names:
        raise BadInput("the risk curve reads other features than the feature set's; expected the same in one order.")
