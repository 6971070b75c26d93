"""The sections of a report page that explain the model, hold it against the champion, and say how to repeat it."""

import json
from collections.abc import Iterator
from math import isnan

from features.feature_set import FeatureSet
from models.card import card_of
from training.dependence import Dependence
from training.examples import SURE_TO_LEAVE, SURE_TO_STAY, Examples
from training.explained import Explained
from training.metrics import Estimate
from training.page_parts import Code, Part, Picture, Points, Section, Table, Tables, Text
from training.report import SHOWN
from training.run import Training
from training.succession import TIERS, Moved, Succession
from training.tuned import Tuned

_NO_REFITS = (
    "What each family is worth where it is left out was not asked for: set [train] drop_families, or "
    "--drop-families true. It takes a fit for each family, or three where probabilities are calibrated."
)


def explained_sections(training: Training) -> list[Section]:
    """Importance, dependence, examples, the change, the search, the card, and how to repeat it, in this order."""
    explained = training.explained
    return [
        Section("What moves the score", tuple(_importance(training, explained)) if explained else ()),
        Section("How the score depends on a feature", tuple(_dependence(explained.dependence)) if explained else ()),
        Section("Right and wrong, in words", tuple(_examples(explained.examples)) if explained else ()),
        Section("What changed against the champion", tuple(_succession(training.succession))),
        Section("The search for better settings", tuple(_tuning(training.tuned))),
        Section("Model card", tuple(_card(training))),
        Section("How to repeat it", tuple(_repeat(training))),
    ]


def _importance(training: Training, explained: Explained) -> Iterator[Part]:
    yield Picture("importance", "Mean absolute contribution by feature family; the table beneath says the same.")
    counts = _features_of(training.features)
    rows = tuple((family, str(counts.get(family, 0)), f"{size:.3f}") for family, size in training.importance.items())
    yield Table(
        "Contributions to the log-odds, added within a family before their size is taken.",
        ("family", "features", "mean log-odds"),
        rows,
    )
    if explained.left_out:
        yield Picture("left_out", "Change of the log loss without each family; the table beneath says the same.")
        yield Table(
            "The tested model fitted anew without a family, minus the model with all: paired, on the same test rows. "
            "Families that tell the same story can stand in for one another, so a small difference is no proof that "
            "a family says nothing.",
            ("without", "features", "log loss", "AUC", "so"),
            tuple(
                (one.family, str(one.features), *_both(one.log_loss, one.auc), one.says) for one in explained.left_out
            ),
            (4,),
        )
    else:
        yield Text(_NO_REFITS, "quiet")
    yield Picture("features", "Mean absolute contribution of the strongest features; the table beneath says the same.")
    strongest = tuple(
        (training.features[name].pattern, name, training.features[name].family, f"{size:.3f}")
        for name, size in explained.importance.features.items()
    )
    head = ("what it says (N is the user's own value)", "feature", "family", "mean log-odds")
    yield Table("The strongest features.", head, strongest, (0, 1, 2))


def _features_of(features: FeatureSet) -> dict[str, int]:
    families = [feature.family for feature in features]
    return {family: families.count(family) for family in families}


def _both(*found: Estimate) -> tuple[str, ...]:
    return tuple(one.says(digits=4) for one in found)


def _dependence(found: tuple[Dependence, ...]) -> Iterator[Part]:
    if not found:
        return
    yield Text(
        f"The mean probability if everybody had one value of a feature and all else stayed as it is, over "
        f"{found[0].averaged:,} of the newest test rows; beneath, how many users have such a value. Where few do, the "
        "line is a guess. It describes the model, not what happens if somebody's value is changed.",
        "quiet",
    )
    yield Picture("dependence", "Mean probability by value of the strongest features, with histograms; see the tables.")
    yield Tables(tuple(_points(one) for one in found))


def _points(one: Dependence) -> Table:
    rows = tuple(
        (point.label or f"{point.value:,.3g}", f"{point.churn_probability:.1%}", f"{point.share:.1%}")
        for point in one.points
    )
    head = ("value", "mean probability", "users nearest to it")
    return Table(f"{one.feature.pattern} ({one.feature.name})", head, rows)


def _examples(found: tuple[Examples, ...]) -> Iterator[Part]:
    if not found:
        return
    yield Text(
        f"What the tested model said of the newest test cutoff. Sure to leave: the first {SURE_TO_LEAVE:.0%} of the "
        f"list. Sure to stay: the last {SURE_TO_STAY:.0%}. The examples are those of whom it was surest; the reasons "
        "say what moved the score, and no user is named.",
        "quiet",
    )
    for group in found:
        yield Text(f"{str(group.outcome).capitalize()}: {group.users:,} of {group.of:,}", "heading")
        yield Points(tuple(one.says() for one in group.examples) or ("No example.",))


def _succession(found: Succession) -> Iterator[Part]:
    if not found.version:
        yield Text(found.because[:1].upper() + found.because[1:])
        return
    yield Text(f"Version {found.version} is the champion that this model may take the place of.")
    if found.differences:
        rows = tuple((one.what, one.before, one.now) for one in found.differences)
        yield Table("What is otherwise.", ("what", f"version {found.version}", "now"), rows, (0, 1, 2))
    yield Points(tuple(_features_changed(found)) or ("The features are the same.",))
    if found.not_compared:
        yield Text(f"Figures on the test rows are not compared: {found.not_compared}")
    else:
        compared = tuple(
            (SHOWN.get(one.metric, one.metric), *_both(one.before, one.now, one.difference)) for one in found.figures
        )
        head = ("metric", f"version {found.version}", "now", "difference")
        yield Table(f"On the same {found.rows:,} test rows, which neither has seen; paired.", head, compared)
    if found.moved is not None:
        yield from _moved(found.moved)
    if found.importance:
        sizes = tuple((family, _known(before), _known(now)) for family, before, now in found.importance)
        yield Table("Mean log-odds by family.", ("family", f"version {found.version}", "now"), sizes)


def _known(value: float) -> str:
    return "-" if isnan(value) else f"{value:.3f}"


def _features_changed(found: Succession) -> Iterator[str]:
    for what, names in (("added", found.added), ("dropped", found.dropped), ("with a new meaning", found.redefined)):
        if names:
            yield f"{len(names)} {what}: {', '.join(names)}"


def _moved(moved: Moved) -> Iterator[Part]:
    yield Points(
        (
            f"{moved.users:,} users as of {moved.at}, both models as deployed",
            f"mean probability {moved.mean_before:.1%} before, {moved.mean_now:.1%} now",
            f"rank correlation {_known(moved.correlation)} [{_known(moved.low)}, {_known(moved.high)}]",
            f"{moved.changed:,} users are in another tier",
        )
    )
    rows = tuple(
        (f"{tier} before", *(f"{users:,}" for users in counts)) for tier, counts in zip(TIERS, moved.tiers, strict=True)
    )
    yield Table("Users by tier.", ("", *(f"{tier} now" for tier in TIERS)), rows)


def _tuning(found: Tuned | None) -> Iterator[Part]:
    if found is None:
        return
    yield Text(found.says()[:1].upper() + found.says()[1:])
    if not found.trials:
        return
    yield Picture("tuning", "Log loss by trial, and the best so far; the table beneath says the same.")
    names = list(dict.fromkeys(name for trial in found.trials for name in trial.parameters))
    rows = tuple(
        (
            f"{trial.number}{' (chosen)' if trial.number == found.chosen else ''}",
            trial.state,
            f"{trial.log_loss:.4f}",
            *(f"{trial.parameters[name]:.4g}" if name in trial.parameters else "-" for name in names),
        )
        for trial in found.trials
    )
    yield Table("Trial 0 is the settings as they were asked for.", ("trial", "state", "log loss", *names), rows)


def _card(training: Training) -> Iterator[Part]:
    fifths = training.fifths
    card = card_of(
        training.model,
        training.features,
        definition=training.definition,
        facts=training.facts,
        fifths_as_of=None if fifths is None else fifths.as_of,
    )
    yield Text(card.lead.replace("`", ""))
    for part in card.parts:
        if part.points:
            yield Text(part.title, "heading")
            yield Points(tuple(point.replace("`", "") for point in part.points))
        if part.rows:
            yield Table(part.title, part.head, part.rows)


def _repeat(training: Training) -> Iterator[Part]:
    yield Text(
        "The same log version, definition, settings, seed and package versions give the same bytes of the model, "
        "whatever the number of threads."
    )
    yield Points(
        (
            f"code version {training.code_version}; its requirements.lock names every package with its hash",
            f"log version {training.log_version}, readable as long as no vacuum has removed it",
            f"features {training.features.fingerprint}",
        )
    )
    newest = training.split.test[-1].isoformat().replace("+00:00", "Z")
    yield Code(f"holdfast train --cutoff {newest} --seed {training.settings.seed} --no-promote")
    yield Text("The definition and the settings that it was learnt with:")
    wanted = {"definition": training.definition.to_json(), "settings": training.facts["settings"]}
    yield Code(json.dumps(wanted, indent=1, default=str))
