"""The line in Python: settings as keywords, DataFrames in, the same words as the command line out."""

import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pandas as pd
import pytest

import holdfast
from features.errors import BadInput, NotReady
from features.windows import days
from models.cancel import Cancel
from models.definition import ChurnDefinition

VISITS = pd.DataFrame(
    {
        "who": ["ada", "bert", "chen"] * 40,
        "ts": [f"2026-01-01 0{hour}:00" for hour in range(3)] * 40,
        "value": [float(place) for place in range(120)],
    }
)


@pytest.fixture(autouse=True)
def empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_settings_are_keywords_and_go_before_the_file() -> None:
    Path("holdfast.toml").write_text('[churn]\nhorizon = "14d"\nlook_back = "28d"\n', "utf-8")
    shop = holdfast.Project("shop", churn={"horizon": "7d"})
    assert shop.definition == ChurnDefinition(look_back=timedelta(days=28), horizon=timedelta(days=7))
    assert repr(shop) == "Project('shop'): Churned: active in the last 28 days, then no event for 7 days."


def test_a_definition_is_as_good_as_a_section() -> None:
    cancelled = ChurnDefinition(horizon=days(21), activity=("visit",), outcome=Cancel(("stop",), starts=("go",)))
    shop = holdfast.Project("shop", churn={"horizon": "7d"}).having(churn=cancelled)
    assert shop.definition == cancelled
    assert repr(shop).startswith("Project('shop')")


def test_what_is_no_setting_is_refused_with_what_was_probably_meant() -> None:
    with pytest.raises(BadInput, match=r"Project: unknown section \[chrun\]. Did you mean 'churn'"):
        holdfast.Project("shop", chrun={"horizon": "7d"})
    with pytest.raises(BadInput, match=r"unknown key 'horizont' in \[churn\]"):
        holdfast.Project("shop", churn={"horizont": "7d"})
    with pytest.raises(BadInput, match="expected a span"):
        holdfast.Project("shop", churn={"horizon": 7})


def test_a_table_is_read_with_the_names_of_its_columns() -> None:
    shop = holdfast.Project("shop")
    names = {"user_id": "who", "time": "ts", "event_constant": "visit", "timezone": "UTC"}
    done = shop.ingest(VISITS, **names)
    assert holdfast.tell(done).startswith("Read 120 rows: 120 new events, 0 duplicates, 0 in quarantine.")
    assert shop.log.summary().users == 3
    VISITS.to_csv("visits.csv", index=False)
    assert shop.ingest("visits.csv", **names).duplicates == 120
    assert shop.ingest([Path("visits.csv")], **names).duplicates == 120


def test_profiles_are_told_from_events_by_the_column_from_which_on_they_hold() -> None:
    shop = holdfast.Project("shop")
    shop.ingest(VISITS, user_id="who", time="ts", event_constant="visit", timezone="UTC")
    profiles = pd.DataFrame({"who": ["ada"], "since": ["2025-12-01"], "plan": ["pro"]})
    shop.ingest(profiles, user_id="who", valid_from="since", timezone="UTC")
    assert [each.name for each in shop.log.summary().profile_properties] == ["plan"]


def test_features_are_a_table_of_the_population_at_each_cutoff() -> None:
    shop = holdfast.Project("shop")
    shop.ingest(VISITS, user_id="who", time="ts", event_constant="visit", timezone="UTC")
    table = shop.features(["2026-01-01T01:30", "2026-01-02"])
    assert len(table) == 2 + 3
    assert len(shop.features()) == 3


def test_what_has_to_come_first_is_said() -> None:
    shop = holdfast.Project("shop")
    with pytest.raises(NotReady, match="no event log"):
        _ = shop.log
    with pytest.raises(NotReady, match="run `holdfast train` first"):
        shop.history()
    with pytest.raises(NotReady, match="no scores yet"):
        shop.at_risk()


def test_what_no_method_returned_has_no_words_figures_or_metrics() -> None:
    for show in (holdfast.tell, holdfast.figures, holdfast.metrics):
        with pytest.raises(BadInput, match="int"):
            show(7)


def test_importing_the_package_loads_no_library() -> None:
    code = "import sys, holdfast; sys.exit(bool({'pandas', 'numpy', 'click', 'lightgbm', 'mlflow'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert {"Project", "figures", "metrics", "tell"} <= set(dir(holdfast))
    with pytest.raises(AttributeError, match="no attribute 'Projekt'"):
        _ = holdfast.Projekt
