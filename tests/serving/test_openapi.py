"""The OpenAPI document: complete enough to write a client from."""

import importlib
import json
import pkgutil
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from serving import schemas
from serving.rules import RULES
from serving.schemas.common import In, Out

ROOT = Path(__file__).parents[2]
PARTS = {"anyOf", "oneOf", "items", "additionalProperties"}  # of what a field is
NOTHING: Mapping[str, Any] = {}
BY_THE_SERVER = {"414", "431"}  # before the application is asked: without a body
ERRORS_EVERYWHERE = {"401", "403", "422", "503"}


@pytest.fixture
def document(client: Any) -> dict[str, Any]:
    found: dict[str, Any] = client.using(None).get("/openapi.json").json()
    return found


def operations(document: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    return [
        (f"{method.upper()} {path}", operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_every_address_has_a_summary_a_description_and_a_documented_answer(document: dict[str, Any]) -> None:
    ruled = {f"{method} {path}" for (method, path), rule in RULES.items() if rule.scope is not None}
    assert {name for name, _ in operations(document)} >= ruled
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        told = [answer for status, answer in operation["responses"].items() if status < "300"]
        assert told, name
        for answer in told:
            kind, described = next(iter(answer["content"].items()))
            assert described["schema"] or kind.startswith("text/"), name


def test_every_address_under_v1_names_its_scope_and_its_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "/v1/" not in name:
            continue
        assert operation["security"][0]["key"], name
        assert set(operation["responses"]) >= ERRORS_EVERYWHERE, name
        for status, answer in operation["responses"].items():
            if status >= "400" and status not in BY_THE_SERVER:
                examples = answer["content"]["application/problem+json"]["examples"]
                assert all(str(example["value"]["status"]) == status for example in examples.values()), name


def test_everything_that_is_referred_to_is_there(document: dict[str, Any]) -> None:
    def references(part: object) -> list[str]:
        if isinstance(part, dict):
            own = [part["$ref"]] if isinstance(part.get("$ref"), str) else []
            return own + [found for inner in part.values() for found in references(inner)]
        return [found for inner in part for found in references(inner)] if isinstance(part, list) else []

    known = {f"#/components/schemas/{name}" for name in document["components"]["schemas"]}
    assert set(references(document)) <= known
    assert "HTTPValidationError" not in document["components"]["schemas"]


def test_every_number_of_a_score_has_a_meaning_and_a_range(document: dict[str, Any]) -> None:
    score = document["components"]["schemas"]["ScoreOut"]["properties"]
    for name, least, most in (("churn_probability", 0, 1), ("percentile", 0, 100)):
        assert (score[name]["minimum"], score[name]["maximum"]) == (least, most)
        assert score[name]["description"]


def test_every_number_says_what_it_counts_and_in_which_range(document: dict[str, Any]) -> None:
    found = list(numbers(document))
    assert len(found) > 40
    bare = [place for place, told in found if not told.get("x-unit")]
    boundless = [place for place, told in found if not ({"minimum", "exclusiveMinimum", "x-range"} & told.keys())]
    silent = [place for place, told in found if not told.get("description") and not told.get("examples")]
    assert (bare, boundless, silent) == ([], [], [])


def numbers(
    part: object, place: str = "", told: Mapping[str, Any] = NOTHING
) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Every number of the document, with what is said of it and of the field whose part it is."""
    if isinstance(part, list):
        for inner in part:
            yield from numbers(inner, place, told)
    elif isinstance(part, dict):
        told = {**told, **part}
        if part.get("type") in ("number", "integer"):
            yield place, told
        for name, inner in part.items():
            yield from numbers(inner, f"{place}/{name}", told if name in PARTS else NOTHING)


def test_every_example_is_what_it_is_an_example_of() -> None:
    tried = 0
    for shape in _shapes():
        for field in shape.model_fields.values():
            for example in field.examples or ():
                TypeAdapter(Annotated[field.annotation, FieldInfo(), *field.metadata]).validate_python(example)
                tried += 1
        for example in shape.model_config.get("json_schema_extra", {}).get("examples", ()):
            shape.model_validate_json(json.dumps(example))
            tried += 1
    assert tried > 30


def test_the_document_in_the_docs_is_the_one_that_is_served(document: dict[str, Any]) -> None:
    kept = json.loads((ROOT / "docs" / "openapi.json").read_text("utf-8"))
    assert kept == document, "stale: run `make docs`"


def test_what_comes_in_is_strict_and_what_goes_out_is_exact() -> None:
    shapes = _shapes()
    assert len(shapes) > 30
    assert all(shape.model_config["extra"] == "forbid" for shape in shapes)
    assert In.model_config["allow_inf_nan"] is False
    assert In.model_config["strict"] is True


def _shapes() -> list[type[BaseModel]]:
    modules = [
        importlib.import_module(f"serving.schemas.{each.name}") for each in pkgutil.iter_modules(schemas.__path__)
    ]
    things = [thing for module in modules for thing in vars(module).values()]
    return sorted({thing for thing in things if isinstance(thing, type) and issubclass(thing, In | Out)}, key=str)


def test_the_page_at_docs_needs_no_other_network(client: Any) -> None:
    page = client.using(None).get("/docs").text
    asked = re.findall(r"""(?:src|href)="([^"]+)"|url: '([^']+)'""", page)
    addresses = [first or second for first, second in asked]
    assert {"/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"} <= set(addresses)
    assert "//" not in "".join(addresses)
    for address in addresses:
        answer = client.using(None).get(address, headers={"accept-encoding": "gzip"})
        assert answer.status_code == 200
        assert len(answer.content) > 1_000
