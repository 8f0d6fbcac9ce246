"""`make bench ARGS="serving latency learner"`: prints tables, asserts nothing."""

import platform
import sys

from tests.bench.capacity import capacity
from tests.bench.dashboards import dashboards
from tests.bench.evaluating import evaluating
from tests.bench.everything import everything
from tests.bench.learner import learner
from tests.bench.ope import ope
from tests.bench.reports import reports
from tests.bench.serving import latency, serving
from tests.bench.simulating import simulating
from tests.bench.stored import stored

BENCHES = {
    "serving": serving,
    "everything": everything,
    "latency": latency,
    "learner": learner,
    "evaluating": evaluating,
    "stored": stored,
    "ope": ope,
    "reports": reports,
    "simulating": simulating,
    "capacity": capacity,
    "dashboards": dashboards,
}


def main(names: list[str]) -> None:
    """Run the named benchmarks, or all of them."""
    print(f"{platform.machine()}, Python {platform.python_version()}", flush=True)
    for given in names or list(BENCHES):
        name, _, size = given.partition("=")  # evaluating=1000000
        if name not in BENCHES:
            raise SystemExit(f"no benchmark {name!r}, must be one of {', '.join(BENCHES)}")
        print(f"\n== {name}", flush=True)
        BENCHES[name](**({"decisions_n": int(size)} if size else {}))


main(sys.argv[1:])
