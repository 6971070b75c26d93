"""How near a training comes to the truth, in worlds whose truth is known.

    python -m benchmarks.simulate [--seeds 5] [--only WORLD]

Every seed of every world is learnt from by the product's own training with the standard features and default settings.
Its tested model is asked at the newest cutoff whose outcome is known, its deployed model at the end of the log, where
nobody knows the outcome yet; both answers are held against the true probability of each user.
"""

import argparse
from pathlib import Path

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
    asked = parser.parse_args()
    found = []
    for world in (each for each in WORLDS if asked.only in each.name):
        for seed in range(asked.seeds):
            found.append(look(world, seed=seed))
            print(_line(found[-1]), flush=True)
    asked.to.write_text(page(found, seeds=asked.seeds), "utf-8")


def _line(one: Found) -> str:
    words = f"{one.world.name} {one.seed}: deployed ÷ true {one.deployed.ratio:.3f}, rank {one.deployed.rank:.3f}"
    words += f", lost {one.deployed.lost:.4f} of {one.deployed.least_loss:.3f}; tested {one.tested.ratio:.3f}"
    alarms = f", ALARM {', '.join(one.alarms)}" if one.alarms else ""
    return f"{words}; {one.decision}{alarms}; {one.seconds:.0f} s"


if __name__ == "__main__":
    main()
