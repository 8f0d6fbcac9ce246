"""What experiments, rules, a shadow policy and a catalogue cost, beside the same without them."""

import random
import statistics
import tempfile
import time
from pathlib import Path

import httpx

from tests.bench.bodies import SURFACE, catalogue, write_wrk_script
from tests.bench.load import Closed, closed_loop
from tests.bench.services import ours

ACTIONS = (10, 50, 200)
CATALOGUE = "bench-catalogue"
EVERYTHING = "bench-everything"
CHALLENGER = "bench-challenger"


def everything(*, rounds: int = 5, seconds: int = 3) -> None:
    """Print rates in turn on one worker: plain, by ids, and with everything on."""
    with tempfile.TemporaryDirectory() as name, ours(Path(name)) as port:
        declare_everything(port)
        for actions_n in ACTIONS:
            scripts = {
                "plain": write_wrk_script(Path(name), actions_n),
                "ids only": write_wrk_script(
                    Path(name), actions_n, surface=CATALOGUE, ids_only=True
                ),
                "everything": write_wrk_script(Path(name), actions_n, surface=EVERYTHING),
                "everything, ids only": write_wrk_script(
                    Path(name), actions_n, surface=EVERYTHING, ids_only=True
                ),
            }
            for script in scripts.values():
                closed_loop(port, script, seconds=2)  # warm the caches
            runs: dict[str, list[Closed]] = {which: [] for which in scripts}
            for _ in range(rounds):
                for which in random.sample(list(scripts), len(scripts)):
                    runs[which].append(closed_loop(port, scripts[which], seconds=seconds))
            _report(actions_n, runs)


def _report(actions_n: int, runs: dict[str, list[Closed]]) -> None:
    print(f"{actions_n:>4} actions:")
    for which, several in runs.items():
        rate = statistics.median(run.rate for run in several)
        ratio = statistics.median(
            run.rate / plain.rate for run, plain in zip(several, runs["plain"], strict=True)
        )
        errors_n = sum(run.errors_n for run in several)
        print(f"  {which:<22} {rate:>8,.0f}/s, {ratio:.2f} x plain, {errors_n} failed", flush=True)


def declare_everything(port: int) -> None:
    """Declare the other two surfaces with all that hangs on them, and await them."""
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
        new = {"If-None-Match": "*"}
        challenger = {"type": "vw", "surface": SURFACE, "floor": 0.001, "arguments": "-q UA -l 0.1"}
        rules = {
            "denied": ["item-1", "item-2"],
            "most": {"item-3": 0.05},
            "least": {"item-4": 0.01},
            "diversity": [{"feature": "topic", "most": 2}],
        }
        variants = [
            {"key": "control", "policy": "bench-vw", "allocation": [[0, 5000]]},
            {"key": "treatment", "policy": "bench-vw", "allocation": [[5000, 10000]]},
        ]
        declared = {
            f"policies/{CHALLENGER}": challenger,
            f"surfaces/{CATALOGUE}": {"policy": "bench-vw", "reward_low": 0.0},
            f"surfaces/{EVERYTHING}": {
                "policy": "bench-vw",
                "reward_low": 0.0,
                "shadows": [CHALLENGER],
                "rules": rules,
                "uniform_share": 0.01,
            },
            "layers/bench-layer": {"salt": "bench-layer", "holdout": [[0, 100]]},
            "experiments/bench-experiment": {
                "surface": EVERYTHING,
                "salt": "bench-experiment",
                "layer": "bench-layer",
                "layer_buckets": [[100, 10000]],
                "control": "control",
                "variants": variants,
                "status": "running",
            },
        }
        for path, body in declared.items():
            put = client.put(f"/v1/{path}", json=body, headers=new)
            assert put.status_code in {200, 201}, put.text
        actions = catalogue(random.Random(1))
        for surface in (CATALOGUE, EVERYTHING):
            put = client.put(f"/v1/surfaces/{surface}/catalogue", json={"upsert": actions})
            assert put.status_code in {200, 201}, put.text
            _await(client, {"surface": surface, "unit_id": "u", "action_ids": ["item-7"]})


def _await(client: httpx.Client, ask: dict[str, object]) -> None:
    deadline = time.monotonic() + 30
    while (answer := client.post("/v1/rank", json=ask)).status_code != 200:
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.1)
