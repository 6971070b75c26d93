"""A small shop as it is today: its events end now, so that everything that the service can answer is answered."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from features.windows import days, shift
from serving.scoring import ScoredPopulation, score_population
from serving.settings import DataFolder
from serving.store import ScoreStore
from tests.shop import DEFINITION, FEATURES, QUICK, publish, visits, write
from training.run import train


@dataclass(frozen=True)
class OpenShop:
    folder: DataFolder
    scored: ScoredPopulation
    now: datetime

    @property
    def user(self) -> str:
        """Somebody who has a score."""
        return str(self.scored.user_ids[0])

    def score(self, store: ScoreStore) -> None:
        """A night's run of all."""
        store.write_run(self.scored.facts, self.scored.scores(), now=self.now)


def open_shop(folder: Path) -> OpenShop:
    """The shop, trained and scored just now, with a risk curve."""
    now = datetime.now(UTC)
    log = write(folder / "events", visits(users=120), start=shift(now, days(-211)))
    settings = replace(QUICK, risk_curve=True)
    learnt = train(log, DEFINITION, FEATURES, now=now, code_version="0.1.0", settings=settings)
    publish(learnt, folder / "champion", "1")
    scored = score_population(log, learnt.bundle, cutoff=now, model_version="1")
    return OpenShop(DataFolder(folder / "champion", folder / "events"), scored, now)
