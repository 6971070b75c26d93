"""What the gate says of challengers whose worth is known, and how long a rollback takes under load.

    python -m benchmarks.gate [--seeds 20] [--faults 5] [--no-rollback]

Every seed is another log. On each a plain retraining stands against the champion twice: the same training with another
seed, and a new training against a champion that was trained twelve weeks before. On the first `--faults` of them the
planted faults and an honest improvement go through the gate too.
"""

import argparse
import tempfile
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.gate.rollback import CLIENTS, SCORES_AT_ONCE, Rolled, rolled
from benchmarks.gate.trials import (
    FAULTS,
    MONEY,
    SETTINGS,
    SHOP,
    Held,
    Plant,
    Shop,
    the_same_with_another_seed,
)
from benchmarks.simulate.world import World
from training.fit import TrainSettings

RESULTS = Path(__file__).parent.parent / "results" / "gate.md"


@dataclass(slots=True)
class Book:
    """What was said, by question."""

    plain: dict[str, list[Held]] = field(default_factory=dict)
    faults: dict[str, list[Held]] = field(default_factory=dict)
    better: list[Held] = field(default_factory=list)

    def add(self, where: dict[str, list[Held]], name: str, held: Held) -> None:
        """Write down, and say."""
        where.setdefault(name, []).append(held)
        print(f"  {name}: {'passed' if held.passed else ', '.join(held.failed)} ({held.seconds:.0f} s)", flush=True)


def look(
    book: Book, *, seed: int, faults: Sequence[Plant], world: World = SHOP, settings: TrainSettings = SETTINGS
) -> None:
    """Everything on the log of one seed."""
    print(f"seed {seed}", flush=True)
    shop = Shop.of(world, seed=seed, settings=settings)
    new = shop.trained(seed=seed)
    old = shop.trained(earlier=True, seed=seed)
    again = the_same_with_another_seed(shop, new)
    book.add(book.plain, "the same history, another seed", shop.held(new.bundle, again))
    book.add(book.plain, "twelve weeks later", shop.held(old.bundle, new.bundle))
    if not faults:
        return
    for plant in faults:
        book.add(book.faults, plant.__name__, shop.held(new.bundle, plant(shop, new)))
    better = {"better": book.better}
    book.add(better, "better", shop.held(shop.trained(MONEY, seed=seed).bundle, new.bundle))
    old_poor = shop.trained(MONEY, earlier=True, seed=seed)
    book.add(better, "better", shop.held(old_poor.bundle, new.bundle))


def page(book: Book, back: Rolled | None, *, seeds: int, faults: int) -> str:
    """The figures as a page."""
    lines = [HEAD.format(seeds=seeds, faults=faults)]
    lines += ["## Plain retrainings", "", PLAIN, "| challenger | refused | by |", "|---|---:|---|"]
    for name, held in book.plain.items():
        refused = [one for one in held if not one.passed]
        lines.append(f"| {name} | {len(refused)} of {len(held)} | {_by(refused)} |")
    lines += ["", "## Planted regressions", "", "| planted | refused | by |", "|---|---:|---|"]
    for plant in FAULTS:
        held = book.faults.get(plant.__name__, [])
        refused = [one for one in held if not one.passed]
        said = f"{plant.__name__.replace('_', ' ')}: {(plant.__doc__ or '').strip()}"
        lines.append(f"| {said} | {len(refused)} of {len(held)} | {_by(refused)} |")
    passed = sum(one.passed for one in book.better)
    lines += ["", "## An honest improvement", "", BETTER.format(passed=passed, held=len(book.better)), ""]
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
PLAIN = """Nothing is wrong with any of these challengers; every refusal is a false one.
"""
BETTER = """The champion knows what was spent, the challenger the visits too; twice on each log, against a champion of
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
    parser.add_argument("--to", type=Path, default=RESULTS)
    asked = parser.parse_args()
    back = None
    if not asked.no_rollback:
        with tempfile.TemporaryDirectory() as folder:
            back = rolled(Path(folder), SHOP)
            print(back, flush=True)
    book = Book()
    for seed in range(asked.seeds):
        look(book, seed=seed, faults=FAULTS if seed < asked.faults else ())
        asked.to.write_text(page(book, back, seeds=seed + 1, faults=min(asked.faults, seed + 1)), "utf-8")


if __name__ == "__main__":
    main()
