"""What can go wrong, one function each: it breaks something, mends it, and notes when."""

import os
import signal
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from bandit.service.last_good import LastGood
from tests.chaos.oracle import Log, drained
from tests.chaos.proxy import Fault
from tests.chaos.rig import Rig
from tests.chaos.service import POLICY, wall_ms
from tests.until import until

TWICE_SHARE = 0.15
"""Of the kills, how many are followed by another of the same role within two seconds."""
STEPS_S = (2, -2, 30, -30, 300, -300, 3000, -3000)
CODES = (0, 252, 241, 243)
TRUNCATIONS_N = 20
FLIPS_N = 1000


def kills(rig: Rig) -> None:
    """kill -9 of processes at random: whoever lives below the supervisor, its guard too."""
    pause_s = rig.budget.seconds / rig.budget.kills
    done_n = 0
    while done_n < rig.budget.kills:
        time.sleep(pause_s * rig.rng.uniform(0.4, 1.6))
        role = _kill_any(rig)
        done_n += 1
        if rig.rng.random() < TWICE_SHARE and done_n < rig.budget.kills:
            time.sleep(rig.rng.uniform(0.05, 1.9))
            _kill_any(rig, role)
            done_n += 1
    until(rig.service.health, "a worker that serves", 60.0)
    time.sleep(1.0)


def _kill_any(rig: Rig, role: str | None = None) -> str:
    """Kill one process, of one role if any lives."""
    found = rig.service.roles()
    living = [(name, pid) for name, pids in found.items() for pid in pids]
    until(lambda: rig.service.roles(), "a process to kill")
    name, pid = rig.rng.choice([one for one in living if one[0] == role] or living)
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
        rig.note(f"kill {name}")
    return name


def supervisor_killed(rig: Rig) -> None:
    """kill -9 of the supervisor itself; whoever runs services (us, here) starts it again."""
    for _ in range(3):
        time.sleep(3.0)
        with rig.during("kill supervisor"):
            rig.service.kill_supervisor()
            rig.service.start()
    time.sleep(3.0)


def gateway_away(rig: Rig) -> None:
    """ClickHouse is killed and stays away; then it comes back to a backlog."""
    log = Log(rig.service.clickhouse_url())
    time.sleep(min(30.0, rig.budget.away_s / 4))
    with rig.during("gateway away"):
        rig.proxy.fault = Fault(refuse=True)
        rig.gateway.stop(signal.SIGKILL)
        time.sleep(rig.budget.away_s)
        rig.gateway.start()
        rig.proxy.fault = Fault()
    back_s, back_ms, had_n = time.monotonic(), wall_ms(), _rows_n(log)
    until(lambda: drained(log, back_ms), "the backlog", 120.0)
    took_s, stored_n = time.monotonic() - back_s, _rows_n(log) - had_n
    rig.figures["backlog"] = f"{stored_n} records in {took_s:.1f} s ({stored_n / took_s:.0f}/s)"
    log.close()
    time.sleep(2.0)


def _rows_n(log: Log) -> int:
    return sum(log.one(f"SELECT count() FROM {table}") for table in ("decisions", "rewards"))


def gateway_slow(rig: Rig) -> None:
    """Every insert takes five seconds."""
    with _store_fault(rig, "slow", Fault(delay_s=5.0)):
        time.sleep(rig.budget.hold_s)
    time.sleep(2.0)


def gateway_errors(rig: Rig) -> None:
    """ClickHouse answers 500, or one of its exceptions, to half and then to all requests."""
    for share in (0.5, 1.0):
        with _store_fault(rig, "errors", Fault(codes=CODES, share=share)):
            time.sleep(rig.budget.hold_s / 2)
        time.sleep(1.0)


def reset_after_commit(rig: Rig) -> None:
    """Inserts are committed, and the connection is reset instead of an answer."""
    for share in (0.5, 1.0):
        with _store_fault(rig, "reset after commit", Fault(reset_after=True, share=share)):
            time.sleep(rig.budget.hold_s / 2)
        time.sleep(1.0)


@contextmanager
def _store_fault(rig: Rig, what: str, fault: Fault) -> Iterator[None]:
    time.sleep(2.0)
    before_n = rig.proxy.faulted_n
    with rig.during(what):
        rig.proxy.fault = fault
        yield
        rig.proxy.fault = Fault()
    requests_n = rig.proxy.faulted_n - before_n
    rig.figures[what] = f"{requests_n} requests hit"
    if not requests_n:
        rig.problems.append(f"{what}: no request was hit")


def disk_full(rig: Rig) -> None:
    """The file system of the data directory, ClickHouse's too, is full to the last byte."""
    ballast = rig.service.data_dir / "somebody-elses"
    for _ in range(2):
        time.sleep(3.0)
        with rig.during("disk full"):
            end_s = time.monotonic() + rig.budget.hold_s / 2
            while time.monotonic() < end_s:
                _fill(ballast)  # what is freed meanwhile, too
                time.sleep(0.05)
            ballast.unlink()
    time.sleep(5.0)


def _fill(path: Path) -> None:
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(1 << 20))
    with suppress(OSError), path.open("ab", buffering=0) as file:
        while True:
            file.write(bytes(512))


def read_only(rig: Rig) -> None:
    """Nobody may make a file anywhere in the data directory (ours: ClickHouse has its own)."""
    for _ in range(2):
        time.sleep(2.0)
        with rig.during("read-only"):
            folders = [path for path in rig.service.data_dir.rglob("*") if path.is_dir()]
            folders.append(rig.service.data_dir)
            for folder in folders:
                folder.chmod(0o555)
            time.sleep(rig.budget.hold_s / 2)  # longer than a segment lives
            for folder in folders:
                with suppress(FileNotFoundError):
                    folder.chmod(0o755)
    time.sleep(3.0)


def clock_steps(rig: Rig) -> None:
    """The wall clock of all our processes steps, forwards and back; ClickHouse's does not."""
    clock = Path(rig.service.environ["CHAOS_CLOCK"])
    offset_s = 0
    for step_s in STEPS_S:
        time.sleep(rig.budget.hold_s / 10)
        offset_s += step_s
        with clock.open("r+b") as file:  # never truncated: it is mapped
            file.write(struct.pack("<q", offset_s * 1_000_000_000))
        rig.note(f"clock {step_s:+d} s")
    time.sleep(3.0)


def corrupt_snapshots(rig: Rig) -> None:
    """Snapshots are damaged in the last-good cache and in the store; workers start from them."""
    time.sleep(3.0)
    folder = rig.service.data_dir / "cache" / "snapshots"
    until(lambda: _cached(folder), "a snapshot in the cache")
    rig.figures["damaged files"] = _damaged_files(rig, folder)
    with rig.during("cache damaged"):  # and nothing else to start from
        rig.proxy.fault = Fault(refuse=True)
        for path in _cached(folder):
            path.write_bytes(_flipped(path.read_bytes(), rig))
        _restart(rig, "api")
        time.sleep(2.0)
        rig.proxy.fault = Fault()
    for damage in ("substring(weights, 1, intDiv(length(weights), 2))", "reverse(weights)"):
        time.sleep(2.0)
        with rig.during("store damaged"):
            for pid in rig.service.roles()["learn"]:
                os.kill(pid, signal.SIGSTOP)  # or a newer one would be published meanwhile
            log = Log(rig.service.clickhouse_url())
            log.rows(
                f"ALTER TABLE snapshots UPDATE weights = {damage} WHERE policy = '{POLICY}' AND"
                f" number = (SELECT max(number) FROM snapshots WHERE policy = '{POLICY}')"
                " SETTINGS mutations_sync = 2, allow_nondeterministic_mutations = 1"
            )
            log.close()
            _restart(rig, "learn")
            _restart(rig, "api")
    time.sleep(5.0)


def _restart(rig: Rig, role: str) -> None:
    """kill -9 of every process of a role at once."""
    pids = rig.service.roles().get(role, [])
    for pid in pids:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    until(lambda: set(rig.service.roles().get(role, [])) - set(pids), role)


def _damaged_files(rig: Rig, folder: Path) -> str:
    """Truncate and flip copies of a real cached snapshot; none of them may be taken."""
    good = max(_cached(folder))
    whole, copies = good.read_bytes(), folder.parent.parent / "copies" / "snapshots"
    copies.mkdir(parents=True)
    cache, taken_n = LastGood(copies.parent, writer="chaos"), 0
    spoilt = [whole[: len(whole) * n // TRUNCATIONS_N] for n in range(TRUNCATIONS_N)]
    spoilt += [_flipped(whole, rig) for _ in range(FLIPS_N)]
    for one in spoilt:
        (copies / good.name).write_bytes(one)
        taken_n += cache.snapshot(POLICY) is not None
    (copies / good.name).write_bytes(whole)
    if cache.snapshot(POLICY) is None:
        rig.problems.append("an undamaged snapshot was refused")
    if taken_n:
        rig.problems.append(f"{taken_n} damaged snapshots were taken")
    return f"{taken_n} of {len(spoilt)} taken"


def _cached(folder: Path) -> list[Path]:
    return [path for path in folder.glob(f"{POLICY}@*") if path.suffix != ".part"]


def _flipped(data: bytes, rig: Rig) -> bytes:
    spoilt = bytearray(data)
    spoilt[rig.rng.randrange(len(spoilt))] ^= 1 << rig.rng.randrange(8)
    return bytes(spoilt)


Breaking = Callable[[Rig], None]
