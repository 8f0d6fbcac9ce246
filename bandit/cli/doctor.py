"""`bandit doctor`: say in plain words what is wrong, and what to do."""

import logging
import os
import re
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress

import click
import httpx
import msgspec

from bandit.cli.wiring import now_ms, open_store
from bandit.errors import BanditError, SettingsError
from bandit.logs import scrubbed
from bandit.service import examining_store as stores
from bandit.service.examining import host_findings, store_findings
from bandit.service.findings import Finding, exit_code, fine, problem, warning
from bandit.settings import Settings
from bandit.store.checkup import Checkup

TIMEOUT_S = 5.0
REFUSED = re.compile(
    r'^bandit_refused_snapshot_number\{policy="([^"]+)"\} ([1-9]\d*)', re.MULTILINE
)


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object instead of text.")
@click.option("--quiet", is_flag=True, help="Only warnings and problems.")
def command(as_json: bool, quiet: bool) -> None:
    """Say in plain words what is wrong, and what to do.

    Looks at this host (settings, disk, secrets, journal, processes, API) and at ClickHouse (tables,
    every host's drain, holes, surfaces, policies, propensities, experiments, keys), and changes
    nothing. Ends with 0 if all is well, 1 with warnings, 2 with problems.
    """
    logging.getLogger("clickhouse_connect").setLevel(logging.CRITICAL)  # we say it ourselves
    findings = [each for each in examined() if not (quiet and each.level == "ok")]
    code = exit_code(findings)
    if as_json:
        told = {"host": socket.gethostname(), "exit_code": code, "findings": findings}
        click.echo(msgspec.json.encode(told))
    else:
        click.echo("\n".join(lines(findings)))
    sys.exit(code)


def examined() -> Iterator[Finding]:
    """Everything there is to say, the host first."""
    try:
        settings = Settings.from_environ(os.environ)
    except SettingsError as exc:
        yield problem(
            "settings", "bad_settings", f"{exc}.", "what README.md's table says",
            "Correct or unset that variable; no process starts with it.",
        )  # fmt: skip
        return
    yield from host_findings(settings, os.environ, now_ms())
    yield from _api(settings)
    yield from _clickhouse(settings)


def _api(settings: Settings) -> Iterator[Finding]:
    """Whether this host's API answers, and can serve."""
    any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    name = any_address.get(settings.host, settings.host)
    base = f"http://{f'[{name}]' if ':' in name else name}:{settings.port}"
    url = f"{base}/health/ready"
    try:
        answer = httpx.get(url, timeout=TIMEOUT_S, trust_env=False)
        told = answer.json()
    except (httpx.HTTPError, ValueError) as exc:
        yield problem(
            "api", "api_away", f"{url} does not answer ({type(exc).__name__}).", "200",
            "Start `bandit api`, or `bandit up`, which runs it; look at its log if it should run.",
        )  # fmt: skip
        return
    yield from api_findings(answer.status_code, told if isinstance(told, dict) else {})
    with suppress(httpx.HTTPError):  # it may want a key: then what it says of itself must do
        metrics = httpx.get(f"{base}/metrics", timeout=TIMEOUT_S, trust_env=False)
        if metrics.status_code == 200:
            yield from snapshot_findings(metrics.text)


def api_findings(status: int, told: dict[str, object]) -> Iterator[Finding]:
    """What `/health/ready` means.

    Args:
        status: Of its answer.
        told: Its body.
    """
    if status != 200:
        yield problem(
            "api", "api_not_ready", f"It answers {status}: no definitions are loaded.", "200",
            "ClickHouse must answer once; later the last definitions are kept on disk.",
        )  # fmt: skip
    else:
        yield fine("api", "It answers and can serve.")
    if told.get("store", "reached") != "reached":
        yield warning(
            "api", "api_without_store", f"A worker serves what it knows: {told['store']}.",
            "ClickHouse within its reach",
            "Start ClickHouse, or look at the network between.",
        )  # fmt: skip


def snapshot_findings(metrics: str) -> Iterator[Finding]:
    """Snapshots that do not serve.

    Args:
        metrics: What `/metrics` answers.
    """
    for policy, number in REFUSED.findall(metrics):
        yield problem(
            "api", "snapshot_refused",
            f"Snapshot {policy}@{number} failed its digest or canary; an older one serves.",
            "every snapshot whole",
            f"`bandit learn --rebuild {policy}` says whether the log gives other weights; the next "
            "snapshot serves again if it is whole.",
        )  # fmt: skip


def _clickhouse(settings: Settings) -> Iterator[Finding]:
    made = settings.data_dir / "secrets" / "clickhouse_password"
    if settings.clickhouse_url is None and not made.exists():  # to connect would make one
        yield problem(
            "clickhouse", "store_away", f"The embedded one never ran in {settings.data_dir}.",
            "running, or a BANDIT_CLICKHOUSE_URL",
            "Start `bandit up`; if it did run, set BANDIT_DATA_DIR to where.",
        )  # fmt: skip
        return
    store = None
    try:
        store = open_store(settings, timeout_s=TIMEOUT_S)
        yield from store_findings(store, now_ms(), settings.silent_host_ms)
        reader = open_store(settings, readonly=True, timeout_s=TIMEOUT_S)
        try:
            yield from stores.reader_findings(Checkup(reader))
        finally:
            reader.close()
    except BanditError as exc:
        why = "nobody listens there" if "refused" in str(exc) else scrubbed(str(exc))[:200]
        where = "BANDIT_CLICKHOUSE_URL" if settings.clickhouse_url else "`bandit gateway`"
        yield problem(
            "clickhouse", "store_away", f"It can not be asked: {why}.", "an answer",
            f"Look at {where}: does it run, is the address right, are user and password? Serving "
            "and accepting go on, nothing is lost.",
        )  # fmt: skip
    finally:
        if store is not None:
            store.close()


def lines(findings: list[Finding]) -> Iterator[str]:
    """Findings as text, and a summary."""
    marks = {"ok": "ok     ", "warning": "WARNING", "problem": "PROBLEM"}
    for each in findings:
        yield f"{marks[each.level]} {each.area}: {each.text}"
        if each.level != "ok":
            yield f"        must be: {each.must_be}"
            yield f"        do:      {each.next_step}"
    levels = [each.level for each in findings]
    counts = [(levels.count(level), level) for level in ("problem", "warning")]
    told = [f"{n} {level}{'' if n == 1 else 's'}" for n, level in counts if n]
    yield ""
    yield f"{' and '.join(told)}." if told else "All is well."
