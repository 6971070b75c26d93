"""The page of figures: what was found in each world, over its seeds."""

from collections.abc import Callable, Sequence

import numpy as np

from benchmarks.simulate.found import Found
from benchmarks.simulate.judge import Recovered

HEAD = """# Against known truth

Worlds in which the true probability of each user is known, two shared cores:

```sh
python -m benchmarks.simulate --seeds {seeds}
```

Users come at a pace of their own until they are gone for good; neither is told. What happens to all of them is known to
the simulation: a *season* of the visits (up to e^0.5 above and below the usual level), *drift* (visits fade, users are
gone sooner), *campaigns* (a mail every eight weeks to most of those who have been silent for a fortnight and to few
others; it doubles visits and halves the hazard for four weeks). Churn is no visit for 28 days, the population is who
visited in the 56 days before; the worlds with a season hold 640 days, the others 364. The law, and why its
probabilities are exact, is in `benchmarks/simulate/world.py` and `truth.py`. Trainings are the product's own, with the
standard features and default settings.

- *best*: the probability given everything that the log holds about a user, for somebody who knows the law of the world
  and its parameters. Nobody can be better on average.
- *fate*: the probability for somebody who is told the user's pace and hazard, and whether he is gone already.

Figures are means over the seeds, in brackets the least and the most of them.
"""

READING = """
`lost` is what the expected log loss is above that of *best*, in nats, `of` what *best* itself has. `rank` is
Spearman's correlation. `apart` is the calibration error: the mean distance of predicted and true in ten bins of
predicted.
"""


def page(found: Sequence[Found], *, seeds: int) -> str:
    """The whole page."""
    worlds = list(dict.fromkeys(one.world.name for one in found))
    by_world = [(name, [one for one in found if one.world.name == name]) for name in worlds]
    parts = [HEAD.format(seeds=seeds)]
    parts.append("## Deployed model, at the end of the log\n\nThe outcome of these rows is known to nobody yet.\n")
    parts.append(_recovered(by_world, lambda one: one.deployed))
    parts.append("\n## Tested model, at the newest cutoff whose outcome is known\n")
    parts.append(_recovered(by_world, lambda one: one.tested))
    parts.append(READING)
    parts.append("\n## The same rows, by others\n\n`lost` as above.\n")
    parts.append(_others(by_world))
    parts.append("\n## What the report said of the tested rows\n")
    parts.append(_reported(by_world))
    parts.append("\n## The assistant's threshold\n\n" + THRESHOLD)
    parts.append(_thresholds(by_world))
    parts.append("\n## False alarms\n")
    parts.append(_alarms(found))
    return "\n".join(parts)


THRESHOLD = """`holdfast define` does not know who is gone: it takes a long silence for it (column *gone after*). The
truth knows. Errors are users called gone who are there, and called there who are gone, for every 100 who are there, at
the assistant's threshold and at the best one. *Within* says in how many seeds the true threshold lies in the
assistant's 95 % interval.
"""

_Row = tuple[str, list[Found]]


def _recovered(by_world: Sequence[_Row], which: Callable[[Found], Recovered]) -> str:
    lines = [
        "| world | users | true share | predicted ÷ true | apart | RMSE | rank with best | with fate | best with fate "
        "| lost | of |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---:|---:|",
    ]
    for name, found in by_world:
        rows = [which(one) for one in found]
        cells = [
            f"{np.mean([row.rows for row in rows]):,.0f}",
            f"{np.mean([row.true_rate for row in rows]):.3f}",
            _spread([row.ratio for row in rows], 3),
            _spread([row.calibration_error for row in rows], 3),
            f"{np.mean([row.rmse for row in rows]):.3f}",
            _spread([row.rank for row in rows], 3),
            f"{np.mean([row.rank_with_fate for row in rows]):.3f}",
            f"{np.mean([row.rank_reachable for row in rows]):.3f}",
            _spread([row.lost for row in rows], 4),
            f"{np.mean([row.least_loss for row in rows]):.3f}",
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _others(by_world: Sequence[_Row]) -> str:
    names = list(by_world[0][1][0].baselines)
    said = [name.replace("_", " ") for name in names]
    lines = [f"| world | Holdfast | {' | '.join(said)} |", f"|---|---:|{'---:|' * len(names)}"]
    for world, found in by_world:
        ours = _spread([one.tested.lost for one in found], 4)
        theirs = [_spread([one.baselines[name].lost for one in found], 4) for name in names]
        lines.append(f"| {world} | {ours} | {' | '.join(theirs)} |")
    return "\n".join(lines) + "\n"


def _reported(by_world: Sequence[_Row]) -> str:
    lines = [
        "| world | predicted ÷ observed | ÷ true | calibration error, observed | true | level | verdicts |",
        "|---|---:|---:|---:|---:|---|---|",
    ]
    for name, found in by_world:
        levels = _counted([one.level for one in found])
        cells = [
            _spread([one.observed_ratio for one in found], 3),
            _spread([one.tested.ratio for one in found], 3),
            _spread([one.observed_error for one in found], 3),
            _spread([one.tested.calibration_error for one in found], 3),
            levels,
            _counted([one.decision for one in found]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _thresholds(by_world: Sequence[_Row]) -> str:
    lines = [
        "| world | gone after, days | assistant, days | true, days | within | errors at it | fewest possible "
        "| recommended |",
        "|---|---:|---:|---:|---:|---:|---:|---|",
    ]
    for name, found in by_world:
        each = [one.threshold for one in found]
        within = sum(one.assistant_low <= one.true <= one.assistant_high for one in each)
        cells = [
            f"{np.mean([one.gone_after for one in each]):.0f}",
            _spread([one.assistant for one in each], 0),
            _spread([one.true for one in each], 0),
            f"{within} of {len(each)}",
            _spread([100 * one.errors for one in each], 1),
            _spread([100 * one.fewest_errors for one in each], 1),
            _counted([one.recommended for one in each]),
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _alarms(found: Sequence[Found]) -> str:
    raised = [one for one in found if one.alarms]
    said = [f"- {one.world.name}, seed {one.seed}: {', '.join(one.alarms)}" for one in raised]
    words = (
        "None of these logs holds a leak. The checks for leaks, and the verdict's suspicion of a model that is too "
        f"good, were raised on {len(raised)} of {len(found)}"
    )
    words += ":" if raised else "."
    seconds = f"A training took {np.mean([one.seconds for one in found]):.0f} s on average, on "
    seconds += f"{np.mean([one.rows for one in found]):,.0f} rows, beside other work."
    tail = "Planted leaks, all of which are caught, and 20 more clean logs: [leakage](leakage.md)."
    return "\n".join([words, *said, "", tail, seconds]) + "\n"


def _spread(values: Sequence[float], digits: int) -> str:
    mean, least, most = (f"{each:.{digits}f}" for each in (np.mean(values), min(values), max(values)))
    return mean if len(values) == 1 else f"{mean} [{least}, {most}]"


def _counted(words: Sequence[str]) -> str:
    kinds = dict.fromkeys(sorted(words))
    return ", ".join(f"{word} ({words.count(word)})" if len(kinds) > 1 else word for word in kinds)
