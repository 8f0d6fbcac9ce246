"""Off-policy evaluation: beside obp on the same arrays, streamed, and inside ClickHouse."""

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bandit import ope as kit
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.migrations import migrate
from bandit.store.ope_moments import SLICE_N, _slices, ope_moments
from bandit.store.reports import Scope, joining
from tests.conftest import start_gateway, stop_gateway

ROOT = Path(__file__).parents[2]
PEER = ROOT / "var" / "bench" / "obp"
"""An environment of its own: obp 0.5.7 wants Python below 3.11 and old NumPy and scikit-learn."""
SIDE = Path(__file__).parent / "peers" / "obp_side.py"
ACTIONS_N = 50
ESTIMATORS: tuple[kit.Estimator, ...] = (
    kit.Replay(), kit.Ips(), kit.Ips(10.0), kit.Snips(), kit.Dm(), kit.Dr(), kit.Sndr(),
    kit.SwitchDr(10.0), kit.DrOs(100.0), kit.SgIps(0.1), kit.SgDr(0.1),
)  # fmt: skip
MERGED: tuple[kit.Estimator, ...] = (kit.Ips(), kit.Snips(), kit.Dm(), kit.Dr(), kit.Sndr())
BOUND = ACTIONS_N / 0.2


def ope(*, decisions_n: int = 10_000_000) -> None:
    """Print all three: a tenth of the decisions beside obp, all of them in parts and stored."""
    beside_obp(decisions_n // 10)
    streamed(decisions_n)
    in_clickhouse(decisions_n)


def arrays(rng: np.random.Generator, n: int) -> dict[str, npt.NDArray[np.generic]]:
    """An ε-greedy log (ε = 0.2) of 50 actions, a target that follows a model, and the model."""
    q_hat = rng.random((n, ACTIONS_N))
    greedy = rng.integers(ACTIONS_N, size=n)
    explores = rng.random(n) < 0.2
    action = np.where(explores, rng.integers(ACTIONS_N, size=n), greedy)
    pscore = 0.2 / ACTIONS_N + 0.8 * (action == greedy)
    chance = 0.02 + 0.1 * q_hat[np.arange(n), action]
    target = np.exp(4.0 * q_hat)
    target /= target.sum(axis=1, keepdims=True)
    target[np.arange(0, n, 4)] = np.eye(ACTIONS_N)[greedy[::4]]  # some of it deterministic
    return {
        "action": action,
        "reward": (rng.random(n) < chance).astype(np.float64),
        "pscore": pscore,
        "action_dist": target,
        "q_hat": 0.02 + 0.1 * q_hat,
    }


def batch_of(columns: dict[str, npt.NDArray[np.generic]]) -> kit.LoggedBatch:
    """The same arrays as our batch, checked."""
    return kit.LoggedBatch.of(
        action=columns["action"],
        reward=columns["reward"],
        propensity=columns["pscore"],
        target_pmf=columns["action_dist"],
        predictions=columns["q_hat"],
        weight_bound=BOUND,
        reward_range=(0.0, 1.0),
    )


def beside_obp(n: int) -> None:
    """Eleven point estimates and the default interval, ours and obp's, on the same arrays."""
    python = peer()
    with tempfile.TemporaryDirectory() as name:
        columns = arrays(np.random.default_rng(1), n)
        for column, values in columns.items():
            np.save(Path(name) / f"{column}.npy", values)
        times, found = [], {}
        for _ in range(3):
            started = time.perf_counter()
            log = batch_of(columns)
            found = {one.name: one.terms(log).value for one in ESTIMATORS}
            interval = kit.default_interval(log)
            times.append(time.perf_counter() - started)
        del columns, log
        answer = subprocess.run(
            [python, "-W", "ignore", SIDE, name], check=True, capture_output=True, text=True
        )
    theirs = json.loads(answer.stdout.splitlines()[-1])
    ours_s, points_s = statistics.median(times), theirs["points_s"]
    one_s, all_s = points_s + theirs["interval_s"], points_s + theirs["intervals_s"]
    print(
        f"{n:,} decisions x {ACTIONS_N} actions, {len(found)} estimators and the default interval"
    )
    print(f"  ours: {ours_s:6.2f} s, checks of the arrays included; [{interval.low:.5f}, "
          f"{interval.high:.5f}]")  # fmt: skip
    print(f"  obp {theirs['version']}: {points_s:6.2f} s points, {one_s:.2f} s with its bootstrap "
          f"of 100 for DR, {all_s:.2f} s with one for each, as it does by default")  # fmt: skip
    print(f"  {one_s / ours_s:.1f} and {all_s / ours_s:.1f} x as fast; target 20", flush=True)
    worst = max(abs(found[name] - value) / abs(value) for name, value in theirs["values"].items())
    print(f"  greatest relative difference of the values: {worst:.1e}")


def peer() -> Path:
    """The Python that has obp; made once."""
    python = PEER / "bin" / "python"
    if not (PEER / "made").is_file():
        venv.create(PEER, with_pip=True, clear=True)
        pip = [python, "-I", "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        needs = ("numpy<2", "scikit-learn<1.6", "pandas<3", "scipy<1.14", "tqdm", "pyyaml")
        subprocess.run([*pip, *needs, "setuptools<81"], check=True)
        subprocess.run([*pip, "--no-deps", "--ignore-requires-python", "obp==0.5.7"], check=True)
        (PEER / "made").touch()
    return python


def streamed(n: int, *, part_n: int = 100_000) -> None:
    """The peak memory of a child that goes over `n` decisions in parts."""
    program = f"from tests.bench.ope import stream; stream({n}, {part_n})"
    subprocess.run([sys.executable, "-c", program], check=True, cwd=ROOT)


def stream(n: int, part_n: int) -> None:
    """Go over made decisions in parts; keep moments only."""
    before = peak_mib()
    totals: dict[str, kit.TermMoments] = {}
    likelihood, spent_s = None, 0.0
    for part in parts(n, part_n):
        started = time.perf_counter()
        log = batch_of(part)
        for estimator in MERGED:
            moments = estimator.terms(log).moments
            have = totals.get(estimator.name)
            totals[estimator.name] = moments if have is None else have + moments
        some = kit.LikelihoodMoments.of(log)
        likelihood = some if likelihood is None else likelihood + some
        spent_s += time.perf_counter() - started
    assert likelihood is not None
    interval = likelihood.interval(weight_bound=BOUND, reward_range=(0.0, 1.0))
    values = ", ".join(f"{name} {one.value:.5f}" for name, one in totals.items())
    print(f"{n:,} decisions x {ACTIONS_N} actions in parts of {part_n:,}: {spent_s:.1f} s")
    print(f"  {values}, Cressie-Read [{interval.low:.5f}, {interval.high:.5f}]")
    print(f"  peak {peak_mib():,.0f} MiB, of which {before:,.0f} before the first part; "
          f"at once the arrays are {n * ACTIONS_N * 16 / 2**20:,.0f} MiB", flush=True)  # fmt: skip


def parts(n: int, part_n: int) -> Iterator[dict[str, npt.NDArray[np.generic]]]:
    """The log in parts, each made when it is asked for."""
    rng = np.random.default_rng(1)
    for start in range(0, n, part_n):
        yield arrays(rng, min(part_n, n - start))


def peak_mib() -> float:
    """This process' peak of resident memory so far, without what it was forked from."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


PLAIN = """
SELECT %s, count(), avg(reward) FROM judged_rows(
    surface = {surface:String}, from_ms = {from_ms:Int64}, through_ms = {through_ms:Int64},
    window_ms = {window_ms:Int64}, aggregation = {aggregation:String},
    weight_names = {weight_names:Array(String)}, weights = {weights:Array(Float64)},
    reward_low = {reward_low:Float64}, reward_high = {reward_high:Float64},
    default_reward = {default_reward:Float64},
    of_experiment = '', since_ms = -1, shard = 0, shards_n = 1
) WHERE seen AND NOT forced GROUP BY 1
"""
BARE = """
SELECT policy, count(), avg(earned), sum(propensities[1]) FROM decisions LEFT JOIN (
    SELECT event_id, sum(value) AS earned FROM rewards GROUP BY event_id
) AS paid USING (event_id) GROUP BY policy
"""
T0 = 1_790_000_000_000
HOURS = 500
EVENT = (
    "reinterpretAsUUID(unhex(concat(leftPad(lower(hex(cityHash64(number))), 16, '0'), "
    "leftPad(hex({at}), 12, '0'), '7000')))"
)


def in_clickhouse(n: int) -> None:
    """IPS, SNIPS and Cressie–Read of a shadow, beside plain means over the same rows."""
    with tempfile.TemporaryDirectory() as name:
        gateway = start_gateway(Path(name))
        try:
            store = Store.connect(gateway.url(), database="bench", timeout_s=600.0)
            migrate(store)
            fill(store, n)
            surface = Surface(key="home", policy="live", join_window_s=600.0, reward_low=0.0)
            scope = Scope(surface, T0 + (HOURS + 1) * 3_600_000)
            ways: dict[str, tuple[Callable[[], object], str]] = {
                "mean reward": (lambda: plain(store, scope, "policy"), "mean reward"),
                "mean reward by country": (
                    lambda: plain(store, scope, "JSONExtractString(context, 'country')"),
                    "mean reward by country",
                ),
                "mean reward, barest join": (lambda: store._client.query(BARE), "mean reward"),
                "a shadow": (lambda: ope_moments(store, scope, ["challenger"]), "mean reward"),
                "a shadow by country": (
                    lambda: ope_moments(
                        store, scope, ["challenger"], by="context", member="country"
                    ),
                    "mean reward by country",
                ),
            }
            times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
            for _ in range(3):
                for way, (run, _) in ways.items():
                    started, cpu_s = time.perf_counter(), processor_s(gateway.process.pid)
                    run()
                    spent_s = time.perf_counter() - started
                    times[way].append((spent_s, processor_s(gateway.process.pid) - cpu_s))
            report(n, {way: (times[way], times[beside]) for way, (_, beside) in ways.items()})
            store.close()
        finally:
            stop_gateway(gateway)


def plain(store: Store, scope: Scope, by: str) -> None:
    """The mean reward by something, joined as reports join, over the slices that are ours."""
    given = joining(scope)
    for from_ms, through_ms in _slices(store, scope, SLICE_N):
        store._client.query(PLAIN % by, {**given, "from_ms": from_ms, "through_ms": through_ms})


def processor_s(pid: int) -> float:
    """Processor time of a process so far, in all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def report(
    n: int, times: dict[str, tuple[list[tuple[float, float]], list[tuple[float, float]]]]
) -> None:
    """Medians, and each beside the mean reward over the same rows, grouped by the same."""
    print(f"{n:,} decisions in ClickHouse, a tenth of them rewarded, {n // 10:,} units")
    print(
        "  what                         wall, s   engine's processor, s   ÷ the mean reward of the"
    )
    print("                                                                 same groups (target 2)")
    for way, (mine, plain) in times.items():
        wall_s, cpu_s = (statistics.median(each) for each in zip(*mine, strict=True))
        plain_s, plain_cpu_s = (statistics.median(each) for each in zip(*plain, strict=True))
        print(
            f"  {way:<26} {wall_s:9.2f} {cpu_s:23.2f}   {wall_s / plain_s:.2f} and "
            f"{cpu_s / plain_cpu_s:.2f}",
            flush=True,
        )


def fill(store: Store, n: int) -> None:
    """Decisions with a shadow, a tenth of them rewarded, over 500 hours."""
    step = HOURS * 3_600_000 / n
    at = f"{T0} + toUInt64(number * {step})"
    event = EVENT.format(at=at)
    ts = f"fromUnixTimestamp64Milli(toInt64({at}), 'UTC')"
    top = "cityHash64(number, 2) % 100 < 55"
    for start in range(0, n, 500_000):
        size = min(500_000, n - start)
        store._client.command(
            "INSERT INTO decisions (event_id, ts, surface, unit_id, policy, context, actions, pmf, "
            "ranking, propensities, floor, shadow_policies, shadow_probabilities, shadow_tops, "
            f"writer, seq) SELECT {event}, {ts}, 'home', "
            f"concat('u', toString(cityHash64(number) % {max(n // 10, 1)})), 'live', "
            "concat('{\"country\":\"', ['de', 'fr', 'us', 'gb'][1 + cityHash64(number, 1) % 4], "
            "'\"}'), arrayMap(i -> concat('a', toString(i)), range(10)), "
            "arrayMap(i -> toFloat32(if(i = 0, 0.55, 0.05)), range(10)), "
            f"[toUInt16(if({top}, 0, 1 + cityHash64(number, 3) % 9))], [if({top}, 0.55, 0.05)], "
            f"0.05, ['challenger'], [[if({top}, 0.28, 0.08)]], [1], 'w', number + 1 "
            f"FROM numbers({start}, {size})"
        )
        store._client.command(
            "INSERT INTO rewards (event_id, decision_ts, ts, surface, slot, name, value, "
            f"reward_id, writer, seq) SELECT {event}, {ts}, {ts} + INTERVAL 1 SECOND, 'home', 0, "
            f"'click', 1, toString(number), 'w', number + 1 FROM numbers({start}, {size}) "
            "WHERE cityHash64(number, 4) % 10 = 0"
        )
