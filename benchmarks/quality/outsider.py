"""One peer in an environment of its own: what it learns of the rows in a folder within so many seconds.

It imports nothing of ours, for it runs beside older libraries than ours. The folder holds `fit.parquet` and
`test.parquet` (features, `_label`, and for fit rows `_part`: train, gap or validation), or for BG/NBD
`purchases.parquet` (user, day) and `asked.parquet` (user). Probabilities are written to `said.parquet`, and what it
took is printed as the last line, as JSON.

The rows of `validation` are those of the newest cutoff, the rows of `train` those of cutoffs whose horizons were over
then; what lies in between (`gap`) is learnt from only when everything is fitted anew by the settings that were chosen.
"""

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

CLASSIFICATION = "classification"
PENALTIES = (0.0, 1e-4, 1e-3, 1e-2)  # of BG/NBD: the first with which it converges


@dataclass(frozen=True)
class Task:
    """What a peer is asked."""

    folder: Path
    seconds: float
    threads: int
    seed: int
    cutoff: float  # days since 1970, for BG/NBD
    horizon: float  # days

    def rows(self, *parts: str) -> pd.DataFrame:
        """Fit rows of these parts, with labels."""
        found = pd.read_parquet(self.folder / "fit.parquet")
        return found[found["_part"].isin(parts)].drop(columns="_part").reset_index(drop=True)

    def test(self) -> pd.DataFrame:
        """The features of the test rows."""
        return pd.read_parquet(self.folder / "test.parquet")


Said = tuple[np.ndarray, dict[str, Any]]  # Any: JSON


def flaml(task: Task) -> Said:
    """FLAML's search by log loss on the newest rows, then its best settings fitted on all."""
    from flaml import AutoML

    train, later = task.rows("train"), task.rows("validation")
    log = str(task.folder / "flaml.log")
    search = AutoML()
    search.fit(
        train.drop(columns="_label"), train["_label"], X_val=later.drop(columns="_label"), y_val=later["_label"],
        task=CLASSIFICATION, metric="log_loss", eval_method="holdout", time_budget=task.seconds, retrain_full=False,
        n_jobs=task.threads, seed=task.seed, log_file_name=log, log_type="better", verbose=0,
    )  # fmt: skip
    everything = task.rows("train", "gap", "validation")
    final = AutoML()
    final.retrain_from_log(
        log_file_name=log, X_train=everything.drop(columns="_label"), y_train=everything["_label"],
        task=CLASSIFICATION, train_full=True, n_jobs=task.threads,
    )  # fmt: skip
    return final.predict_proba(task.test())[:, 1], {"best": search.best_estimator, "validation": search.best_loss}


def autogluon(task: Task) -> Said:
    """AutoGluon with the newest rows to tune and weigh by, then all its models fitted anew on all rows."""
    from autogluon.tabular import TabularPredictor

    predictor = TabularPredictor("_label", problem_type="binary", eval_metric="log_loss", verbosity=0,
                                 path=str(task.folder / "autogluon"))  # fmt: skip
    predictor.fit(
        task.rows("train"), tuning_data=task.rows("validation"), time_limit=task.seconds, presets="medium_quality",
        num_cpus=task.threads, num_gpus=0,
    )  # fmt: skip
    board = predictor.leaderboard(silent=True)
    best = predictor.model_best
    predictor.refit_full(train_data_extra=task.rows("gap"), num_cpus=task.threads, num_gpus=0)
    said = predictor.predict_proba(task.test())[1].to_numpy()
    return said, {"best": best, "validation": -float(board["score_val"].max()), "models": len(board)}


def bg_nbd(task: Task) -> Said:
    """BG/NBD by lifetimes: the chance of no purchase within the horizon, after all purchases before the cutoff."""
    from lifetimes import BetaGeoFitter
    from lifetimes.utils import ConvergenceError

    bought = pd.read_parquet(task.folder / "purchases.parquet").drop_duplicates()
    days = bought.groupby("user")["day"].agg(["min", "max", "count"])
    frequency, recency = days["count"] - 1, days["max"] - days["min"]
    age = task.cutoff - days["min"]
    for penalty in PENALTIES:
        fitter = BetaGeoFitter(penalizer_coef=penalty)
        with contextlib.suppress(ConvergenceError):  # nobody seems to leave: the likelihood has no end
            fitter.fit(frequency, recency, age)
            break
    shape, rate = fitter.params_["r"], fitter.params_["alpha"]
    alive = fitter.conditional_probability_alive(frequency, recency, age)
    quiet = ((rate + age) / (rate + age + task.horizon)) ** (shape + frequency)  # if alive: gamma posterior of the pace
    gone = pd.Series(1 - alive * (1 - quiet), index=days.index)
    asked = pd.read_parquet(task.folder / "asked.parquet")["user"]
    return gone.loc[asked].to_numpy(), {"penalty": penalty, **{name: float(v) for name, v in fitter.params_.items()}}


PEERS: dict[str, Callable[[Task], Said]] = {"flaml": flaml, "autogluon": autogluon, "bg_nbd": bg_nbd}


def main() -> None:
    """Ask one peer."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("peer", choices=PEERS)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--cutoff", type=float, default=0.0, help="days since 1970")
    parser.add_argument("--horizon", type=float, default=0.0, help="days")
    asked = parser.parse_args()
    task = Task(asked.folder, asked.seconds, asked.threads, asked.seed, asked.cutoff, asked.horizon)
    began, worked = time.perf_counter(), _processor()
    said, told = PEERS[asked.peer](task)
    told |= {"wall": time.perf_counter() - began, "processor": _processor() - worked}
    pd.DataFrame({"probability": said.astype(float)}).to_parquet(asked.folder / "said.parquet")
    print(json.dumps(told), file=sys.stdout)


def _processor() -> float:
    """Processor seconds so far, children that have ended included."""
    each = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(found.ru_utime + found.ru_stime for found in each)


if __name__ == "__main__":
    main()
