"""`make chaos ARGS="--kills 200 --seconds 720"`: break the real service, print what came of it."""

import argparse
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.chaos.campaign import PHASES, Row, run
from tests.chaos.rig import Budget
from tests.chaos.service import ROOT
from tests.chaos.table import table, told


def main() -> int:
    """Run the named faults one after another; 1 if anything was found that must not be."""
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=80.0, help="For the kills together.")
    parser.add_argument("--away-s", type=float, default=20.0, help="ClickHouse stays away so long.")
    parser.add_argument("--hold-s", type=float, default=20.0, help="Other faults hold so long.")
    parser.add_argument("--rate", type=float, default=120.0, help="Requests per second.")
    parser.add_argument(
        "--faults", default=",".join(PHASES), help="Which of them, separated by commas."
    )
    parser.add_argument(
        "--lives", type=int, default=200, help="Of the simulation, afterwards; 0: none."
    )
    parser.add_argument("--folder", type=Path, help="Keep logs and data there.")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # and end what was started
    names = given.faults.split(",")
    if strangers := set(names) - set(PHASES):
        parser.error(f"{', '.join(strangers)}: no such fault, must be of {', '.join(PHASES)}")
    folder = given.folder or Path(tempfile.mkdtemp(prefix="chaos-"))
    print(f"{platform.machine()}, Python {platform.python_version()}, logs in {folder}", flush=True)
    budget = Budget(given.kills, given.seconds, given.away_s, given.hold_s)
    rows: list[Row] = []
    failed = False
    for name in names:
        try:
            row = run(PHASES[name], folder / name, seed=given.seed, rate=given.rate, budget=budget)
        except Exception:  # the others are still worth knowing
            failed = True
            print(f"\n== {name}: the harness itself failed", flush=True)
            traceback.print_exc()
            continue
        rows.append(row)
        print("\n".join(told(row)), flush=True)
    print("\n" + "\n".join(table(rows)), flush=True)
    failed = failed or any(row.verdict.problems for row in rows)
    return int(failed or (given.lives > 0 and not simulated(given.lives)))


def simulated(lives_n: int) -> bool:
    """Let the simulation live, for long; whether it found nothing."""
    environ = os.environ | {"HYPOTHESIS_PROFILE": "long", "HYPOTHESIS_LIVES": str(lives_n)}
    began_s = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "tests/simulation"],
        env=environ,
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    said = f"{lives_n} lives of 80 steps in {time.monotonic() - began_s:.0f} s"
    print(f"\n== simulation: {said}" + (f"\n{done.stdout[-5000:]}" if done.returncode else ""))
    return done.returncode == 0


raise SystemExit(main())
