"""The sum behind a score: boosters and splines on the log-odds, then calibration; plain arrays in, plain arrays out.

Who trains asks LightGBM for margins, as does the child that tries a bundle out: it needs NumPy, SciPy's special
functions and LightGBM only, and starts quickly. Who scores asks for margins and contributions at once (`judge`), which
takes Numba and no LightGBM; the bits are the same.
"""

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from models.booster_trees import feature_count
from models.calibration import Calibrator, Identity
from models.calibration import from_json as calibrator_from_json
from models.calibration import to_json as calibrator_to_json
from models.judgement import Judgement
from models.splines import Splines

if TYPE_CHECKING:
    import lightgbm

    from models.tree_shap import TreeShap

Floats = NDArray[np.float64]
_ALONE = 64  # rows up to which a second thread costs more than it gives


@dataclass(frozen=True)
class Blend:
    """`booster_weight` times the boosters' mean log-odds plus the rest times the splines', then calibrated."""

    booster_texts: tuple[str, ...]  # LightGBM's own text format
    splines: Splines | None
    booster_weight: float
    calibrator: Calibrator = field(default_factory=Identity)

    def margin(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """Log-odds before calibration, one a row; a row alone gives the same bits as in a batch."""
        used = _threads(matrix, threads)
        said = [np.asarray(each.predict(matrix, raw_score=True, num_threads=used)) for each in self.boosters]
        return self._margin(said, None if self.splines is None else self.splines.terms(matrix), rows=len(matrix))

    def probabilities(self, margins: Floats) -> Floats:
        """Calibrated probabilities of the second class, one a margin."""
        return self.calibrator.probabilities(margins)

    def contributions(self, matrix: Floats, *, threads: int = 1) -> Floats:
        """What each of the k features adds to the margin, `[n, k + 1]`; the last column is the bias."""
        return self.judge(matrix, threads=threads).contributions

    def judge(self, matrix: Floats, *, threads: int = 1) -> Judgement:
        """Both at once; the margins have the bits of `margin`."""
        terms = None if self.splines is None else self.splines.terms(matrix)
        said = [self._judged(place, matrix, threads=threads) for place in range(len(self.booster_texts))]
        total = np.zeros((matrix.shape[0], matrix.shape[1] + 1))
        for each in said:
            total += self._share * each.contributions
        if self.splines is not None and terms is not None:
            total[:, :-1] += (1.0 - self.booster_weight) * terms
            total[:, -1] += (1.0 - self.booster_weight) * self.splines.bias
        return Judgement(self._margin([each.margins for each in said], terms, rows=len(matrix)), total)

    def _margin(self, said: list[Floats], terms: Floats | None, *, rows: int) -> Floats:
        total = np.zeros(rows)
        for raw in said:
            total += self._share * raw
        if self.splines is not None and terms is not None:
            total += (1.0 - self.booster_weight) * self.splines.margin_of(terms)
        return total

    def _judged(self, place: int, matrix: Floats, *, threads: int) -> Judgement:
        """What one booster says of each row."""
        trees = self.tree_shaps[place]
        if trees is not None:
            return trees.judge(matrix, threads=threads)
        booster, used = self.boosters[place], _threads(matrix, threads)
        return Judgement(
            margins=np.asarray(booster.predict(matrix, raw_score=True, num_threads=used)),
            contributions=np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=used)),
        )

    @cached_property
    def boosters(self) -> "tuple[lightgbm.Booster, ...]":
        """LightGBM's own; raises its error for a damaged text."""
        import lightgbm  # noqa: PLC0415 - with it comes scikit-learn, a second that a service need not wait

        return tuple(lightgbm.Booster(model_str=text) for text in self.booster_texts)

    @cached_property
    def tree_shaps(self) -> "tuple[TreeShap | None, ...]":
        """What judges for each booster, None where LightGBM does; made at first use, by whichever thread."""
        from models.tree_shap import TreeShap  # noqa: PLC0415 - Numba, which the trial of a bundle need not load

        return tuple(TreeShap.of(text, features=feature_count(text)) for text in self.booster_texts)

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
        return self.booster_weight / len(self.booster_texts)


def _threads(matrix: Floats, threads: int) -> int:
    return 1 if len(matrix) <= _ALONE else threads
