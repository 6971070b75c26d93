"""The churn model: gradient boosting and a spline regression blended on the log-odds, then calibrated."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import lightgbm
import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import Tags, assert_all_finite, check_random_state
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import check_consistent_length, check_is_fitted, column_or_1d

from models.blend import Blend
from models.calibration import choose_calibrator, fit_calibrator
from models.columns import ColumnError, Matrix, matrix_of, names_of
from models.halfway import Grown, to_whole
from models.judgement import Judgement
from models.ridge import Signs
from models.splines import SplineFit, fit_splines

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]
_PATIENCE = 50  # rounds without a better validation loss before boosting stops; a fifth of the default rounds
_ROWS_TO_BIN = 50_000  # the borders of 255 bins are no better for more rows, and finding them is a sort a feature
_ROWS_PER_CATEGORY = 100  # LightGBM's own default: a group of categories is split off for no fewer
_MOST_CATEGORIES = 1000
_NAMES = ("booster_only", "categorical", "rising", "falling")  # the parameters that are names of features
_LEAVES_AT_LEAST = 40  # so many leaves' worth of rows; little data get smaller leaves


@dataclass(frozen=True, slots=True)
class FitFacts:
    """What a fit came to: worth a line in the report and the model card."""

    rows: int
    churned_share: float
    trees: tuple[int, ...]
    rows_per_leaf: int
    booster_weight: float
    linear: str
    halfway: int  # boosters that learnt who is away halfway through the horizon


# Any in this class: X and y are whatever scikit-learn's callers have (frames, tables, arrays, lists).
class ChurnModel(ClassifierMixin, BaseEstimator):  # type: ignore[misc] # scikit-learn ships no types
    """A binary classifier whose probabilities are calibrated and whose reasons add up.

    The margin is `booster_weight` times the mean log-odds of `n_seeds` LightGBM boosters plus the rest times a ridge
    regression on hinge splines; 1 is the booster alone, 0 the regression alone. Features named in `booster_only` (the
    season: a straight line through it overshoots) stay out of the regression. Features named in `categorical` hold
    codes 0, 1, 2 … of categories: the trees split them into groups, the regression gives each a height, and a code
    that training did not see says nothing in the regression. The margin never falls as a feature named in `rising`
    grows and all others stay, and never rises with one in `falling`. Columns are matched by name.
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
        booster_weight: float = 0.75,
        linear_l2: float = 1000.0,
        booster_only: tuple[str, ...] = (),
        categorical: tuple[str, ...] = (),
        rising: tuple[str, ...] = (),
        falling: tuple[str, ...] = (),
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
        self.booster_only = booster_only
        self.categorical = categorical
        self.rising = rising
        self.falling = falling
        self.random_state = random_state
        self.n_threads = n_threads

    def fit(self, X: Any, y: Any, *, halfway: Any = None, validation: tuple[Any, ...] | None = None) -> Self:  # noqa: N803
        """The fitted model, not yet calibrated.

        `halfway` holds what had come of each row by half of the horizon, in the classes of `y`: every second booster
        learns that, see `models.halfway`. `validation` holds rows and labels (and what had come of them halfway, where
        `halfway` is given) of a later time, and stops the boosters early; nothing else sees it.
        `min_child_samples` shrinks to a fortieth of the rows when there are few.
        """
        names = names_of(X)
        matrix = matrix_of(X, names)
        labels = self._learn_classes(y, rows=len(matrix))
        self._remember_columns(names, matrix.shape[1])
        self._check_codes(matrix)
        learnt = self._learnt(labels, halfway)
        later = None if validation is None else self._later(*validation, outcomes=len(learnt))
        linear = self._fit_linear(matrix, labels)
        weight = self.booster_weight if linear.splines else 1.0
        texts = self._boost(matrix, learnt, later=later) if weight > 0 else ()
        self.blend_ = Blend(booster_texts=texts, splines=linear.splines, booster_weight=weight)
        self.calibration_log_losses_: dict[str, float] = {}
        self.facts_ = FitFacts(
            rows=len(matrix),
            churned_share=float(labels.mean()),
            trees=tuple(booster.num_trees() for booster in self.blend_.boosters),
            rows_per_leaf=self._rows_per_leaf(len(matrix)),
            booster_weight=weight,
            linear=linear.fact,
            halfway=len(texts) // 2 if len(learnt) > 1 else 0,
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
        makes that choice on later rows than those it was fitted on, and tells a `stretch` the windows.
        """
        labels = self._codes(y)
        if kind is not None:
            calibrator, self.calibration_log_losses_ = fit_calibrator(margins, labels, kind=kind, order=order), {}
        else:
            choice = choose_calibrator(margins, labels, order=order)
            calibrator, self.calibration_log_losses_ = choice.calibrator, choice.log_losses
        self.blend_ = replace(self.blend_, calibrator=calibrator)
        return self

    def margin(self, X: Any) -> Floats:  # noqa: N803
        """Log-odds of churn before calibration, one a row."""
        matrix = self._read(X)
        return self.blend_.margin(matrix, threads=self.n_threads)

    def predict_proba(self, X: Any) -> Floats:  # noqa: N803
        """Calibrated probabilities `[n, 2]`, in the order of `classes_`: the second column is churn."""
        matrix = self._read(X)
        churned = self.blend_.probabilities(self.blend_.margin(matrix, threads=self.n_threads))
        return np.column_stack([1.0 - churned, churned])

    def predict(self, X: Any) -> NDArray[Any]:  # noqa: N803
        """The likelier class of each row."""
        likelier = (np.diff(self.predict_proba(X), axis=1)[:, 0] > 0).astype(np.int64)
        named: NDArray[Any] = self.classes_[likelier]
        return named

    def contributions(self, X: Any) -> Matrix:  # noqa: N803
        """What every feature adds to the margin, `[n, k + 1]` log-odds; the last column is the bias.

        Exact TreeSHAP values of the boosters and centred curves of the splines: rows add up to the margin.
        """
        matrix = self._read(X)
        return self.blend_.contributions(matrix, threads=self.n_threads)

    def judge(self, X: Any) -> Judgement:  # noqa: N803
        """Margins and contributions at once, which takes less time than one after the other; the bits are the same."""
        matrix = self._read(X)
        return self.blend_.judge(matrix, threads=self.n_threads)

    def to_json(self) -> dict[str, Any]:
        """Everything but the boosters' text, as plain JSON."""
        check_is_fitted(self, "blend_")
        names = getattr(self, "feature_names_in_", None)
        return {
            "parameters": self.get_params(),
            "classes": self.classes_.tolist(),
            "features": None if names is None else names.tolist(),
            "feature_count": self.n_features_in_,
            "blend": self.blend_.to_json(),
            "calibration_log_losses": self.calibration_log_losses_,
            "facts": asdict(self.facts_),
        }

    @classmethod
    def from_json(cls, data: dict[str, Any], booster_texts: tuple[str, ...]) -> Self:
        """The model that `to_json` and the boosters' text described."""
        parameters = data["parameters"]
        lists = {name: tuple(parameters[name]) for name in _NAMES if name in parameters}
        model = cls(**{**parameters, **lists})
        model.classes_ = np.array(data["classes"])
        model._remember_columns(data["features"], data["feature_count"])
        model.blend_ = Blend.from_json(data["blend"], booster_texts)
        model.calibration_log_losses_ = data["calibration_log_losses"]
        model.facts_ = FitFacts(**{**data["facts"], "trees": tuple(data["facts"]["trees"])})
        return model

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = False
        return tags

    def _learn_classes(self, y: Any, *, rows: int) -> Labels:
        if y is None:
            raise ColumnError("requires y to be passed, but the target y is None.")  # scikit-learn's words
        outcome = column_or_1d(y, warn=True)
        check_consistent_length(np.empty(rows), outcome)
        assert_all_finite(outcome, input_name="y")
        check_classification_targets(outcome)
        found = type_of_target(outcome, input_name="y", raise_unknown=True)
        if found != "binary":
            raise ColumnError(f"Only binary classification is supported. The type of the target is {found}.")
        self.classes_ = np.unique(outcome)
        if len(self.classes_) == 1:
            raise ColumnError(f"y holds one class only, {self.classes_[0]!r}; expected users who left and who stayed.")
        return self._codes(outcome)

    def _codes(self, y: Any, *, name: str = "y") -> Labels:
        outcome = np.asarray(y)
        unknown = np.setdiff1d(outcome, self.classes_)
        if len(unknown):
            raise ColumnError(f"{name} holds {unknown[:3].tolist()}; the model knows {self.classes_.tolist()}.")
        codes: Labels = (outcome == self.classes_[1]).astype(np.int64)
        return codes

    def _remember_columns(self, names: Any, count: int) -> None:
        self.n_features_in_ = count
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_

    def _fit_linear(self, matrix: Matrix, labels: Labels) -> SplineFit:
        if self.booster_weight >= 1:
            return SplineFit(None, "not asked for")
        flat = np.zeros(matrix.shape[1], dtype=bool)
        flat[self._places("booster_only")] = True
        coded = tuple(self._places("categorical"))
        along = self._directions()
        return fit_splines(matrix, labels, l2=self.linear_l2, flat=flat, coded=coded, directions=along)

    def _check_codes(self, matrix: Matrix) -> None:
        for place in self._places("categorical"):
            codes = matrix[:, place]
            wrong = codes[(codes < 0) | (codes >= _MOST_CATEGORIES) | (codes != np.trunc(codes)) & ~np.isnan(codes)]
            if len(wrong):
                raise ColumnError(
                    f"categorical feature {self.feature_names_in_[place]!r} holds {wrong[0]:g}; expected codes 0, 1, "
                    f"2 … of at most {_MOST_CATEGORIES} categories, or NaN."
                )

    def _places(self, parameter: str) -> list[int]:
        """Where the features are that a parameter names."""
        named, names = getattr(self, parameter), list(getattr(self, "feature_names_in_", ()))
        unknown = sorted(set(named) - set(names))
        if unknown:
            raise ColumnError(f"{parameter} names {unknown}; expected names of features in X.")
        return [names.index(name) for name in named]

    def _directions(self) -> Signs:
        """Of every feature: 1 where the margin may only rise with it, -1 only fall, 0 either."""
        both = sorted(set(self.rising) & set(self.falling))
        coded = sorted({*self.rising, *self.falling} & set(self.categorical))
        if both or coded:
            why = f"{both} are in rising and in falling" if both else f"{coded} are categorical: codes have no order"
            raise ColumnError(f"{why}; expected features in one of the two, none of them categorical.")
        found = np.zeros(self.n_features_in_, dtype=np.int8)
        found[self._places("rising")], found[self._places("falling")] = 1, -1
        return found

    def _learnt(self, labels: Labels, halfway: Any) -> tuple[Labels, ...]:
        """The outcomes that boosters learn in turn: of the whole horizon, and of half where both classes are there."""
        if halfway is None or self.n_seeds == 1 or self.booster_weight <= 0:
            return (labels,)
        check_consistent_length(labels, halfway)
        sooner = self._codes(halfway, name="halfway")
        return (labels, sooner) if sooner.min() < sooner.max() else (labels,)

    def _later(self, X: Any, y: Any, halfway: Any = None, *, outcomes: int) -> tuple[Matrix, tuple[Labels, ...]]:  # noqa: N803
        """Rows and outcomes of a later time, as many as are learnt."""
        if outcomes > 1 and halfway is None:
            raise ColumnError("validation lacks what had come of its rows halfway; expected rows, labels and that.")
        if outcomes == 1:
            return self._read(X), (self._codes(y),)
        check_consistent_length(y, halfway)
        return self._read(X), (self._codes(y), self._codes(halfway, name="halfway"))

    def _boost(
        self, matrix: Matrix, learnt: tuple[Labels, ...], *, later: tuple[Matrix, tuple[Labels, ...]] | None
    ) -> tuple[str, ...]:
        shared = self._booster_parameters(len(matrix))
        coded = self._places("categorical")
        if self.rising or self.falling:
            shared["monotone_constraints"] = self._directions().tolist()

        def binned(rows: Matrix, outcomes: tuple[Labels, ...], like: lightgbm.Dataset | None) -> list[lightgbm.Dataset]:
            """A data set for each outcome; the bins of the first are copied, which costs next to nothing."""
            parameters = shared | {"num_threads": self.n_threads}
            first = lightgbm.Dataset(rows, outcomes[0], like, params=parameters, categorical_feature=coded).construct()
            others = [first.subset(list(range(len(rows)))).construct().set_label(outcome) for outcome in outcomes[1:]]
            return [first, *others]

        known = binned(matrix, learnt, None)
        judges = binned(later[0], later[1], known[0]) if later else []
        seeds = check_random_state(self.random_state).randint(1, 2**30, size=(self.n_seeds, 2)).tolist()

        def grow(place: int) -> Grown:
            own = shared | {"bagging_seed": seeds[place][0], "feature_fraction_seed": seeds[place][1]}
            outcome = place % len(learnt)
            judge = judges[outcome : outcome + 1]
            stop: list[Callable[..., Any]] = [lightgbm.early_stopping(_PATIENCE, verbose=False)] if judge else []
            booster = lightgbm.train(own, known[outcome], self.n_estimators, valid_sets=judge, callbacks=stop)
            return Grown(booster, booster.best_iteration if judge else booster.num_trees())

        # A thread a booster: LightGBM's own threads wait for one another at every split.
        with ThreadPoolExecutor(max_workers=max(1, self.n_threads)) as pool:
            grown = list(pool.map(grow, range(self.n_seeds)))
        for place in range(1, self.n_seeds, 2) if len(learnt) > 1 else ():
            to_whole(grown[place], matrix, learnt[0], beside=grown[place - 1])
        return tuple(each.text() for each in grown)

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
            "bin_construct_sample_cnt": _ROWS_TO_BIN,
            "min_data_per_group": min(_ROWS_PER_CATEGORY, self._rows_per_leaf(rows)),
            "feature_pre_filter": False,
            "deterministic": True,
            "force_col_wise": True,
            "data_random_seed": 1,
            "num_threads": 1,
            "verbosity": -1,
        }

    def _rows_per_leaf(self, rows: int) -> int:
        return max(1, min(self.min_child_samples, rows // _LEAVES_AT_LEAST))

    def _read(self, X: Any) -> Matrix:  # noqa: N803
        if not hasattr(self, "blend_") and not hasattr(self, "n_features_in_"):
            check_is_fitted(self, "blend_")
        matrix = matrix_of(X, getattr(self, "feature_names_in_", None))
        if matrix.shape[1] != self.n_features_in_:
            raise ColumnError(
                f"X has {matrix.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input."
            )
        return matrix
