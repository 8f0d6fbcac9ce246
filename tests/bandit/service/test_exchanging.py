"""A surface's log out as DSJSON and in again, in a real ClickHouse; and what VW itself reads."""

from array import array
from pathlib import Path

import msgspec
import pytest
from msgspec.structs import replace
from vowpalwabbit import Workspace

from bandit.dsjson import Line, read_line
from bandit.event_id import make_event_id
from bandit.ope import from_dsjson
from bandit.records import Action, Decision
from bandit.service.exporting import Export
from bandit.service.importing import Import
from bandit.specs import ContextRule, Surface
from bandit.store.client import Store
from bandit.store.sink import ClickHouseSink
from bandit.store.tail import Tail
from bandit.wire import RankRequest
from tests.bandit.logs import T0, LogMaker

SALT = b"salt"
SURFACE = Surface(key="home", policy="random", join_window_s=600.0)
OTHER = Surface(key="copy", policy="random", join_window_s=600.0)
LATER_MS = T0 + 10_000_000


def export(store: Store, surface: Surface, **given: int) -> tuple[list[bytes], Export]:
    exporting = Export(Tail(store), surface)
    return list(exporting.lines(now_ms=LATER_MS, **given)), exporting


def importing(store: Store, surface: Surface = OTHER) -> Import:
    return Import(ClickHouseSink(store, now_ms=lambda: T0), surface, salt=SALT)


def with_features(log: LogMaker, at_ms: int, drawn: int) -> Decision:
    """A decision whose features hold all that VW would stumble over."""
    request = RankRequest(
        surface="home",
        unit_id=f"u{at_ms}",
        context=msgspec.Raw(
            b'{"country":"US","tags":["go","vw"],"user":{"deep":{"new":true}},"gone":null,'
            b'"_multi":[1],"_label_cost":5}'
        ),
        actions=[Action.of(f"a {n}|:", topic=f"t {n}|:\n", _tag=n, n=[1, 2]) for n in range(4)],
    )
    return log.put(
        Decision(
            ts_ms=T0 + at_ms,
            surface="home",
            event_id=make_event_id(T0 + at_ms, 7, at_ms.to_bytes(6, "big"), SALT),
            unit_id=request.unit_id,
            policy="random",
            snapshot=0,
            request=msgspec.json.encode(request),
            pmf=array("f", [0.25] * 4).tobytes(),
            ranking=(drawn,),
            propensities=(0.25,),
            floor=0.0,
            seed=0,
        )
    )


@pytest.fixture
def log(store: Store) -> LogMaker:
    return LogMaker(store)


def fill(log: LogMaker, n: int = 6) -> list[Decision]:
    made = [log.decide(at, unit=f"u{at}", ranking=(at % 4,)) for at in range(n)]
    for decision in made[::2]:
        log.reward(decision, value=0.5)
    return made


def numbers(lines: list[bytes]) -> list[tuple[object, ...]]:
    """What must come back: all but the ids."""
    found = []
    for raw in lines:
        line = read_line(raw)
        found.append(
            (
                line.ts_ms,
                line.context,
                line.actions,
                [
                    (s.order, s.probabilities, s.propensity, s.reward, s.observed)
                    for s in line.slots
                ],
            )
        )
    return found


def test_what_was_exported_and_imported_is_exported_alike(
    store: Store, log: LogMaker, tmp_path: Path
) -> None:
    fill(log)
    two = log.decide(50, propensities=(0.25, 1 / 3), ranking=(2, 0))
    log.reward(two, value=-0.25, slot=1)
    log.deliver()
    lines, _ = export(store, SURFACE)
    file = tmp_path / "log.dsjson"
    file.write_bytes(b"\n".join(lines) + b"\n")
    checked = importing(store).check(file)
    assert (checked.good_n, checked.skipped_n, checked.bad) == (7, 0, [])
    stored = importing(store).store(file, checked.digest)
    assert stored == (7, 4, 11)
    again, _ = export(store, OTHER)
    assert numbers(again) == numbers(lines)
    assert importing(store).store(file, checked.digest) == (7, 4, 0)
    assert export(store, OTHER)[0] == again


def test_what_a_surface_withholds_of_contexts_is_not_imported(
    store: Store, log: LogMaker, tmp_path: Path
) -> None:
    with_features(log, 1, 2)
    log.deliver()
    (tmp_path / "log.dsjson").write_bytes(export(store, SURFACE)[0][0])
    private = replace(OTHER, context={"user": ContextRule(rule="keep")}, context_unnamed="drop")
    assert importing(store, private).store(tmp_path / "log.dsjson", "digest").new_n == 1
    [line] = export(store, OTHER)[0]
    assert read_line(line).context == {"user": {"deep": {"new": True}}}


def test_export_keeps_what_learners_would_keep(store: Store, log: LogMaker) -> None:
    rewarded, defaulted, late, *_ = fill(log, 3)
    log.decide(60, deferred=True)  # nobody saw it
    log.reward(late, after_ms=600_000)
    log.decide(LATER_MS - T0 - 1)  # may still earn something
    log.deliver()
    lines, exporting = export(store, SURFACE)
    told = {read_line(raw).event_id: read_line(raw).slots[0] for raw in lines}
    assert told[rewarded.event_id].reward == 0.5
    assert told[rewarded.event_id].observed
    assert told[defaulted.event_id].reward == 0.0
    assert not told[defaulted.event_id].observed
    assert (exporting.lines_n, exporting.unseen_n, exporting.waiting_n) == (3, 1, 1)


def test_export_of_a_time_is_half_open(store: Store, log: LogMaker) -> None:
    made = fill(log)
    log.deliver()
    lines, _ = export(store, SURFACE, since_ms=T0 + 1, until_ms=T0 + 4)
    assert [read_line(raw).event_id for raw in lines] == [d.event_id for d in made[1:4]]


def test_pinned_overridden_and_forced_decisions_are_marked(store: Store, log: LogMaker) -> None:
    plain, overridden, *_ = fill(log, 2)
    forced = log.decide(70, forced=True)
    pinned = log.decide(80, pinned=(0,), propensities=(1.0,))
    log.reward(pinned, value=1.0)
    log.reward(overridden, value=1.0)
    log.put(msgspec.structs.replace(log.expose(overridden), slots=(), overridden=((0, "other"),)))
    log.deliver()
    lines, _ = export(store, SURFACE)
    marked = {read_line(raw).event_id: read_line(raw).skip_learn for raw in lines}
    assert not marked[plain.event_id]
    assert marked[overridden.event_id]
    assert marked[forced.event_id]
    assert marked[pinned.event_id]
    batch = from_dsjson(lines, lambda line: [1 / len(line.actions)] * len(line.actions))
    assert batch.excluded["override"] == 2  # what was overridden has no label at all
    assert len(batch) == 1


def test_bad_lines_are_named_and_the_good_ones_are_what_is_imported(
    store: Store, log: LogMaker, tmp_path: Path
) -> None:
    fill(log, 2)
    log.deliver()
    lines, _ = export(store, SURFACE)
    costly = msgspec.json.encode(msgspec.json.decode(lines[0]) | {"_label_cost": -7})
    file = tmp_path / "log.dsjson"
    file.write_bytes(b"\n".join([lines[0], b"{", costly, lines[1]]))
    checked = importing(store).check(file)
    assert [number for number, _ in checked.bad] == [2, 3]
    assert "must be in [-1, 1]" in checked.bad[1].reason
    assert importing(store).store(file, checked.digest).decisions_n == 2


def test_import_that_was_cut_off_is_completed(store: Store, log: LogMaker, tmp_path: Path) -> None:
    fill(log)
    log.deliver()
    lines, _ = export(store, SURFACE)
    file = tmp_path / "log.dsjson"
    file.write_bytes(b"\n".join(lines))

    class Dies(ClickHouseSink):
        calls = 0

        def insert(self, *given: object) -> None:
            type(self).calls += 1
            if type(self).calls == 3:
                raise ConnectionError("cut off")
            super().insert(*given)  # type: ignore[arg-type]

    digest = importing(store).check(file).digest
    dying = Import(Dies(store, now_ms=lambda: T0), OTHER, salt=SALT)
    with pytest.raises(ConnectionError):
        dying.store(file, digest)
    batch = Tail(store).read("copy", {})
    assert not batch.decisions  # nothing of it is read before all of it is there
    assert not batch.rewards
    importing(store).store(file, digest)
    assert numbers(export(store, OTHER)[0]) == numbers(lines)


def trained(path: Path, arguments: str) -> tuple[int, str]:
    """How many lines VW learned from, and what it said."""
    workspace = Workspace(
        f"--dsjson -d {path} --quiet --strict_parse {arguments}", enable_logging=True
    )
    workspace.finish()
    said = "".join(workspace.get_log())
    return workspace.get_weighted_examples(), said


def test_vw_itself_trains_on_an_exported_file(store: Store, log: LogMaker, tmp_path: Path) -> None:
    for at in range(20):
        log.reward(with_features(log, at, at % 4), value=float(at % 4 == 2))
    log.deliver()
    lines, _ = export(store, SURFACE)
    file = tmp_path / "log.dsjson"
    file.write_bytes(b"\n".join(lines) + b"\n")
    learned_n, said = trained(file, "--cb_explore_adf --cb_type mtr -q ::")
    assert learned_n == 20, said
    assert "error" not in said.lower()


def test_vw_itself_trains_on_an_exported_file_of_slots(
    store: Store, log: LogMaker, tmp_path: Path
) -> None:
    for at in range(10):
        made = log.decide(at, propensities=(0.25, 1 / 3), ranking=(at % 4, (at + 1) % 4))
        log.reward(made, value=1.0, slot=1)
    log.deliver()
    file = tmp_path / "log.dsjson"
    file.write_bytes(b"\n".join(export(store, SURFACE)[0]) + b"\n")
    learned_n, said = trained(file, "--ccb_explore_adf")
    assert learned_n == 10, said


def test_value_of_a_target_comes_out_of_the_file(store: Store, log: LogMaker) -> None:
    fill(log, 8)
    log.deliver()
    lines, _ = export(store, SURFACE)

    def first_action(line: Line) -> list[float]:
        return [float(id_ == "a0") for id_, _ in line.actions]

    batch = from_dsjson(lines, first_action)
    # By hand: u0 and u4 drew a0 with probability 0.25 and earned 0.5 each: 2 * 0.5 / 0.25 / 8.
    assert float((batch.weights * batch.reward).mean()) == pytest.approx(0.5)
