"""The churn model: gradient boosting and a spline regression blended on the log-odds, then calibrated."""

from dataclasses import asdict, dataclass
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from models.calibration import Calibrator, Identity, choose_calibrator, fit_calibrator
from models.calibration import from_json as calibrator_from_json
from models.calibration import to_json as calibrator_to_json
from models.columns import Matrix, WrongColumns, matrix_of, names_of, refuse_infinite
from models.splines import Splines, fit_splines

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
_PATIENCE = 50  # rounds without a better validation loss before boosting stops; a fifth of the default rounds
_LEAVES_AT_LEAST = 40  # so many leaves' worth of rows; little data get smaller leaves
_ALONE = 64  # rows up to which a second thread costs more than it gives


@dataclass(frozen=True, slots=True)
class FitFacts:
    """What a fit came to: worth a line in the report and the model card."""

    rows: int
    churned_share: float
    trees: tuple[int, ...]
    rows_per_leaf: int
    booster_weight: float
    linear: str


# Any in this class: X and y are whatever scikit-learn's callers have (frames, tables, arrays, lists).
class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """A binary classifier whose probabilities are calibrated and whose reasons add up.

    The margin is `booster_weight` times the mean log-odds of `n_seeds` LightGBM boosters plus the rest times a ridge
    regression on hinge splines; 1 is the booster alone, 0 the regression alone. Columns are matched by name.
    Missing values (NaN) are welcome. The same data and `random_state` give the same bytes.

    >>> import pandas as pd
    >>> visits = pd.DataFrame({"days_since_last_event": [1.0, 2.0, 3.0, 40.0, 50.0, 60.0] * 20})
    >>> model = ChurnModel(n_estimators=20).fit(visits, [0, 0, 0, 1, 1, 1] * 20)
    >>> model.predict(visits[:4]).tolist()
    [0, 0, 0, 1]
    """

    def __init__(  # noqa: PLR0913 - scikit-learn wants every hyper-parameter here
        self,
        *,
        n_estimators: int = 250,
        learning_rate: float = 0.03,
        num_leaves: int = 7,
        min_child_samples: int = 200,
        feature_fraction: float = 0.3,
        bagging_fraction: float = 0.8,
        reg_lambda: float = 20.0,
        n_seeds: int = 2,
        booster_weight: float = 0.5,
        linear_l2: float = 10.0,
        random_state: int = 0,
        n_threads: int = 1,
    ) -> None:
        self.n_estimators = n_estimators
        self.learning_rate = learning_rate
        self.num_leaves = num_leaves
        self.min_child_samples = min_child_samples
        self.feature_fraction = feature_fraction
        self.bagging_fraction = bagging_fraction
        self.reg_lambda = reg_lambda
        self.n_seeds = n_seeds
        self.booster_weight = booster_weight
        self.linear_l2 = linear_l2
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, *, validation: tuple[Any, Any] | None = None) -> Self:  # noqa: N803
        """The fitted model, not yet calibrated.

        `validation` holds rows and labels of a later time, and stops the booster early; nothing else sees it.
        `min_child_samples` shrinks to a fortieth of the rows when there are few.
        """
        names = names_of(X)
        matrix = matrix_of(X, names)
        labels = self._learn_classes(y, rows=len(matrix))
        self._remember_columns(names, matrix.shape[1])
        later = None if validation is None else (self._read(validation[0]), self._codes(validation[1]))
        linear = fit_splines(matrix, labels, l2=self.linear_l2) if self.booster_weight < 1 else None
        self.splines_: Splines | None = linear.splines if linear else None
        self.booster_weight_ = self.booster_weight if self.splines_ else 1.0
        self._take_boosters(self._boost(matrix, labels, later=later) if self.booster_weight_ > 0 else ())
        self.calibrator_: Calibrator = Identity()
        self.calibration_log_losses_: dict[str, float] = {}
        self.facts_ = FitFacts(
            rows=len(matrix),
            churned_share=float(labels.mean()),
            trees=tuple(booster.num_trees() for booster in self.boosters_),
            rows_per_leaf=self._rows_per_leaf(len(matrix)),
            booster_weight=self.booster_weight_,
            linear=linear.fact if linear else "not asked for",
        )
        return self

    def calibrate(self, X: Any, y: Any, *, kind: str | None = None, order: ArrayLike | None = None) -> Self:  # noqa: N803
        """The model with its calibrator fitted on rows that `fit` has not seen; see `calibrate_margins`."""
        return self.calibrate_margins(self.margin(X), y, kind=kind, order=order)

    def calibrate_margins(
        self, margins: ArrayLike, y: Any, *, kind: str | None = None, order: ArrayLike | None = None
    ) -> Self:
        """The model with its calibrator fitted on margins and what happened.

        Without a `kind` the calibrator is chosen by held-out log loss; `order` (the cutoff of each row)
        makes that choice on later rows than those it was fitted on.
        """
        labels = self._codes(y)
        if kind is not None:
            self.calibrator_, self.calibration_log_losses_ = fit_calibrator(margins, labels, kind=kind), {}
            return self
        choice = choose_calibrator(margins, labels, order=order)
        self.calibrator_, self.calibration_log_losses_ = choice.calibrator, choice.log_losses
        return self

    def margin(self, X: Any) -> Floats:  # noqa: N803
        """Log-odds of churn before calibration, one a row."""
        return self._margin_of(self._read(X))

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Calibrated probabilities `[n, 2]`, in the order of `classes_`: the second column is churn."""
        churned = self.calibrator_.probabilities(self.margin(X)) if self._is_ready() else np.zeros(0)
        return np.column_stack([1.0 - churned, churned])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The likelier class of each row."""
        likelier: NDArray[Any] = self.classes_[(self.predict_proba(X)[:, 1] > 0.5).astype(np.int64)]
        return likelier

    def contributions(self, X: Any) -> Matrix:  # noqa: N803
        """What every feature adds to the margin, `[n, k + 1]` log-odds; the last column is the bias.

        Exact TreeSHAP values of the boosters and centred curves of the splines: rows add up to the margin.
        """
        matrix = self._read(X)
        total = np.zeros((len(matrix), self.n_features_in_ + 1))
        for booster in self.boosters_:
            share = self.booster_weight_ / len(self.boosters_)
            total += share * booster.predict(matrix, pred_contrib=True, num_threads=self._threads_for(matrix))
        if self.splines_ is not None:
            total[:, :-1] += (1.0 - self.booster_weight_) * self.splines_.terms(matrix)
            total[:, -1] += (1.0 - self.booster_weight_) * self.splines_.bias
        return total

    def to_json(self) -> dict[str, Any]:
        """Everything but the boosters' text, as plain JSON."""
        self._is_ready()
        names = getattr(self, "feature_names_in_", None)
        return {
            "parameters": self.get_params(),
            "classes": self.classes_.tolist(),
            "features": None if names is None else names.tolist(),
            "feature_count": self.n_features_in_,
            "booster_weight": self.booster_weight_,
            "splines": self.splines_.to_json() if self.splines_ else None,
            "calibrator": calibrator_to_json(self.calibrator_),
            "calibration_log_losses": self.calibration_log_losses_,
            "facts": asdict(self.facts_),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], booster_texts: tuple[str, ...]) -> Self:
        """The model that `to_json` and `booster_texts_` described."""
        model = cls(**data["parameters"])
        model.classes_ = np.array(data["classes"])
        model._remember_columns(data["features"], data["feature_count"])
        model.booster_weight_ = float(data["booster_weight"])
        model.splines_ = Splines.from_json(data["splines"]) if data["splines"] else None
        model.calibrator_ = calibrator_from_json(data["calibrator"])
        model.calibration_log_losses_ = data["calibration_log_losses"]
        model.facts_ = FitFacts(**{**data["facts"], "trees": tuple(data["facts"]["trees"])})
        model._take_boosters(booster_texts)
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def _learn_classes(self, y: Any, *, rows: int) -> Labels:
        if y is None:
            raise WrongColumns("requires y to be passed, but the target y is None.")  # scikit-learn's words
        outcome = column_or_1d(y, warn=True)
        check_consistent_length(np.empty(rows), outcome)
        check_classification_targets(outcome)
        found = type_of_target(outcome, input_name="y", raise_unknown=True)
        if found != "binary":
            raise WrongColumns(f"Only binary classification is supported. The type of the target is {found}.")
        self.classes_ = np.unique(outcome)
        if len(self.classes_) < 2:
            raise WrongColumns(f"y holds one class only, {self.classes_[0]!r}; expected users who left and who stayed.")
        return self._codes(outcome)

    def _codes(self, y: Any) -> Labels:
        outcome = np.asarray(y)
        unknown = np.setdiff1d(outcome, self.classes_)
        if len(unknown):
            raise WrongColumns(f"y holds {unknown[:3].tolist()}; the model knows {self.classes_.tolist()}.")
        return (outcome == self.classes_[1]).astype(np.int64)

    def _remember_columns(self, names: Any, count: int) -> None:
        self.n_features_in_ = count
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _take_boosters(self, texts: tuple[str, ...]) -> None:
        self.booster_texts_ = texts
        self.boosters_ = tuple(lightgbm.Booster(model_str=text) for text in texts)

    def _boost(self, matrix: Matrix, labels: Labels, *, later: tuple[Matrix, Labels] | None) -> tuple[str, ...]:
        shared = self._booster_parameters(len(matrix))
        rows = lightgbm.Dataset(matrix, labels, params=shared)
        held_out = [] if later is None else [lightgbm.Dataset(*later, reference=rows, params=shared)]
        stop = [lightgbm.early_stopping(_PATIENCE, verbose=False)] if held_out else []
        seeds = check_random_state(self.random_state).randint(1, 2**30, size=(self.n_seeds, 2)).tolist()
        texts = []
        for bagging, fraction in seeds:
            own = shared | {"bagging_seed": bagging, "feature_fraction_seed": fraction}
            booster = lightgbm.train(own, rows, self.n_estimators, valid_sets=held_out, callbacks=stop)
            texts.append(booster.model_to_string(num_iteration=booster.best_iteration))
        return tuple(texts)

    def _booster_parameters(self, rows: int) -> dict[str, Any]:
        return {
            "objective": "binary",
            "learning_rate": self.learning_rate,
            "num_leaves": self.num_leaves,
            "min_data_in_leaf": self._rows_per_leaf(rows),
            "feature_fraction": self.feature_fraction,
            "bagging_fraction": self.bagging_fraction,
            "bagging_freq": 1,
            "lambda_l2": self.reg_lambda,
            "feature_pre_filter": False,
            "deterministic": True,
            "force_row_wise": True,
            "data_random_seed": 1,
            "num_threads": self.n_threads,
            "verbosity": -1,
        }

    def _rows_per_leaf(self, rows: int) -> int:
        return max(1, min(self.min_child_samples, rows // _LEAVES_AT_LEAST))

    def _is_ready(self) -> bool:
        if not hasattr(self, "calibrator_"):
            check_is_fitted(self, "calibrator_")
        return True

    def _read(self, X: Any) -> Matrix:  # noqa: N803
        if not hasattr(self, "n_features_in_"):
            check_is_fitted(self, "n_features_in_")
        names = getattr(self, "feature_names_in_", None)
        if (
            type(X) is np.ndarray and X.ndim == 2 and X.dtype == np.float64 and len(X)
        ):  # a lone row has no time for more
            matrix = np.ascontiguousarray(X)
            refuse_infinite(matrix, names)
        else:
            matrix = matrix_of(X, names)
        if matrix.shape[1] != self.n_features_in_:
            raise WrongColumns(
                f"X has {matrix.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        return matrix

    def _margin_of(self, matrix: Matrix) -> Floats:
        total = np.zeros(len(matrix))
        for booster in self.boosters_:
            share = self.booster_weight_ / len(self.boosters_)
            total += share * booster.predict(matrix, raw_score=True, num_threads=self._threads_for(matrix))
        if self.splines_ is not None:
            total += (1.0 - self.booster_weight_) * self.splines_.margin(matrix)
        return total

    def _threads_for(self, matrix: Matrix) -> int:
        return 1 if len(matrix) <= _ALONE else self.n_threads
