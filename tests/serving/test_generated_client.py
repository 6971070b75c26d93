"""A client that a public generator makes of our document asks the service as it runs."""

import importlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.live import live

ROOT = Path(__file__).parents[2]
OPENAPI = ROOT / "docs" / "openapi.json"
# Nobody reads what is generated, so nothing makes it pretty; and the generator has to be told that a file is a file.
SETTINGS = """\
post_hooks: []
content_type_overrides:
  application/x-ndjson: application/octet-stream
  application/vnd.apache.parquet: application/octet-stream
"""


@pytest.fixture(scope="module")
def generated(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The name of the package that was generated."""
    folder = tmp_path_factory.mktemp("generated")
    settings = folder / "settings.yml"
    settings.write_text(SETTINGS)
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none", "--path", str(OPENAPI)]
    done = subprocess.run(
        [*command, "--output-path", str(folder / "asking_holdfast"), "--config", str(settings)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "warning" not in (done.stdout + done.stderr).lower()
    sys.path.insert(0, str(folder))
    return "asking_holdfast"


@pytest.mark.usefixtures("store")
def test_a_generated_client_asks_the_service(generated: str, tmp_path: Path) -> None:
    def part(name: str) -> Any:
        return importlib.import_module(f"{generated}.{name}")

    models = part("models")
    made = part("client").AuthenticatedClient
    with live(tmp_path / "store.db") as service, made(base_url=service.address, token=service.token) as client:
        score = part("api.scores.user_score").sync(client=client, user_id="ada")
        assert (score.user_id, score.churn_probability, score.risk_tier) == ("ada", 0.9, "high")
        assert score.reasons[0].sentence == "last seen 24 days ago"
        body = models.LookupIn(user_ids=["ada", "emil", "a/b?#"], reasons=models.LookupInReasonsType0.ZH)
        found = part("api.scores.look_up").sync(client=client, body=body)
        assert found.scores[0].reasons[0].sentence == "24 天前最后一次活动"
        assert [missing.code for missing in found.missing] == ["user_outside_population", "user_unknown"]
        first = part("api.lists.at_risk").sync(client=client, limit=3)
        rest = part("api.lists.at_risk").sync(client=client, limit=3, cursor=first.next_cursor)
        assert [score.user_id for page in (first, rest) for score in page.scores] == ["ada", "bert", "chen", "dalia"]
        for name in ("api.lists.segments", "api.lists.runs", "api.model.model", "api.model.features"):
            assert "Problem" not in type(part(name).sync(client=client)).__name__
        refused = part("api.scores.user_score").sync_detailed(client=client, user_id="a/b?#")
        assert (refused.status_code, type(refused.parsed).__name__) == (404, "ProblemOut")
        assert refused.parsed.code == "user_unknown"


def test_names_in_generated_clients_are_ours(generated: str) -> None:
    folder = Path(str(importlib.import_module(generated).__file__)).parent / "api"
    made = {file.stem for file in folder.glob("*/*.py")} - {"__init__"}
    assert {"user_score", "look_up", "compute", "at_risk", "segments", "runs", "history"} <= made
    assert not [name for name in made if "v1" in name]
