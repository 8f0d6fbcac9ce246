"""The service most people would write first: FastAPI, pydantic, vowpalwabbit; no log at all.

`uvicorn tests.bench.peers.naive:app` serves `POST /v1/rank` with the bodies of the benchmark.
"""

import random
import uuid
from typing import Any

import vowpalwabbit
from fastapi import FastAPI
from pydantic import BaseModel, Field

VW_ARGUMENTS = "--cb_explore_adf --squarecb --gamma_scale 10 -q UA --quiet"

app = FastAPI()
workspace = vowpalwabbit.Workspace(VW_ARGUMENTS)


class Action(BaseModel):
    id: str
    features: dict[str, Any] = {}


class RankRequest(BaseModel):
    surface: str
    unit_id: str
    context: dict[str, Any] = {}
    actions: list[Action] = Field(min_length=1)


def features(values: dict[str, Any]) -> str:
    return " ".join(f"{k}={v}" if isinstance(v, str) else f"{k}:{v}" for k, v in values.items())


@app.post("/v1/rank")
async def rank(request: RankRequest) -> dict[str, Any]:
    lines = [f"shared |U {features(request.context)}"]
    lines += [f"|A id={action.id} {features(action.features)}" for action in request.actions]
    pmf = workspace.predict("\n".join(lines))
    drawn = random.choices(range(len(pmf)), weights=pmf)[0]
    return {
        "event_id": str(uuid.uuid4()),
        "ranking": [{"id": request.actions[drawn].id, "slot": 0, "propensity": pmf[drawn]}],
    }
