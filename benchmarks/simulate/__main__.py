"""How near a training comes to the truth, in worlds whose truth is known.

    python -m benchmarks.simulate [--seeds 5] [--only WORLD] [--keep FILE]

Every seed of every world is learnt from by the product's own training with the standard features and default settings.
Its tested model is asked at the newest cutoff whose outcome is known, its deployed model at the end of the log, where
nobody knows the outcome yet; both answers are held against the true probability of each user. With `--keep` every line
is kept in a file, and what is there is not looked at again.
"""

import argparse
import json
from pathlib import Path

from benchmarks import pages
from benchmarks.simulate.found import Found, look
from benchmarks.simulate.page import page
from benchmarks.simulate.world import WORLDS

RESULTS = Path(__file__).parent.parent / "results" / "simulate.md"


def main() -> None:
    """Look at every seed of every world, a line each, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", default="", help="only worlds whose name holds this text")
    parser.add_argument("--to", type=Path, default=RESULTS)
    parser.add_argument("--keep", type=Path, help="file that holds what was found, a line of JSON each")
    asked = parser.parse_args()
    known = {(one.world, one.seed): one for one in _kept(asked.keep)}
    wanted = [(world, seed) for seed in range(asked.seeds) for world in WORLDS if asked.only in world.name]
    for world, seed in (each for each in wanted if each not in known):
        known[world, seed] = look(world, seed=seed)
        print(_line(known[world, seed]), flush=True)
        if asked.keep:
            with asked.keep.open("a", encoding="utf-8") as file:
                file.write(f"{json.dumps(known[world, seed].to_json())}\n")
    found = [known[each] for each in sorted(wanted, key=lambda each: (WORLDS.index(each[0]), each[1]))]
    pages.write(page(found, seeds=asked.seeds), asked.to)


def _kept(file: Path | None) -> list[Found]:
    if file is None or not file.exists():
        return []
    return [Found.from_json(json.loads(line)) for line in file.read_text("utf-8").splitlines()]


def _line(one: Found) -> str:
    words = f"{one.world.name} {one.seed}: deployed ÷ true {one.deployed.ratio:.3f}, rank {one.deployed.rank:.3f}"
    words += f", lost {one.deployed.lost:.4f} of {one.deployed.least_loss:.3f}; tested {one.tested.ratio:.3f}"
    alarms = f", ALARM {', '.join(one.alarms)}" if one.alarms else ""
    return f"{words}; {one.decision}{alarms}; {one.seconds:.0f} s"


if __name__ == "__main__":
    main()
