"""How well scores put churners first: AUC, average precision, and what the top of the list holds.

Everything is computed for many weightings of the rows at once (a bootstrap replicate is a weighting). Rows with equal
scores form one group and share what falls to it, so that no figure depends on the order in which ties are listed.
"""

from collections.abc import Callable

import numpy as np

from features.user_events import FloatArray

TOPS = {"5": 0.05, "10": 0.10, "20": 0.20}  # shares of the rows that a retention team might reach
CAPACITY = 0.10  # share of the rows that can be looked after, where nobody says otherwise
RANKING_METRICS = (
    "auc",
    "pr_auc",
    *(f"{name}_at_{top}" for name in ("precision", "recall", "lift") for top in (*TOPS, "capacity")),
)


def ranking_metrics(
    labels: FloatArray, scores: FloatArray, *, capacity: float = CAPACITY
) -> Callable[[FloatArray], dict[str, FloatArray]]:
    """A function from weights `[replicates, rows]` to each ranking metric `[replicates]`; NaN where undefined.

    AUC and average precision need both classes; precision always exists, recall and lift need a churner. `capacity`
    is the share of the rows behind the metrics that end in `_at_capacity`.

    >>> ones = np.ones((1, 4))
    >>> float(ranking_metrics(np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8]))(ones)["auc"][0])
    0.75
    """
    order = np.argsort(-scores, kind="stable")
    ranked = scores[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))
    churned = labels[order]

    def compute(weights: FloatArray) -> dict[str, FloatArray]:
        by_rank = weights[:, order]
        mass = np.add.reduceat(by_rank, starts, axis=1)
        churners = np.add.reduceat(by_rank * churned, starts, axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            return _from_groups(mass, churners, tops={**TOPS, "capacity": capacity})

    return compute


def recall_at(labels: FloatArray, scores: FloatArray, *, share: float) -> Callable[[FloatArray], FloatArray]:
    """A function from weights `[replicates, rows]` to the churners among the first `share` of the list, of all.

    >>> labels, scores = np.array([0.0, 0.0, 1.0, 1.0]), np.array([0.1, 0.4, 0.35, 0.8])
    >>> float(recall_at(labels, scores, share=0.25)(np.ones((1, 4)))[0])
    0.5
    """
    order = np.argsort(-scores, kind="stable")
    ranked, churned = scores[order], labels[order]
    starts = np.flatnonzero(np.concatenate([[True], ranked[1:] != ranked[:-1]]))

    def compute(weights: FloatArray) -> FloatArray:
        by_rank = weights[:, order]
        reached = np.cumsum(np.add.reduceat(by_rank, starts, axis=1), axis=1)
        caught = np.cumsum(np.add.reduceat(by_rank * churned, starts, axis=1), axis=1)
        hits, churners = _caught_at(share * reached[:, -1], reached=reached, caught=caught), caught[:, -1]
        with np.errstate(divide="ignore", invalid="ignore"):
            return np.where(churners > 0, hits / churners, np.nan)

    return compute


def share_of(contacts: int, *, rows: int, cutoffs: int = 1) -> float:
    """So many users at each cutoff as a share of all rows, which is what a capacity is; at most all of them.

    >>> share_of(10, rows=50), share_of(10, rows=100, cutoffs=2), share_of(80, rows=50)
    (0.2, 0.2, 1.0)
    """
    return min(1.0, contacts * cutoffs / max(1, rows))


def _from_groups(mass: FloatArray, churners: FloatArray, *, tops: dict[str, float]) -> dict[str, FloatArray]:
    """The metrics from each tie group's weight and churners' weight, best group first."""
    reached, caught = np.cumsum(mass, axis=1), np.cumsum(churners, axis=1)
    total, all_churners = reached[:, -1], caught[:, -1]
    stayers = mass - churners
    below = (total - all_churners)[:, None] - np.cumsum(stayers, axis=1)
    auc = (churners * (below + stayers / 2)).sum(axis=1) / (all_churners * (total - all_churners))
    precision = np.where(reached > 0, caught / reached, 0.0)
    average = (churners * precision).sum(axis=1) / all_churners
    one_class = (all_churners == 0) | (all_churners == total)
    metrics = {"auc": np.where(one_class, np.nan, auc), "pr_auc": np.where(one_class, np.nan, average)}
    for top, share in tops.items():
        hits = _caught_at(share * total, reached=reached, caught=caught)
        recall = np.where(all_churners > 0, hits / all_churners, np.nan)
        metrics[f"precision_at_{top}"] = hits / (share * total)
        metrics[f"recall_at_{top}"] = recall
        metrics[f"lift_at_{top}"] = recall / share
    return metrics


def _caught_at(quota: FloatArray, *, reached: FloatArray, caught: FloatArray) -> FloatArray:
    """Churners among the first `quota` of the weight; the group on the border gives its share."""
    border = (reached < quota[:, None]).sum(axis=1)
    rows = np.arange(len(quota))
    border = np.minimum(border, reached.shape[1] - 1)
    before = np.maximum(border - 1, 0)
    reached_before = np.where(border > 0, reached[rows, before], 0.0)
    caught_before = np.where(border > 0, caught[rows, before], 0.0)
    group = reached[rows, border] - reached_before
    part = (quota - reached_before) / np.where(group > 0, group, 1.0)
    within: FloatArray = np.clip(part, 0, 1) * (caught[rows, border] - caught_before)
    return caught_before + within
