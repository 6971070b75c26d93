"""What stands behind the scores."""

from fastapi import APIRouter, Request, Response

from features.errors import NotReady
from features.windows import iso
from serving.bodies import json_response
from serving.routes.documents import problems
from serving.schemas import ModelOut
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
    run = store.current_run()
    if run is None:
        raise NotReady(NO_SCORES_YET)
    return json_response(_body(run))


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
