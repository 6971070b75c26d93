"""The sum behind a score: boosters and splines on the log-odds, then calibration; plain arrays in, plain arrays out.

Needs NumPy, SciPy's special functions and LightGBM only, so that a bundle is tried out in a child that starts quickly;
contributions need Numba too, and load it when they are asked for.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.calibration import Calibrator, Identity
from models.calibration import from_json as calibrator_from_json
from models.calibration import to_json as calibrator_to_json
from models.lone_row import LoneRow
from models.splines import Splines

if TYPE_CHECKING:
    from models.tree_shap import TreeShap

Floats = NDArray[np.float64]
_ALONE = 64  # rows up to which a second thread costs more than it gives


@dataclass(frozen=True, slots=True, eq=False)
class Judgement:
    """What a model says of `n` rows, and why."""

    margins: Floats  # n, log-odds before calibration
    contributions: Floats  # [n, k + 1], of each feature; the last column is the bias


@dataclass(frozen=True)
class Blend:
    """`booster_weight` times the boosters' mean log-odds plus the rest times the splines', then calibrated."""

    booster_texts: tuple[str, ...]  # LightGBM's own text format
    splines: Splines | None
    booster_weight: float
    calibrator: Calibrator = field(default_factory=Identity)

    def __post_init__(self) -> None:
        boosters = tuple(lightgbm.Booster(model_str=text) for text in self.booster_texts)
        object.__setattr__(self, "boosters", boosters)

    boosters: tuple[lightgbm.Booster, ...] = field(init=False, repr=False, compare=False)

    def margin(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """Log-odds before calibration, one a row; a row alone gives the same bits as in a batch."""
        return self._margin(matrix, self._terms(matrix), threads=threads)

    def probabilities(self, margins: Floats) -> Floats:
        """Calibrated probabilities of the second class, one a margin."""
        return self.calibrator.probabilities(margins)

    def contributions(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """What each of the k features adds to the margin, `[n, k + 1]`; the last column is the bias."""
        return self._contributions(matrix, self._terms(matrix), threads=threads)

    def judge(self, matrix: Floats, *, threads: int = 1) -> Judgement:
        """Both at once, bit for bit: the curves of the splines are looked up once."""
        terms = self._terms(matrix)
        return Judgement(
            margins=self._margin(matrix, terms, threads=threads),
            contributions=self._contributions(matrix, terms, threads=threads),
        )

    def _terms(self, matrix: Floats) -> Floats | None:
        return None if self.splines is None else self.splines.terms(matrix)

    def _margin(self, matrix: Floats, terms: Floats | None, *, threads: int) -> Floats:
        total = np.zeros(len(matrix))
        for raw in self._raw(matrix, threads=threads):
            total += self._share * raw
        if self.splines is not None and terms is not None:
            total += (1.0 - self.booster_weight) * self.splines.margin_of(terms)
        return total

    def _raw(self, matrix: Floats, *, threads: int) -> list[Floats]:
        """What each booster says of each row."""
        if len(matrix) == 1:
            return [np.array([lone.margin(matrix[0])]) for lone in self._lone_rows]
        used = _threads(matrix, threads)
        return [np.asarray(each.predict(matrix, raw_score=True, num_threads=used)) for each in self.boosters]

    def _contributions(self, matrix: Floats, terms: Floats | None, *, threads: int) -> Floats:
        total = np.zeros((matrix.shape[0], matrix.shape[1] + 1))
        for booster, trees in zip(self.boosters, self.tree_shaps, strict=True):
            if trees is not None:
                shap = trees.contributions(matrix, threads=threads)
            else:
                shap = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=_threads(matrix, threads)))
            total += self._share * shap
        if self.splines is not None and terms is not None:
            total[:, :-1] += (1.0 - self.booster_weight) * terms
            total[:, -1] += (1.0 - self.booster_weight) * self.splines.bias
        return total

    @cached_property
    def tree_shaps(self) -> "tuple[TreeShap | None, ...]":
        """What explains each booster, None where LightGBM does; made at first use, alike whichever thread is first."""
        from models.tree_shap import TreeShap  # noqa: PLC0415 - Numba, which the trial of a bundle need not load

        pairs = zip(self.booster_texts, self.boosters, strict=True)
        return tuple(TreeShap.of(text, features=booster.num_feature()) for text, booster in pairs)

    @cached_property
    def _lone_rows(self) -> tuple[LoneRow, ...]:
        return tuple(map(LoneRow, self.boosters))

    def to_json(self) -> dict[str, Any]:  # Any: JSON
        """Everything but the boosters' text."""
        return {
            "booster_weight": self.booster_weight,
            "boosters": len(self.booster_texts),
            "splines": self.splines.to_json() if self.splines else None,
            "calibrator": calibrator_to_json(self.calibrator),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], booster_texts: tuple[str, ...]) -> Self:  # Any: JSON
        """The blend that `to_json` and the boosters' text describe."""
        return cls(
            booster_texts=booster_texts,
            splines=Splines.from_json(data["splines"]) if data["splines"] else None,
            booster_weight=float(data["booster_weight"]),
            calibrator=calibrator_from_json(data["calibrator"]),
        )

    @property
    def _share(self) -> float:
        return self.booster_weight / len(self.boosters)


def _threads(matrix: Floats, threads: int) -> int:
    return 1 if len(matrix) <= _ALONE else threads
