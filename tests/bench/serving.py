"""Decisions per second and latency of one worker, beside its floor and a naive peer."""

import asyncio
import random
import statistics
import tempfile
import time
from pathlib import Path

import msgspec
import vowpal_wabbit_next as vw

from bandit.wire import RankRequest
from tests.bench.bodies import bodies, write_wrk_script
from tests.bench.load import Closed, closed_loop, open_loop
from tests.bench.services import floor, naive, ours

ACTIONS = (10, 50, 200)
VW_ARGUMENTS = ["--cb_explore_adf", "--squarecb", "--gamma_scale", "10", "-q", "UA", "--quiet"]


def vw_predict_us(actions_n: int, *, repeats: int = 400) -> float:
    """VW's own `predict` alone on the same decisions, examples made beforehand; median µs."""
    workspace = vw.Workspace(VW_ARGUMENTS)
    parser = vw.TextFormatParser(workspace)
    examples = []
    for body in bodies(actions_n, requests_n=50):
        request = msgspec.json.decode(body, type=RankRequest)
        lines = [f"shared |U {_text(request.context)}"]
        lines += [f"|A id={action.id} {_text(action.features)}" for action in request.actions]
        examples.append([parser.parse_line(line) for line in lines])
    taken = []
    for index in range(repeats):
        example = examples[index % len(examples)]
        start = time.perf_counter()
        workspace.predict_one(example)
        taken.append((time.perf_counter() - start) * 1e6)
    return statistics.median(taken)


def _text(raw: msgspec.Raw) -> str:
    values = msgspec.json.decode(raw)
    return " ".join(f"{k}={v}" if isinstance(v, str) else f"{k}:{v}" for k, v in values.items())


def serving(*, rounds: int = 5, seconds: int = 3) -> None:
    """Print rates of ours, the floor and the naive peer in turn, and their ratios by round."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with ours(directory) as our, floor(directory) as empty, naive(directory) as peer:
            ports = {"ours": our, "floor": empty, "naive": peer}
            for actions_n in ACTIONS:
                script = write_wrk_script(directory, actions_n)
                for port in ports.values():
                    closed_loop(port, script, seconds=2)  # warm the caches
                runs: dict[str, list[Closed]] = {service: [] for service in ports}
                predict: list[float] = []
                for _ in range(rounds):
                    for service in random.sample(list(ports), len(ports)):
                        runs[service].append(closed_loop(ports[service], script, seconds=seconds))
                    predict.append(vw_predict_us(actions_n))
                report(actions_n, runs, predict)


def report(actions_n: int, runs: dict[str, list[Closed]], predict: list[float]) -> None:
    """Print one row of the table."""
    rate = {
        service: statistics.median(run.rate for run in several) for service, several in runs.items()
    }
    ratio = statistics.median(
        a.rate / b.rate for a, b in zip(runs["ours"], runs["naive"], strict=True)
    )
    budget = statistics.median(
        (1e6 / a.rate) / (1e6 / b.rate + c)
        for a, b, c in zip(runs["ours"], runs["floor"], predict, strict=True)
    )
    print(
        f"{actions_n:>4} actions: ours {rate['ours']:,.0f}/s, floor {rate['floor']:,.0f}/s, "
        f"naive {rate['naive']:,.0f}/s, VW predict {statistics.median(predict):.1f} µs; "
        f"ours/naive {ratio:.2f}, time/(floor + VW) {budget:.2f}; failed: "
        + ", ".join(
            f"{name} {sum(run.errors_n for run in several)}" for name, several in runs.items()
        ),
        flush=True,
    )


def latency(*, seconds: float = 10.0, actions_n: int = 50, rounds: int = 5) -> None:
    """Print p50 and p99 at half of the saturation rate, open loop, drain running."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with ours(directory) as port:
            script = write_wrk_script(directory, actions_n)
            closed_loop(port, script, seconds=2)
            full = statistics.median(closed_loop(port, script, seconds=3).rate for _ in range(3))
            ratios = []
            for _ in range(rounds):
                taken = sorted(
                    asyncio.run(
                        open_loop(port, bodies(actions_n), rate=full / 2, seconds=seconds / rounds)
                    )
                )
                p50, p99 = taken[len(taken) // 2], taken[int(len(taken) * 0.99)]
                ratios.append(p99 / p50)
                print(f"  {full / 2:,.0f}/s: p50 {p50:.2f} ms, p99 {p99:.2f} ms, n {len(taken)}")
            print(
                f"p99/p50 at half saturation, median: {statistics.median(ratios):.1f}", flush=True
            )
