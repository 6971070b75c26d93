"""What the gate says of challengers whose worth is known, and how long a rollback takes under load.

    python -m benchmarks.gate [--seeds 20] [--faults 5] [--no-rollback] [--keep FILE]

Every seed is another log. On each a plain retraining stands against the champion twice: the same training with another
seed, and a new training against a champion that was trained twelve weeks before. On the first `--faults` of them the
planted faults and an honest improvement go through the gate too. With `--keep` every verdict is kept in a file, and
what is there is not asked again.
"""

import argparse
import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache, partial
from pathlib import Path

from benchmarks import pages
from benchmarks.gate.rollback import CLIENTS, SCORES_AT_ONCE, Rolled, rolled
from benchmarks.gate.trials import (
    FAULTS,
    MONEY,
    RICH,
    SETTINGS,
    SHOP,
    Held,
    Plant,
    Shop,
    the_same_with_another_seed,
)
from benchmarks.simulate.world import World
from features.feature_set import FeatureSet
from models.bundle import Bundle
from training.fit import TrainSettings
from training.run import Training

RESULTS = Path(__file__).parent.parent / "results" / "gate.md"
PLAIN, FAULTY, BETTER = "plain", "faulty", "better"  # the questions


@dataclass(slots=True)
class Book:
    """What was said: by seed, question and challenger; in a file too, if there is one."""

    held: dict[tuple[int, str, str], Held] = field(default_factory=dict)
    file: Path | None = None

    @classmethod
    def of(cls, file: Path | None) -> "Book":
        """A book with all that an earlier run wrote down there."""
        book = cls(file=file)
        for line in file.read_text("utf-8").splitlines() if file and file.exists() else ():
            told = json.loads(line)
            book.held[told["seed"], told["question"], told["name"]] = Held.from_json(told["held"])
        return book

    def add(self, seed: int, question: str, name: str, held: Held) -> None:
        """Write down, and say."""
        self.held[seed, question, name] = held
        print(f"  {name}: {'passed' if held.passed else ', '.join(held.failed)} ({held.seconds:.0f} s)", flush=True)
        if self.file:
            told = {"seed": seed, "question": question, "name": name, "held": asdict(held)}
            with self.file.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(told)}\n")

    def on(self, question: str) -> dict[str, list[Held]]:
        """All verdicts on a question, by challenger."""
        found: dict[str, list[Held]] = {}
        for (_, asked, name), held in self.held.items():
            if asked == question:
                found.setdefault(name, []).append(held)
        return found


def look(
    book: Book, *, seed: int, faults: Sequence[Plant], world: World = SHOP, settings: TrainSettings = SETTINGS
) -> None:
    """Everything on the log of one seed that is not in the book."""
    print(f"seed {seed}", flush=True)
    shop = Shop.of(world, seed=seed, settings=settings)
    for question, name, hold in _trials(shop, faults):
        if (seed, question, name) not in book.held:
            book.add(seed, question, name, hold())


def _trials(shop: Shop, faults: Sequence[Plant]) -> Iterator[tuple[str, str, Callable[[], Held]]]:
    """Questions, challengers and how they go through the gate; what is trained is trained when it is first needed."""
    new = cache(lambda: shop.trained(seed=shop.seed))

    def earlier(features: FeatureSet) -> Bundle:
        return shop.trained(features, earlier=True, seed=shop.seed).bundle

    yield (
        PLAIN,
        "the same history, another seed",
        lambda: shop.held(new().bundle, the_same_with_another_seed(shop, new())),
    )
    yield PLAIN, "twelve weeks later", lambda: shop.held(earlier(RICH), new().bundle)
    for plant in faults:
        yield FAULTY, plant.__name__, partial(_faulty, shop, new, plant)
    if faults:
        yield BETTER, "of the same day", lambda: shop.held(shop.trained(MONEY, seed=shop.seed).bundle, new().bundle)
        yield BETTER, "of twelve weeks before", lambda: shop.held(earlier(MONEY), new().bundle)


def _faulty(shop: Shop, new: Callable[[], Training], plant: Plant) -> Held:
    return shop.held(new().bundle, plant(shop, new()))


def page(book: Book, back: Rolled | None, *, seeds: int, faults: int) -> str:
    """The figures as a page."""
    lines = [HEAD.format(seeds=seeds, faults=faults)]
    lines += ["## Plain retrainings", "", ALL_FALSE, "| challenger | refused | by |", "|---|---:|---|"]
    for name, held in book.on(PLAIN).items():
        refused = [one for one in held if not one.passed]
        lines.append(f"| {name} | {len(refused)} of {len(held)} | {_by(refused)} |")
    lines += ["", "## Planted regressions", "", "| planted | refused | by |", "|---|---:|---|"]
    faulty = book.on(FAULTY)
    for plant in FAULTS:
        held = faulty.get(plant.__name__, [])
        refused = [one for one in held if not one.passed]
        said = f"{plant.__name__.replace('_', ' ')}: {(plant.__doc__ or '').strip()}"
        lines.append(f"| {said} | {len(refused)} of {len(held)} | {_by(refused)} |")
    better = [one for held in book.on(BETTER).values() for one in held]
    passed = sum(one.passed for one in better)
    lines += ["", "## An honest improvement", "", MORE.format(passed=passed, held=len(better)), ""]
    if back is not None:
        lines += ["## Rollback under load", "", _said(back)]
    return "\n".join(lines)


HEAD = """# The gate

Two shared cores:

```sh
python -m benchmarks.gate --seeds {seeds} --faults {faults}
```

Every seed is another log of 4,000 users over a year, a *stable* world of [simulate](simulate.md); about 2,100 users are
in the population at each window. None of these logs played a part when the margins were chosen. Models have eleven
features and default settings; the gate has its default rules. What a training said of its own model is not asked here.
"""
ALL_FALSE = """Nothing is wrong with any of these challengers; every refusal is a false one.
"""
MORE = """The champion knows what was spent, the challenger the visits too; twice on each log, against a champion of
the same day and against one of twelve weeks before. {passed} of {held} were accepted."""


def _said(back: Rolled) -> str:
    return f"""{back.users:,} users were known to two versions; {CLIENTS} clients looked up {SCORES_AT_ONCE:,} users, or
asked for the 200 most at risk, all the time while `holdfast serve` ran, and `holdfast rollback` was called.

| | |
|---|---:|
| from the command to the first answer of the restored version | {back.first_of_other:.1f} s |
| from the command to the last answer of the other version | {back.last_of_old:.1f} s |
| the command itself, start of Python included | {back.seconds_of_command:.1f} s |
| answers heard, a second | {back.answers:,}, {back.answers_a_second:.0f} |
| answers of more than one version | {back.mixed} |
| failed requests | {back.failed} |
"""


def _by(refused: Sequence[Held]) -> str:
    counted = Counter(name for one in refused for name in one.failed)
    return ", ".join(f"{name} ({count})" for name, count in counted.most_common()) or "none"


def main() -> None:
    """Hold all trials, write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--faults", type=int, default=5, help="of the seeds, those with planted faults too")
    parser.add_argument("--no-rollback", action="store_true")
    parser.add_argument("--keep", type=Path, help="file of all verdicts, a line of JSON each; goes on where it ended")
    parser.add_argument("--to", type=Path, default=RESULTS)
    asked = parser.parse_args()
    back = None
    if not asked.no_rollback:
        with tempfile.TemporaryDirectory() as folder:
            back = rolled(Path(folder), SHOP)
            print(back, flush=True)
    book = Book.of(asked.keep)
    for seed in range(asked.seeds):
        look(book, seed=seed, faults=FAULTS if seed < asked.faults else ())
        pages.write(page(book, back, seeds=seed + 1, faults=min(asked.faults, seed + 1)), asked.to)


if __name__ == "__main__":
    main()
