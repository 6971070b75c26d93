"""What stands behind the scores."""

from fastapi import APIRouter, Request, Response

from features.errors import NotReady
from features.windows import iso
from serving.asking import asked
from serving.bodies import json_response
from serving.routes.documents import problems
from serving.schemas.model import FeaturesOut, ModelOut
from serving.store import Run, ScoreStore
from serving.store.reader import NO_SCORES_YET

router = APIRouter(tags=["model"])


@router.get(
    "/v1/model",
    summary="The model behind the scores",
    response_description="The model of the current run.",
    responses={200: {"model": ModelOut}, **problems()},
)
async def model(request: Request) -> Response:
    """Version, what churn means, when it was trained, how good it is, what it looks at.

    Needs the scope `scores:read`.
    """
    store: ScoreStore = request.state.store
    return json_response(_body(await _current(store)))


@router.get(
    "/v1/features",
    summary="What the model looks at",
    response_description="The features of the current run's model.",
    responses={200: {"model": FeaturesOut}, **problems()},
)
async def features(request: Request) -> Response:
    """Every feature with its family and its sentence. Needs the scope `scores:read`."""
    store: ScoreStore = request.state.store
    facts = (await _current(store)).facts
    told = {name: facts.model.get(name) for name in ("feature_fingerprint", "features")}
    return json_response({"model_version": facts.model_version, **told})


async def _current(store: ScoreStore) -> Run:
    run = await asked(store, store.current_run)
    if run is None:
        raise NotReady(NO_SCORES_YET)
    return run


def _body(run: Run) -> dict[str, object]:
    told = ("trained_at", "definition", "quality", "verdict", "features", "feature_fingerprint")
    return {
        "version": run.facts.model_version,
        **{name: run.facts.model.get(name) for name in told},
        "run_id": run.run_id,
        "cutoff": iso(run.facts.cutoff),
        "scored_at": iso(run.scored_at),
        "users": run.users,
        "users_outside": run.outside,
    }
