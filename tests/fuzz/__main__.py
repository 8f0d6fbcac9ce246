"""`python -m tests.fuzz`: throw things at a running service; ends with 1 if anything breaks."""

import argparse
import collections
import subprocess
import sys
import time
from pathlib import Path

from tests.acceptance.test_api import Service
from tests.fuzz import holding, rubbish, world


def schema(service: Service, cases: int, seed: int) -> list[str]:
    """Schemathesis, all phases, until there were so many cases."""
    folder = service.folder / "schemathesis"
    folder.mkdir()
    tool = Path(sys.executable).parent / "schemathesis"
    found: list[str] = []
    ran = 0
    while ran < cases and not found:
        done = subprocess.run(
            [
                *(tool, "run", f"http://127.0.0.1:{service.port}/schema/openapi.json"),
                *("--phases", "examples,coverage,fuzzing,stateful", "--max-examples", "100"),
                *("--seed", str(seed), "--continue-on-failure", "--workers", "2"),
                # A sound request may be refused for what it names: nobody declared it.
                *("--exclude-checks", "positive_data_acceptance", "--request-timeout", "30"),
                "--no-shrink",
            ],
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
        )
        ran += sum(
            int(line.split()[0]) for line in done.stdout.splitlines() if " generated, " in line
        )
        seed += 1
        if done.returncode:
            found.append(done.stdout[-20_000:] + done.stderr[-2_000:])
    print(f"schemathesis: {ran:,} cases, {len(found)} runs with failures")
    return found


def thrown(service: Service) -> list[str]:
    """The corpus of rubbish."""
    found, statuses, n = [], collections.Counter[int](), 0
    for sent in rubbish.everything():
        got = rubbish.send(service.port, sent)
        n += 1
        statuses.update(got.statuses)
        found += rubbish.faults(got)
    print(f"rubbish: {n:,} connections, {len(found)} faults, statuses {sorted(statuses.items())}")
    return found


def holds(service: Service) -> list[str]:
    """Slow senders and large bodies, and what others get meanwhile."""
    pid = service.client.get("/health/ready").json()["pid"]
    found: list[str] = []
    for one in holding.held(service.port, pid):
        print(one, flush=True)
        found += holding.faults(one)
    return found


def main() -> None:
    """Run what is named, or all of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("what", nargs="*", default=["rubbish", "holding", "tokens", "schema"])
    parser.add_argument("--cases", type=int, default=10_000, help="of Schemathesis")
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=7)
    given = parser.parse_args()
    found: list[str] = []
    start_s = time.monotonic()
    with world.running() as service:
        if "rubbish" in given.what:
            found += thrown(service)
        if "holding" in given.what:
            found += holds(service)
        if "tokens" in given.what:
            from tests.fuzz import tokens

            found += tokens.thrown(service, given.tokens, given.seed)
        if "schema" in given.what:
            found += schema(service, given.cases, given.seed)
        found += world.failures_logged(service)
        if not world.alive(service):
            found.append("the service does not answer any more")
    for one in found:
        print(one)
    print(f"{len(found)} faults in {time.monotonic() - start_s:.0f} s")
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
