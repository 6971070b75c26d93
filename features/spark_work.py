"""What a Spark task is told and does: a bucket's files in, snapshots out; plain data that travels as one text."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Self

import numpy as np

from features import populations
from features.feature_set import FeatureSet
from features.fifths import DatedFifths, Fifths
from features.log import EventLog
from features.plan import Plan, make_plan
from features.population import Population
from features.reading import read_events
from features.snapshots import Snapshots, of_events, wanted_by
from features.user_events import UserEvents
from features.windows import from_microseconds, to_microseconds

Edges = Mapping[int, Sequence[Sequence[float]]]  # cutoff, microseconds -> where the fifths of relative features end


@dataclass(frozen=True)
class Work:
    """The features of which users at which cutoffs, and the files of each bucket."""

    files: tuple[tuple[str, ...], ...]
    features: FeatureSet
    cutoffs: tuple[datetime, ...]
    population: Population
    as_known: bool
    edges: Edges = field(default_factory=dict)  # empty until the whole population has been seen

    @classmethod
    def on(
        cls,
        log: EventLog,
        features: FeatureSet,
        *,
        cutoffs: Sequence[datetime],
        population: Population,
        as_known: bool,
    ) -> Self:
        """The work on the version of the log that is open."""
        files = tuple(tuple(str(path.absolute()) for path in bucket) for bucket in log.files)
        return cls(files, features, tuple(cutoffs), population, as_known)

    @property
    def buckets(self) -> int:
        """How many tasks there are."""
        return len(self.files)

    @cached_property
    def plan(self) -> Plan:
        """The plan of its features."""
        return make_plan(self.features)

    @property
    def relative(self) -> "Work | None":
        """The same with only those features that are relative to the population; none when there are none."""
        chosen = tuple(self.features.features[place] for place in self.plan.program.relative.tolist())
        return replace(self, features=FeatureSet(chosen), edges={}) if chosen else None

    def read(self, bucket: int) -> UserEvents:
        """The events of a bucket, with all that the features read of them."""
        wanted = wanted_by(self.plan, as_known=self.as_known, population=self.population)
        return read_events([Path(name) for name in self.files[bucket]], wanted)

    def snapshots(self, events: UserEvents) -> Snapshots:
        """The snapshots of a bucket's users; the same bits as without Spark once the edges of fifths are known."""
        found = of_events(
            events,
            self.plan,
            self.features.names,
            cutoffs=self.cutoffs,
            population=self.population,
            as_known=self.as_known,
        )
        for cutoff, edges in self.edges.items():
            fifths = Fifths(np.array(edges, dtype=np.float64))
            fifths.put(found.matrix, self.plan.program.relative, rows=found.cutoffs == cutoff)
        return found

    def fifths_at(self, cutoff: datetime) -> DatedFifths | None:
        """The fifths at a cutoff with their date; none where no feature asks, or before the population was seen."""
        edges = self.edges.get(to_microseconds(cutoff))
        return None if edges is None else DatedFifths(cutoff, self.features.fingerprint, tuple(map(tuple, edges)))

    def to_text(self) -> str:
        """JSON that `from_text` reads back."""
        document = {
            "files": self.files,
            "features": self.features.to_json(),
            "cutoffs": [to_microseconds(cutoff) for cutoff in self.cutoffs],
            "population": populations.to_json(self.population),
            "as_known": self.as_known,
            "edges": [[cutoff, edges] for cutoff, edges in self.edges.items()],
        }
        return json.dumps(document)

    @classmethod
    def from_text(cls, text: str) -> Self:
        """The work that `to_text` wrote."""
        document = json.loads(text)
        return cls(
            files=tuple(tuple(bucket) for bucket in document["files"]),
            features=FeatureSet.from_json(document["features"]),
            cutoffs=tuple(from_microseconds(cutoff) for cutoff in document["cutoffs"]),
            population=populations.from_json(document["population"]),
            as_known=document["as_known"],
            edges=dict(document["edges"]),
        )


@lru_cache(maxsize=2)
def work_of(text: str) -> Work:
    """`Work.from_text`, planned once in a process that Spark gives one bucket after the other."""
    return Work.from_text(text)
