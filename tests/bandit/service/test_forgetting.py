"""Forgetting a unit, over the real engine, journal, drain and learners."""

import itertools
import struct
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.drain import host_name
from bandit.cli.forget import command
from bandit.cli.learn import hiring
from bandit.errors import NotFound, StoreUnavailable
from bandit.event_id import make_event_id, surface_tag
from bandit.journal import Drain, Journal
from bandit.journal.frames import Header, encode, encode_header
from bandit.learning.fleet import Fleet
from bandit.learning.rebuilding import rebuild
from bandit.learning.retraining import Retrainer
from bandit.policies import build
from bandit.records import Action, AnyLogRecord, Assigned, Decision, Exposure, Outcome, Reward
from bandit.service.exporting import Export
from bandit.service.exports import Exports
from bandit.service.last_good import LastGood
from bandit.settings import Settings
from bandit.specs import Experiment, Metric, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.erasures import Erasures
from bandit.store.kept import KeptNumbers
from bandit.store.numbers import ExperimentNumbers
from bandit.store.sink import ClickHouseSink
from bandit.store.snapshots import Snapshot, Snapshots
from bandit.store.tail import Tail
from bandit.store.unit_numbers import UnitNumbers
from bandit.store.unit_plan import UnitPlan
from bandit.wire import RankRequest
from tests.conftest import Gateway, start_gateway, stop_gateway
from tests.databases import Databases

SALT = b"pepper"
UNIT = "unit-that-asks-8731"
SURFACE = Surface(key="home", policy="vw", join_window_s=2.0)
POLICIES = (
    PolicySpec(key="vw", type="vw", surface="home", floor=0.02),
    PolicySpec(key="linear", type="linear", surface="home", floor=0.02),
)
PLAN = UnitPlan.of(
    Experiment(
        key="e",
        salt="salt",
        control="v",
        variants=[Variant(key=key, allocation=[]) for key in ("v", "w")],
    ),
    None,
    [Metric(key="revenue", source="outcome", name="revenue")],
    {},
)
TABLES = ("decisions", "rewards", "exposures", "outcomes", "assignments")


def now_ms() -> int:
    return time.time_ns() // 1_000_000


class World:
    """A host with its journal, and a database of its own."""

    def __init__(self, url: str, data_dir: Path, store: Store) -> None:
        self.settings = Settings(
            data_dir=data_dir,
            salt=SALT.decode(),
            clickhouse_url=url,
            clickhouse_database=store.database,
        )
        self.store = store
        self.snapshots = Snapshots(self.store)
        for spec in (*POLICIES, SURFACE):
            Definitions(self.store).put(
                spec, expected=None, author="", change_id=spec.key, now_ms=now_ms()
            )
        self.writers = itertools.count()

    def accept(self, records: list[AnyLogRecord]) -> None:
        """By one start of a worker, which then ends."""
        journal = Journal(
            self.settings.journal_dir,
            writer=f"w{next(self.writers)}",
            durability="process",
            now_ms=now_ms,
            max_bytes=1 << 20,
            max_age_s=5,
        )
        journal.append_many(records)
        journal.close()

    def drain(self) -> None:
        drain = Drain(
            self.settings.journal_dir,
            ClickHouseSink(self.store, now_ms=now_ms),
            host=host_name(self.settings),
            now_ms=now_ms,
        )
        for _ in range(3):
            drain.step()
        drain.close()

    def learn(self) -> dict[str, Snapshot]:
        """All that can be, as `bandit learn` does; the newest snapshots."""
        learn_all(self.fleet())
        return self.newest()

    def fleet(self) -> Fleet:
        return Fleet(
            (),
            definitions=Definitions(self.store),
            hire=hiring(self.settings, self.store),
            now_ms=now_ms,
            erasures=Erasures(self.store).of_policies,
        )

    def newest(self) -> dict[str, Snapshot]:
        return {
            policy: self.snapshots.lineage(policy, since=number)[-1]
            for policy, number in self.snapshots.numbers().items()
        }

    def count(self, table: str) -> int:
        [(n,)] = self.store._client.query(f"SELECT count() FROM {table} FINAL").result_rows
        return int(n)

    def forget(self, *arguments: str) -> Result:
        environ = {
            "BANDIT_DATA_DIR": str(self.settings.data_dir),
            "BANDIT_CLICKHOUSE_URL": self.settings.clickhouse_url,
            "BANDIT_CLICKHOUSE_DATABASE": self.settings.clickhouse_database,
            "BANDIT_SALT": SALT.decode(),
        }
        return CliRunner().invoke(command, [*arguments, "--wait", "60"], env=environ)


def learn_all(fleet: Fleet) -> None:
    while any(step.more or step.snapshot for step in fleet.step(finish=True).values()):
        pass


@pytest.fixture
def world(clickhouse_url: str, tmp_path: Path, store: Store) -> World:
    return World(clickhouse_url, tmp_path / "data", store)


def decision(n: int, unit: str, at_ms: int) -> Decision:
    asked = RankRequest(
        surface="home",
        unit_id=unit,
        context=msgspec.Raw(msgspec.json.encode({"hour": n % 24, "who": unit[:3]})),
        actions=[Action.of(f"a{i}", i=i) for i in range(4)],
    )
    return Decision(
        ts_ms=at_ms,
        surface="home",
        event_id=make_event_id(at_ms, surface_tag("home"), n.to_bytes(6, "big"), SALT),
        unit_id=unit,
        policy="vw",
        snapshot=0,
        request=msgspec.json.encode(asked),
        pmf=struct.pack("<4f", *[0.25] * 4),
        ranking=(n % 4,),
        propensities=(0.25,),
        floor=0.02,
        seed=n,
    )


def about(of: Decision, value: float = 0.5) -> list[AnyLogRecord]:
    """A decision and all that there can be of it and its unit."""
    event = {"event_id": of.event_id, "decision_ts_ms": of.ts_ms, "surface": "home"}
    return [
        of,
        Exposure(ts_ms=of.ts_ms + 1, slots=(0,), **event),
        Reward(ts_ms=of.ts_ms + 2, value=value, reward_id=f"r-{of.event_id}", **event),
        Reward(ts_ms=of.ts_ms + 3, value=0.1, reward_id="other", **event | {"surface": ""}),
        Outcome(
            ts_ms=of.ts_ms + 4,
            unit_id=of.unit_id,
            name="revenue",
            value=3.0,
            outcome_id=of.event_id,
        ),
        Assigned(
            ts_ms=of.ts_ms + 5,
            unit_id=of.unit_id,
            experiment="e",
            experiment_version=1,
            variant="v",
        ),
    ]


def history(n: int = 60, every: int = 6) -> list[list[AnyLogRecord]]:
    """What was accepted a minute ago; one decision in `every` is of the unit that will ask."""
    start_ms = now_ms() - 60_000
    return [
        about(decision(i, UNIT if i % every == 0 else f"other-{i}", start_ms + 10 * i), i % 5 / 5)
        for i in range(n)
    ]


def theirs(records: list[AnyLogRecord]) -> bool:
    first = records[0]
    return isinstance(first, Decision) and first.unit_id == UNIT


def flat(groups: list[list[AnyLogRecord]]) -> list[AnyLogRecord]:
    return [record for group in groups for record in group]


def files_with(folder: Path, *needles: bytes) -> list[str]:
    return [
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]


@pytest.fixture
def own_gateway(tmp_path: Path) -> Iterator[Gateway]:
    gateway = start_gateway(tmp_path / "data")
    yield gateway
    stop_gateway(gateway)


def test_nothing_anywhere_on_disk_names_a_unit_that_was_forgotten(
    own_gateway: Gateway, tmp_path: Path
) -> None:
    data = own_gateway.data_dir
    databases = Databases(own_gateway.url())
    with_unit = World(own_gateway.url(), data, databases.lend())
    without = World(own_gateway.url(), tmp_path / "elsewhere", databases.lend())
    groups = history()
    their_ids = [g[0].event_id.encode() for g in groups if theirs(g)]  # type: ignore[union-attr]
    for world, seen in ((with_unit, groups), (without, [g for g in groups if not theirs(g)])):
        world.accept(flat(seen[: len(seen) // 2]))
        world.accept(flat(seen[len(seen) // 2 :]))
        world.drain()
    learned, never = with_unit.learn(), without.learn()
    assert {policy: s.digest for policy, s in learned.items()} != {
        policy: s.digest for policy, s in never.items()
    }
    # Beside the store: caches, an export, what the drain set aside, what it has not delivered yet.
    cache = LastGood(with_unit.settings.cache_dir, writer="w")
    for policy, snapshot in learned.items():
        cache.save_snapshot(with_unit.snapshots.get(policy, snapshot.number))
    exported = data / "log.dsjson"
    Exports(data).note(exported, "home", now_ms=now_ms())
    lines = list(Export(Tail(with_unit.store), SURFACE).lines(now_ms=now_ms()))
    exported.write_bytes(b"\n".join(lines) + b"\n")
    for folder in ("w0/rejected", ".given-up/w0"):
        (data / "journal" / folder).mkdir(parents=True)
        (data / "journal" / folder / "a.seg").write_bytes(
            encode_header(Header(writer="w0"))
            + b"".join(encode(900 + n, r) for n, r in enumerate(groups[0] + groups[1]))
        )
        (data / "journal" / folder / "b.damaged").write_bytes(b'\x00"' + UNIT.encode() + b'"\x01')
    late = about(decision(999, UNIT, now_ms() - 3_000))
    their_ids.append(late[0].event_id.encode())  # type: ignore[union-attr]
    # What reports keep of units.
    numbers, closed_ms = UnitNumbers(with_unit.store), now_ms()
    numbers.advance(PLAN, closed_ms)
    assert numbers.from_states(PLAN) is not None
    kept = KeptNumbers(with_unit.store)
    for key in ("e", "another"):
        kept.keep("experiment", key, closed_ms, "g", some_numbers(key), took_ms=1)
    with_unit.accept(late)
    needles = (UNIT.encode(), *their_ids)
    assert len(files_with(data, *needles)) >= 8

    result = with_unit.forget(UNIT)
    assert result.exit_code == 0, result.output

    raw = [uuid.UUID(id_.decode()).bytes for id_ in their_ids]
    swapped = [id_[:8][::-1] + id_[8:][::-1] for id_ in raw]  # how the engine keeps a UUID
    assert files_with(data, *needles, *raw, *swapped) == []
    rebuilt = with_unit.newest()
    assert {p: s.digest for p, s in rebuilt.items()} == {p: s.digest for p, s in never.items()}
    assert {p: s.trained for p, s in rebuilt.items()} == {p: s.trained for p, s in never.items()}
    assert len(exported.read_bytes().splitlines()) == 50
    for table in TABLES:
        assert with_unit.count(table) == without.count(table), table
    assert numbers.from_states(PLAN) is None
    numbers.advance(PLAN, closed_ms)
    again, expected = (
        numbers.from_states(PLAN),
        UnitNumbers(without.store).from_log(PLAN, closed_ms),
    )
    assert again is not None
    assert again.metrics == expected.metrics
    assert kept.newest("experiment", "e", closed_ms) is None
    assert kept.newest("experiment", "another", closed_ms) is not None
    for folder in ("w0/rejected", ".given-up/w0"):
        left = (data / "journal" / folder / "a.seg").read_bytes()
        assert all(encode(900 + 6 + n, record) in left for n, record in enumerate(groups[1]))
        assert not (data / "journal" / folder / "b.damaged").exists()
    assert "11 decisions" in result.stdout
    assert f"vw@{rebuilt['vw'].number} {rebuilt['vw'].digest}" in result.stdout
    receipt = result.stdout.split()[1].rstrip(":")
    assert with_unit.forget("--receipt", receipt).stdout == result.stdout
    databases.close()


def some_numbers(key: str) -> ExperimentNumbers:
    return ExperimentNumbers(experiment=key, generation="g", closed_ms=0, variants=())


def settled(world: World) -> list[list[AnyLogRecord]]:
    groups = history(24)
    world.accept(flat(groups))
    world.drain()
    return groups


def test_running_learners_start_over_and_old_snapshots_are_not_learned_again(world: World) -> None:
    groups = settled(world)
    fleet = world.fleet()
    learn_all(fleet)
    before = world.newest()
    assert world.forget(UNIT).exit_code == 0

    # Who was forgotten may come back, and its streams go on.
    more = [about(decision(500 + i, UNIT, now_ms() - 3_000 + i)) for i in range(8)]
    world.accept(flat(more))
    world.drain()
    fleet._looked_ms = 0  # a second later
    learn_all(fleet)
    after = world.newest()
    kept_n = sum(not theirs(group) for group in groups)
    assert Tail(world.store).read("home", {}).holes == ()
    for policy, newest in after.items():
        assert newest.number > before[policy].number
        assert (newest.erasures, newest.trained) == (1, kept_n + len(more))

    parts = {
        "tail": Tail(world.store),
        "snapshots": world.snapshots,
        "definitions": Definitions(world.store),
        "build": build,
    }
    retrainer = Retrainer(**parts)  # type: ignore[arg-type]
    for policy, old in before.items():
        for number in range(1, old.number + 1):
            with pytest.raises(NotFound, match="keeps no weights"):
                world.snapshots.get(policy, number)
        with pytest.raises(NotFound, match="from before a unit was forgotten"):
            retrainer.retrain(policy, old.number)
        newest = after[policy]
        assert retrainer.retrain(policy, newest.number).digest() == newest.digest
        report = rebuild(policy, **parts)  # type: ignore[arg-type]
        assert report.equal
        assert report.counts_equal


def test_what_was_cut_off_goes_on_with_its_receipt(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    settled(world)
    world.learn()
    remove = Erasures.remove

    def cut_off(self: Erasures, table: str, places: object) -> None:
        if table == "decisions":
            raise StoreUnavailable("the store was killed")
        remove(self, table, places)  # type: ignore[arg-type]

    monkeypatch.setattr(Erasures, "remove", cut_off)
    result = world.forget(UNIT)
    assert (result.exit_code, "the store was killed" in result.output) == (1, True)
    [(erasure_id,)] = world.store._client.query(
        "SELECT DISTINCT erasure_id FROM erasures"
    ).result_rows
    assert Erasures(world.store).get(erasure_id).state == "requested"
    assert world.count("rewards") == 40

    monkeypatch.setattr(Erasures, "remove", remove)
    monkeypatch.setattr(Erasures, "remove_weights", lambda *_: _raise("killed again"))
    assert world.forget(UNIT).exit_code == 1
    assert Erasures(world.store).get(erasure_id).state == "erased"

    monkeypatch.undo()
    assert world.forget(UNIT).exit_code == 0
    receipt = Erasures(world.store).get(erasure_id)
    assert receipt.state == "rebuilt"
    assert receipt.policies == ["linear", "vw"]
    assert receipt.removed["rewards"] == 8
    assert receipt.removed["decisions"] == 4
    assert {at.split("@")[0] for at in receipt.digests} == {"linear", "vw"}
    assert Erasures(world.store).of_policies() == {"linear": 1, "vw": 1}


def _raise(why: str) -> None:
    raise StoreUnavailable(why)


def test_a_unit_that_nobody_knows_gets_a_receipt_too(world: World) -> None:
    settled(world)
    before = world.learn()
    result = world.forget("nobody")
    assert result.exit_code == 0, result.output
    assert "nothing: there was none" in result.output
    assert world.newest() == before


def test_what_can_not_be_reached_is_told(world: World, tmp_path: Path) -> None:
    settled(world)
    Exports(world.settings.data_dir).note(tmp_path / "moved.dsjson", "home", now_ms=0)
    Exports(world.settings.data_dir).note(None, "home", now_ms=0)
    result = world.forget("nobody")
    assert result.exit_code == 3
    assert "moved.dsjson is not there" in result.output
    assert "1 exports went to standard output" in result.output


def test_forget_asks_for_exactly_one_thing(world: World) -> None:
    assert world.forget().exit_code == 2
    assert world.forget(UNIT, "--receipt", "x").exit_code == 2
    missing = world.forget("--receipt", "x")
    assert (missing.exit_code, "erasure 'x' is not known" in missing.output) == (1, True)
