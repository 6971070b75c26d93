"""What contributions take, beside LightGBM's own TreeSHAP (and the `woodelf` package where it is installed).

    python -m benchmarks.serving.reasons --rows 20000

CPU microseconds of one thread a row, the least of some rounds, as other work on the machine disturbs that least; a row
alone is timed by the clock. Boosters of invented data: the shipped kind (250 trees of 7 leaves) and a large one (300 of
63), 100 features, with missing values and a category. LightGBM and WOODELF get fewer rows where they need long.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

import lightgbm
import numpy as np
from numpy.typing import NDArray

from models.tree_shap import TreeShap

FEATURES = 100
SHAPES = {"250 trees, 7 leaves": (250, 7, 200, 1), "300 trees, 63 leaves": (300, 63, 20, 40)}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=20_000)
    options = parser.parse_args()
    table, labels = invented(30_000)
    print("| booster | what | row alone µs | rows | µs a row | times | largest apart |\n|---|---|---|---|---|---|---|")
    for name, (trees, leaves, least, fewer) in SHAPES.items():
        booster = grown(table, labels, trees=trees, leaves=leaves, least=least)
        measured(name, booster, table[: options.rows], fewer=fewer)


def invented(rows: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rows with missing values, a category and many zeros, and who left."""
    random = np.random.default_rng(0)
    table = random.normal(size=(rows, FEATURES))
    table[random.random(table.shape) < 0.1] = np.nan
    table[:, 3] = random.integers(0, 12, rows)
    table[:, 5] = np.where(random.random(rows) < 0.5, 0.0, table[:, 5])
    known = np.nan_to_num(table)
    odds = known[:, :10].sum(axis=1) / 3 + np.sin(known[:, 1] * 3) * (known[:, 2] > 0)
    return table, (odds + random.normal(size=rows) > 0).astype(np.int64)


def grown(
    table: NDArray[np.float64], labels: NDArray[np.int64], *, trees: int, leaves: int, least: int
) -> lightgbm.Booster:
    """A booster with the product's other settings."""
    shape: dict[str, Any] = {"objective": "binary", "learning_rate": 0.03, "num_leaves": leaves, "verbosity": -1}
    shape |= {"min_data_in_leaf": least, "feature_fraction": 0.3, "bagging_fraction": 0.8, "bagging_freq": 1}
    shape |= {"lambda_l2": 20.0, "num_threads": 1, "seed": 0}
    return lightgbm.train(shape, lightgbm.Dataset(table, labels, categorical_feature=[3]), trees)


def measured(name: str, booster: lightgbm.Booster, rows: NDArray[np.float64], *, fewer: int) -> None:
    """Print a line for each way to explain the rows."""
    began = time.process_time()
    ours = TreeShap.of(booster.model_to_string(), features=FEATURES)
    if ours is None:
        raise SystemExit("the booster is of another kind than expected")
    prepared = time.process_time() - began
    part = rows[: len(rows) // fewer]

    def theirs(some: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(booster.predict(some, pred_contrib=True, num_threads=1))

    slow, alone = cpu(theirs, part, rounds=2), clock(theirs, rows[:1])
    print(f"| {name} | LightGBM | {alone:,.0f} | {len(part):,} | {slow:,.1f} | 1 | |")
    quick, lone = cpu(ours.contributions, rows, rounds=3), clock(ours.contributions, rows[:1])
    apart = np.abs(theirs(rows[:200]) - ours.contributions(rows[:200])).max()
    print(f"| | Holdfast | {lone:,.0f} | {len(rows):,} | {quick:,.1f} | {slow / quick:,.0f} | {apart:.0e} |")
    held = sum(each.nbytes for each in ours.forest) / 1e6
    print(f"| | prepared once: {prepared * 1e3:,.0f} ms, {held:.1f} MB | | | | | |")
    _woodelf(booster, part, slow=slow)


def cpu(explain: Callable[[NDArray[np.float64]], object], rows: NDArray[np.float64], *, rounds: int) -> float:
    """The least CPU time of some rounds, in microseconds a row."""
    took = []
    for _ in range(rounds):
        began = time.process_time()
        explain(rows)
        took.append(time.process_time() - began)
    return min(took) / len(rows) * 1e6


def clock(explain: Callable[[NDArray[np.float64]], object], row: NDArray[np.float64]) -> float:
    """The least time of 50 rounds, in microseconds."""
    took = []
    for _ in range(50):
        began = time.perf_counter()
        explain(row)
        took.append(time.perf_counter() - began)
    return min(took) * 1e6


def _woodelf(booster: lightgbm.Booster, rows: NDArray[np.float64], *, slow: float) -> None:
    try:
        import pandas as pd
        from woodelf import WoodelfExplainer
    except ImportError:
        return
    table = pd.DataFrame(rows, columns=booster.feature_name())
    took = cpu(lambda _: WoodelfExplainer(booster).shap_values(table), rows, rounds=1)
    print(f"| | woodelf | | {len(rows):,} | {took:,.1f} | {slow / took:,.0f} | |")


if __name__ == "__main__":
    main()
