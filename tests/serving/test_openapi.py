"""The OpenAPI document: complete enough to write a client from."""

from typing import Any

import pytest

from serving import schemas
from serving.schemas import In, Out

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
    assert [name for name, _ in operations(document)] == [
        "GET /v1/users/{user_id}/score",
        "POST /v1/scores/lookup",
        "GET /v1/users/at-risk",
        "GET /v1/model",
        "GET /livez",
        "GET /readyz",
    ]
    for name, operation in operations(document):
        assert operation["summary"], name
        assert operation["description"], name
        assert operation["responses"]["200"]["content"]["application/json"]["schema"]["$ref"], name


def test_every_address_under_v1_names_its_scope_and_its_problems(document: dict[str, Any]) -> None:
    for name, operation in operations(document):
        if "/v1/" not in name:
            continue
        assert operation["security"][0]["key"], name
        assert set(operation["responses"]) >= ERRORS_EVERYWHERE, name
        for status, answer in operation["responses"].items():
            if status >= "400":
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


def test_what_comes_in_is_strict_and_what_goes_out_is_exact() -> None:
    shapes = [thing for thing in vars(schemas).values() if isinstance(thing, type) and issubclass(thing, In | Out)]
    assert all(shape.model_config["extra"] == "forbid" for shape in shapes)
    assert In.model_config["allow_inf_nan"] is False
    assert In.model_config["strict"] is True
