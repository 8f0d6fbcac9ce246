"""Bytes a decision in ClickHouse: features in requests, ids out of a catalogue, nothing named."""

import itertools
import os
import random
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from bandit.journal.base import Entry
from bandit.policies import build
from bandit.records import Action, Decision
from bandit.service.deciding import DecisionService
from bandit.service.repeats import PastDecisions
from bandit.service.serving_catalogue import ServingCatalogue
from bandit.service.serving_state import RunnablePolicy, Serving, ServingState, assemble
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.sink import ClickHouseSink
from bandit.wire import RankRequest
from tests.bandit.service.making import NOW_MS, SALT, MemoryJournal, defined
from tests.bench.bodies import SURFACE, bodies, catalogue
from tests.conftest import start_gateway, stop_gateway

POLICY = PolicySpec(key="vw", type="vw", surface=SURFACE, floor=0.001)
DECLARED = (POLICY, Surface(key=SURFACE, policy="vw"))
BLOCK_N = 5_000


def stored(*, decisions_n: int = 50_000) -> None:
    """Print bytes on disk a decision, the same stream logged in three ways."""
    with tempfile.TemporaryDirectory() as name:
        gateway = start_gateway(Path(name))
        try:
            for actions_n in (10, 30):
                for mode in ("actions", "action_ids", "nothing"):
                    store = Store.connect(gateway.url(), database=f"{mode}_{actions_n}")
                    _fill(store, actions_n, mode, decisions_n)
                    print(
                        f"{actions_n:>4} {mode:<10} {_bytes_a_decision(store):6.1f} B", flush=True
                    )
                    store.close()
        finally:
            stop_gateway(gateway)


def _fill(store: Store, actions_n: int, mode: str, decisions_n: int) -> None:
    migrate(store)
    sink = ClickHouseSink(store, now_ms=lambda: NOW_MS)
    made = zip(itertools.count(1), _decisions(actions_n, mode, decisions_n), strict=False)
    for block in range(decisions_n // BLOCK_N):
        entries = [Entry(seq, record) for seq, record in itertools.islice(made, BLOCK_N)]
        sink.insert("decisions", "w", entries, f"block-{block}")
    store.apply("OPTIMIZE TABLE decisions$local FINAL")


def _decisions(actions_n: int, mode: str, decisions_n: int) -> Iterator[Decision]:
    """What a worker journals, a few milliseconds apart."""
    rng, now_ms, journal = random.Random(3), NOW_MS, MemoryJournal()
    held = [Action.of(str(a["id"]), **a["features"]) for a in catalogue(random.Random(1))]  # type: ignore[arg-type]
    offered = held[:actions_n] if mode == "nothing" else held
    policies = {"vw": RunnablePolicy(POLICY, 0, 0, build(POLICY))}
    shelf = {SURFACE: ServingCatalogue(1, {action.id: action for action in offered})}
    deciding = DecisionService(
        Serving(assemble(1, defined(*DECLARED), policies, ServingState(), shelf)),
        journal,  # type: ignore[arg-type]
        salt=SALT,
        now_ms=lambda: now_ms,
        entropy=os.urandom,
        past=PastDecisions(_never, monotonic_s=lambda: 0.0),
    )
    for body in bodies(actions_n, ids_only=mode == "action_ids", requests_n=decisions_n):
        if mode == "nothing":
            fields = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
            del fields["actions"]
            body = msgspec.json.encode(fields)
        now_ms += rng.randrange(1, 20)
        deciding.rank(msgspec.json.decode(body, type=RankRequest), body)
        made = journal.records.pop()
        assert isinstance(made, Decision)
        yield made


def _never(event_id: str) -> None:  # type: ignore[misc]
    raise AssertionError(f"nobody brings an event id, {event_id} was looked for")


def _bytes_a_decision(store: Store) -> float:
    [(size, rows)] = store._client.query(
        "SELECT sum(bytes_on_disk), sum(rows) FROM system.parts "
        f"WHERE active AND table = 'decisions' AND database = '{store.database}'"
    ).result_rows
    return float(size / rows)
