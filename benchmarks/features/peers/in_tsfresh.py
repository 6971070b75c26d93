"""What tsfresh makes of the same events, on a small sample of users, in an environment of its own.

It knows neither cutoffs nor windows, so its columns are others: ten statistics of the values of each kind's series.
The largest value of each kind is the one that all sides have, and is compared.
"""

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tsfresh import extract_features
from tsfresh.feature_extraction import MinimalFCParameters

from benchmarks.features.job import Job
from benchmarks.features.subject import KINDS, LOOK_BACK


def minimal(job: Job) -> Iterator[pa.Table]:
    """The minimal features of every kind; events without a value count as 0, as tsfresh takes no missing ones."""
    events = pq.read_table(job.sample("tsfresh")).to_pandas()
    for cutoff in job.cutoffs:
        past = events[events["time"] < cutoff]
        recent = past.loc[past["time"] >= cutoff - LOOK_BACK, "user_id"].unique()
        past = past[past["user_id"].isin(recent)].fillna({"value": 0.0})
        found = extract_features(
            past[["user_id", "time", "event", "value"]],
            column_id="user_id",
            column_sort="time",
            column_kind="event",
            column_value="value",
            default_fc_parameters=MinimalFCParameters(),
            n_jobs=0,
            disable_progressbar=True,
        )
        found = found.rename(columns={f"{kind}__maximum": f"{kind}_largest" for kind in KINDS})
        found["visit_largest"] = np.nan  # never has a value; tsfresh was told 0
        yield pa.Table.from_pandas(found.rename_axis("user_id").reset_index(), preserve_index=False)
