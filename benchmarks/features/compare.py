"""Two sides' rows at one cutoff: the same users, the same missing values, and the largest relative difference."""

import argparse
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from benchmarks.features.subject import SAMPLES, names

TOLERANCE = 1e-9


def main() -> None:
    """Print what was compared and the worst difference as JSON; fail when it is too large."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("peer")
    parser.add_argument("--folder", type=Path, required=True)
    options = parser.parse_args()
    ours, theirs = (_rows(options.folder, side) for side in ("hundred", options.peer))
    if options.peer in SAMPLES:
        ours = ours.filter(pc.ends_with(ours["user_id"], SAMPLES[options.peer]))
    if not ours["user_id"].equals(theirs["user_id"]):
        raise SystemExit(f"{options.peer} chose other users: {len(theirs):,}, ours are {len(ours):,}")
    both = [name for name in names() if name in theirs.column_names]
    worst = max(_difference(name, ours[name], theirs[name]) for name in both)
    print(json.dumps({"rows": len(ours), "columns": len(both), "worst": worst}))


def _rows(folder: Path, side: str) -> pa.Table:
    return pq.read_table(folder / f"rows-{side}.parquet").sort_by("user_id").combine_chunks()


def _difference(name: str, ours: pa.ChunkedArray, theirs: pa.ChunkedArray) -> float:
    mine, other = (np.asarray(side.to_numpy(), dtype=np.float64) for side in (ours, theirs))
    if not np.array_equal(np.isnan(mine), np.isnan(other)):
        raise SystemExit(f"{name} is missing for other users")
    known = ~np.isnan(mine) & (mine != other)
    largest = np.maximum(np.abs(mine[known]), np.abs(other[known]))
    worst = float(np.max(np.abs(mine[known] - other[known]) / largest, initial=0.0))
    if worst > TOLERANCE:
        raise SystemExit(f"{name} differs by {worst:.1e}, at most {TOLERANCE} is allowed")
    return worst


if __name__ == "__main__":
    main()
