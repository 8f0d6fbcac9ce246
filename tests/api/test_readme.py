"""`api/README.md`: every example gives the answer that is printed, and every route is there."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
import pytest
from litestar.testing import TestClient

from bandit.records import Action, AnyLogRecord, Decision
from bandit.service.judging_payloads import MetricEffect
from bandit.specs import Denominator, Experiment, Metric
from bandit.stats import Effect
from bandit.wire import RankRequest
from tests.api.conftest import World
from tests.bandit.service.making import logged

README = Path(__file__).parents[2] / "api" / "README.md"
EXAMPLE = re.compile(
    r"^```http\n(?P<method>[A-Z]+) (?P<path>\S+)\n(?P<headers>(?:[A-Za-z-]+: .*\n)*)"
    r"(?P<body>(?:[\[{].*\n(?:[^`\n].*\n)*)?)```\n+```json\n(?P<status>\d{3})\n(?P<answer>[^`]*)```$",
    re.MULTILINE,
)


class Example(NamedTuple):
    """A request and the answer that the README prints."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    status: int
    answer: object


def examples() -> Iterator[Example]:
    for found in EXAMPLE.finditer(README.read_text()):
        headers = dict(line.split(": ", 1) for line in found["headers"].splitlines())
        yield Example(
            found["method"],
            found["path"],
            {"content-type": "application/json", **headers},
            found["body"].encode(),
            int(found["status"]),
            msgspec.json.decode(found["answer"]) if found["answer"].strip() else None,
        )


def offered(world: World, decision: Decision, asked: RankRequest) -> tuple[Action, ...]:
    """What a decision offered, with the features of the request or of the catalogue."""
    held = {one.id: one for one in world.catalogues.at(decision.surface, decision.catalogue)}
    ids = asked.action_ids or msgspec.json.decode(decision.offered or b"[]")
    return tuple(asked.actions) or tuple(held[id_] for id_ in ids)


def deliver(world: World) -> None:
    """Let every decision be in the log as soon as it is journaled."""
    append = world.journal.append

    def append_and_deliver(record: AnyLogRecord) -> None:
        append(record)
        if isinstance(record, Decision):
            asked = msgspec.json.decode(record.request, type=RankRequest)
            found = offered(world, record, asked)
            world.link.logged[record.event_id] = logged(record, asked, actions=found)

    world.journal.append = append_and_deliver  # type: ignore[method-assign]


def test_every_example_gives_the_answer_that_is_printed(tmp_path: Path) -> None:
    world = World(tmp_path, declared=())
    deliver(world)
    told = list(examples())
    with TestClient(world.app()) as client:
        for example in told:
            response = client.request(
                example.method, example.path, headers=example.headers, content=example.body
            )
            place = f"{example.method} {example.path}: {response.text}"
            assert response.status_code == example.status, place
            if example.answer is not None:
                assert response.json() == example.answer, place
            world.wait_for_revision()
    assert len(told) >= 15


def test_every_route_is_in_the_readme(world: World) -> None:
    text = README.read_text()
    with TestClient(world.app()) as client:
        paths = client.get("/schema/openapi.json").json()["paths"]
    missing = [path for path in paths if f"`{path}`" not in text]
    assert not missing


@pytest.mark.parametrize("path", ["/metrics", "/schema", "/schema/openapi.json"])
def test_routes_outside_the_document_are_in_the_readme(path: str) -> None:
    assert f"`{path}`" in README.read_text()


@pytest.mark.parametrize("kind", [Metric, Denominator, Experiment])
def test_readme_names_every_field_of_metrics_and_experiments(kind: type[msgspec.Struct]) -> None:
    text = README.read_text()
    missing = [
        name
        for name in kind.__struct_fields__
        if f"`{name}`" not in text and f'"{name}":' not in text
    ]
    assert missing == []


@pytest.mark.parametrize("kind", [MetricEffect, Effect])
def test_readme_names_every_field_of_effects(kind: type[msgspec.Struct]) -> None:
    text = README.read_text()
    report = text[text.index("## Report") : text.index("## Promote")]
    shared = ("relative_", "adjusted_ci_")  # named together, with an ellipsis
    missing = [
        name
        for name in kind.__struct_fields__
        if f"`{name}`" not in report and not name.startswith(shared)
    ]
    assert missing == []
