import hashlib
import json
import math
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from features.errors import BadInput, Damaged, NotReady
from features.fifths import DatedFifths
from features.language import FeatureSet
from features.windows import utc
from models import trying
from models.bundle import Bundle, load, save

FILES = {
    "booster-0.txt",
    "booster-1.txt",
    "card.md",
    "definition.json",
    "facts.json",
    "features.json",
    "fifths.json",
    "golden.json",
    "model.json",
    "sums.json",
}


@pytest.fixture
def folder(bundle: Bundle, people: Any, tmp_path: Path) -> Path:
    place = tmp_path / "a bundle"
    save(bundle, place, golden=people.rows)
    return place


def sums_again(folder: Path) -> None:
    """What somebody would do who edits a bundle on purpose."""
    path = folder / "sums.json"
    document = json.loads(path.read_text())
    document["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in document["files"]}
    path.write_text(json.dumps(document))


def edit(path: Path, pattern: str, replacement: str) -> None:
    text = path.read_text()
    changed = re.sub(pattern, replacement, text, count=1)
    assert changed != text
    path.write_text(changed)


def test_a_bundle_comes_back_to_the_bit(folder: Path, bundle: Bundle, people: Any) -> None:
    again = load(folder)
    assert (again.model.predict_proba(people.rows) == bundle.model.predict_proba(people.rows)).all()
    assert (again.features, again.definition, again.facts) == (bundle.features, bundle.definition, bundle.facts)
    assert again.model.facts_ == bundle.model.facts_


def test_a_service_judges_without_lightgbm(folder: Path) -> None:
    """Nor does it import what comes with it: a second of every start, and a hundred megabytes of every worker."""
    code = """
import sys
from pathlib import Path
import numpy as np
from models import bundle, reasons
loaded = bundle.load(Path(sys.argv[1]))
row = np.ones((1, len(loaded.features)))
said = reasons.reasons_of(loaded.features, row, loaded.judge(row).contributions)[0]
print(bool(said), sorted({"lightgbm", "sklearn", "pandas"} & set(sys.modules)))
"""
    found = subprocess.run([sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "True []"


def test_an_infinite_value_is_told_with_its_feature(bundle: Bundle) -> None:
    row = np.full((1, len(bundle.features)), np.inf)
    with pytest.raises(BadInput, match=rf"'{bundle.features.names[0]}' is inf \(infinity\) in row 0"):
        bundle.judge(row)


def test_a_bundle_is_text(folder: Path) -> None:
    assert {path.name for path in folder.iterdir()} == FILES
    for path in folder.iterdir():
        path.read_text("utf-8")


def test_the_fifths_of_the_population_come_back_with_their_date(bundle: Bundle, people: Any, tmp_path: Path) -> None:
    edges = ((0.1, 2.0, 2.0, math.inf), (1 / 3, 1.0, 1.5, 1e300))
    dated = DatedFifths(utc("2026-05-01T04:30:00Z"), bundle.features.fingerprint, edges)
    save(replace(bundle, fifths=dated), tmp_path / "new", golden=people.rows)
    assert load(tmp_path / "new").fifths == dated
    assert "- fifths of the population as of 2026-05-01T04:30:00Z" in (tmp_path / "new" / "card.md").read_text()


def test_fifths_of_other_features_are_not_saved(bundle: Bundle, people: Any, tmp_path: Path) -> None:
    dated = DatedFifths(utc("2026-05-01"), "fs-000000000000", ())
    with pytest.raises(BadInput, match="fifths are of the features fs-000000000000"):
        save(replace(bundle, fifths=dated), tmp_path / "new", golden=people.rows)


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"fingerprint": "fs-000000000000"}, "fifths are of the features fs-000000000000"),
        ({"as_of": "in May"}, "'in May' is not a time"),
        ({"edges": [["1.0"]]}, "expected 4 of each feature"),
        ({"edges": [["1.0", "2.0", "3.0", "many"]]}, "many"),
    ],
)
def test_fifths_that_are_none_are_damage(folder: Path, bundle: Bundle, changed: dict[str, Any], expected: str) -> None:
    dated = DatedFifths(utc("2026-05-01"), bundle.features.fingerprint, ((1.0, 2.0, 3.0, 4.0),))
    (folder / "fifths.json").write_text(json.dumps({**dated.to_json(), **changed}))
    sums_again(folder)
    with pytest.raises(Damaged, match=expected):
        load(folder)


def test_a_card_says_what_the_model_is(folder: Path) -> None:
    card = (folder / "card.md").read_text()
    assert "Churned: active in the last 60 days, then no event for 30 days." in card
    assert "| AUC | 0.81 |" in card


def test_a_bundle_is_written_once(folder: Path, bundle: Bundle, people: Any) -> None:
    with pytest.raises(BadInput, match="exists already"):
        save(bundle, folder, golden=people.rows)


def test_a_failed_save_leaves_nothing_behind(bundle: Bundle, people: Any, tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        save(replace(bundle, facts={"when": object()}), tmp_path / "new", golden=people.rows)
    assert list(tmp_path.iterdir()) == []


def test_a_model_of_other_features_is_not_saved(bundle: Bundle, people: Any, tmp_path: Path) -> None:
    fewer = FeatureSet(bundle.features.features[:-1])
    with pytest.raises(BadInput, match="reads 6 features and the feature set has 5"):
        save(replace(bundle, features=fewer), tmp_path / "new", golden=people.rows)


def test_no_bundle_is_told_from_a_damaged_one(tmp_path: Path) -> None:
    with pytest.raises(NotReady, match="holdfast train"):
        load(tmp_path)


@pytest.mark.parametrize("name", sorted(FILES - {"sums.json"}))
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(Damaged, match=f"{name} is missing"):
        load(folder)


@pytest.mark.parametrize("name", sorted(FILES - {"sums.json"}))
def test_a_truncated_file_is_named(folder: Path, name: str) -> None:
    path = folder / name
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(Damaged, match=f"{name} was changed or damaged"):
        load(folder)


def test_a_flipped_bit_is_noticed(folder: Path) -> None:
    path = folder / "booster-1.txt"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
    with pytest.raises(Damaged, match=r"booster-1\.txt was changed"):
        load(folder)


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", '{"format": 4, "files": []}', "\x00\xff", '{"format": 4, "files": {}}']
)
def test_a_broken_list_of_sums_is_damage(folder: Path, content: str) -> None:
    (folder / "sums.json").write_text(content, "latin-1")
    with pytest.raises(Damaged, match=r"sums\.json"):
        load(folder)


def test_another_format_is_refused_before_anything_is_read(folder: Path) -> None:
    edit(folder / "sums.json", r'"format": 4', '"format": 5')
    with pytest.raises(Damaged, match="format 5; this version of Holdfast reads format 4"):
        load(folder)


@pytest.mark.parametrize("name", ["../secret.txt", "/etc/hostname", "..", "deep/er.txt"])
def test_a_name_that_leads_out_of_the_folder_is_refused(folder: Path, name: str) -> None:
    (folder.parent / "secret.txt").write_text("secret")
    path = folder / "sums.json"
    document = json.loads(path.read_text())
    document["files"][name] = hashlib.sha256(b"secret").hexdigest()
    path.write_text(json.dumps(document))
    with pytest.raises(Damaged, match="not a file of this folder"):
        load(folder)


def test_a_symbolic_link_is_refused(folder: Path) -> None:
    real = folder.parent / "card.md"
    (folder / "card.md").rename(real)
    (folder / "card.md").symlink_to(real)
    with pytest.raises(Damaged, match="symbolic link"):
        load(folder)


def test_an_edited_leaf_with_matching_sums_fails_its_golden_rows(folder: Path) -> None:
    edit(folder / "booster-0.txt", r"(leaf_value=-?0\.\d)\d", r"\g<1>" + "7")
    sums_again(folder)
    with pytest.raises(Damaged, match=r"predicts something else .*golden\.json"):
        load(folder)


def test_one_digit_of_a_knot_with_matching_sums_fails_its_golden_rows(folder: Path) -> None:
    document = json.loads((folder / "model.json").read_text())
    document["model"]["blend"]["splines"]["knots"][0][1] += 0.01
    (folder / "model.json").write_text(json.dumps(document))
    sums_again(folder)
    with pytest.raises(Damaged, match="predicts something else"):
        load(folder)


def test_an_edited_calibration_with_matching_sums_fails_its_golden_rows(folder: Path) -> None:
    edit(folder / "model.json", r'"intercept": [^\s,}]+', '"intercept": 0.123')
    sums_again(folder)
    with pytest.raises(Damaged, match="churn_probabilities differ"):
        load(folder)


@pytest.mark.parametrize(
    ("pattern", "replacement"),
    [
        (r"left_child=\S+", "left_child=99999999"),
        (r"num_leaves=\d+", "num_leaves=900000"),
        (r"split_feature=\S+", "split_feature=5000"),
        (r"tree_sizes=\S+", "tree_sizes=999999999"),
        (r"max_feature_idx=\d+", "max_feature_idx=-7"),
        (r"(?s)Tree=0.*", ""),
    ],
)
def test_a_booster_that_may_crash_lightgbm_does_not_crash_us(folder: Path, pattern: str, replacement: str) -> None:
    edit(folder / "booster-0.txt", pattern, replacement)
    sums_again(folder)
    with pytest.raises(Damaged, match=r"crashed|could not be loaded|predicts something else"):
        load(folder)


def test_features_of_another_fingerprint_are_refused(folder: Path) -> None:
    edit(folder / "model.json", r"fs-[0-9a-f]{12}", "fs-000000000000")
    sums_again(folder)
    with pytest.raises(Damaged, match="fitted on features fs-000000000000"):
        load(folder)


def test_an_edited_feature_is_refused(folder: Path) -> None:
    edit(folder / "features.json", r'"active_days"', '"count"')
    sums_again(folder)
    with pytest.raises(Damaged, match="fingerprint"):
        load(folder)


def test_a_trial_without_end_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "SECONDS", 0.05)
    with pytest.raises(Damaged, match="did not load within"):
        load(folder)


def test_golden_rows_keep_missing_values_and_are_few(folder: Path, people: Any) -> None:
    rows = json.loads((folder / "golden.json").read_text())["rows"]
    assert len(rows) == 200
    kept = pd.DataFrame(rows, columns=people.rows.columns)
    assert kept["days_since_last_purchase"].isna().any()
