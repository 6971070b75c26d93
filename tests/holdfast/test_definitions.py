"""Definitions from settings: each kind, and combinations that mean nothing."""

import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from features.errors import BadInput
from features.paid import Renewals
from features.windows import days
from holdfast.config import resolve
from holdfast.definitions import definition_of
from holdfast.settings import Churn
from models.cancel import Cancel
from models.definition import OUTCOMES, ChurnDefinition
from models.lapse import Lapse
from tests.pages import page


def test_the_defaults_mean_inactivity() -> None:
    assert definition_of(Churn()) == ChurnDefinition()


def test_every_setting_of_activity_reaches_the_definition() -> None:
    churn = Churn(
        activity=("purchase",),
        least_value=2.5,
        look_back=timedelta(days=28),
        lead_time=timedelta(days=7),
        horizon=timedelta(days=14),
        most_events_a_day=1000,
    )
    assert definition_of(churn) == ChurnDefinition(("purchase",), days(28), days(7), days(14), 1000, 2.5)


def test_a_cancel_and_a_lapse_are_read_from_settings() -> None:
    cancel = Churn(kind="cancel", cancel=("quit", "cancel"), starts=("start",))
    assert definition_of(cancel).outcome == Cancel(("cancel", "quit"), starts=("start",))
    lapse = Churn(kind="lapse", renewal=("renewal",), paid_days="plan_days", grace=timedelta(days=7))
    assert definition_of(lapse).outcome == Lapse(Renewals(("renewal",), paid_days="plan_days", grace=days(7)))


@pytest.mark.parametrize(
    ("churn", "words"),
    [
        (Churn(kind="sleep"), r"kind is 'sleep'; expected inactivity, cancel, lapse"),
        (Churn(cancel=("cancel",)), r'cancel is set, and kind is "inactivity"; expected kind = "cancel", or none'),
        (Churn(kind="cancel", cancel=("c",), grace=days(7)), r'grace is set, and kind is "cancel"; expected kind = "l'),
        (Churn(kind="lapse", renewal=("r",), period_days=30, starts=("s",)), r'starts is set, and kind is "lapse"'),
        (Churn(kind="cancel"), r'expected for example cancel = \["cancel"\]'),
        (Churn(kind="lapse", period_days=30), r'expected for example renewal = \["renewal"\]'),
        (Churn(kind="lapse", renewal=("r",)), r"found none of them; expected exactly one"),
        (Churn(kind="lapse", renewal=("r",), period_days=30, paid_until="u"), r"found period_days and paid_until"),
        (Churn(kind="cancel", cancel=("c",), activity=("c",)), r"'c' is named as activity and as what says"),
    ],
)
def test_settings_that_mean_nothing_say_what_would(churn: Churn, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        definition_of(churn)


def test_each_file_on_the_page_means_the_sentence_below_it(tmp_path: Path) -> None:
    shown = re.findall(r"```toml\n(.*?)```\n\n```text\n(.*?)\n```", page("docs/definitions.md").text, re.DOTALL)
    assert len(shown) == len(OUTCOMES)
    for text, sentence in shown:
        (tmp_path / "holdfast.toml").write_text(text, "utf-8")
        churn = resolve({}, environment={}, folder=tmp_path).settings.churn
        assert definition_of(churn).says() == sentence


def test_every_setting_of_a_kind_is_refused_by_the_others() -> None:
    own = {"cancel": ("a",), "starts": ("a",), "renewal": ("a",), "period_days": 1, "paid_days": "a", "paid_until": "a"}
    for key, value in (own | {"grace": days(1)}).items():
        with pytest.raises(BadInput, match=rf"\[churn\] {key} is set"):
            definition_of(replace(Churn(), **{key: value}))
