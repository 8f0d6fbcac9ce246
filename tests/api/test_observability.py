"""The page for whoever is on call says what the program does: same metrics, events and findings."""

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry, Metric
from prometheus_client.metrics import MetricWrapperBase

from api.metrics import Meter
from api.metrics_host import HostMeter
from bandit import logs
from bandit.journal.base import Progress
from bandit.journal.drain import DrainStep
from bandit.service.metering import Sheet
from bandit.service.metering_drain import DrainMeter
from bandit.service.metering_learn import LearnMeter
from bandit.service.metering_refresh import RefreshMeter

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "api" / "OBSERVABILITY.md").read_text()
SOURCES = [path for room in ("bandit", "api") for path in sorted((ROOT / room).rglob("*.py"))]


def rows(heading: str) -> Iterator[list[str]]:
    """Cells of the tables of a section."""
    section = PAGE.split(f"\n{heading}\n", 1)[1].split("\n#", 1)[0]
    for line in section.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if line.startswith("| `"):
            yield cells


def registries_of(folder: Path) -> tuple[list[CollectorRegistry], HostMeter]:
    """Of every process."""
    meter = Meter(journal_dir=folder, shared_dir=None)
    sheets = [
        Sheet(folder, name, monotonic_s=lambda: 0.0) for name in ("drain", "learn", "refresh")
    ]
    drain = DrainMeter(sheets[0], now_ms=lambda: 0)
    drain.passed(DrainStep(progress=Progress("h", 0, 0, 0)), Counter())
    LearnMeter(sheets[1], now_ms=lambda: 0)
    RefreshMeter(sheets[2], now_ms=lambda: 0)
    host = HostMeter(journal_dir=folder, sheets_dir=folder, now_s=lambda: 0.0)
    return [meter._registry, *(sheet.registry for sheet in sheets)], host


def families(folder: Path) -> list[Metric]:
    """Every metric of every process."""
    registries, host = registries_of(folder)
    return [*(f for registry in registries for f in registry.collect()), *host.families()]


def labels(folder: Path) -> dict[str, tuple[str, ...]]:
    """By metric; where workers share numbers, those told of each have a `pid`, too."""
    found: dict[str, tuple[str, ...]] = {}
    registries, host = registries_of(folder)
    for registry in registries:
        for metric in registry._collector_to_names:
            if isinstance(metric, MetricWrapperBase):
                (family,) = metric.collect()
                is_each = getattr(metric, "_multiprocess_mode", "") == "liveall"
                own = tuple(name for name in metric._labelnames if name != "process")
                process = tuple(name for name in metric._labelnames if name == "process")
                found[shown(family)] = own + process + (("pid",) if is_each else ())
    for family in host.families():
        found[shown(family)] = ("process",) if "silent" in family.name else ()
    return found


def shown(family: Metric) -> str:
    return f"{family.name}_total" if family.type == "counter" else family.name


def test_every_metric_is_in_the_table_with_its_kind_and_help(tmp_path: Path) -> None:
    told = {cells[0].strip("`"): (cells[2], cells[3].rstrip(" |")) for cells in rows("## Metrics")}
    assert told == {shown(f): (f.type, f.documentation) for f in families(tmp_path)}


def test_every_metrics_labels_are_in_the_table(tmp_path: Path) -> None:
    told = {c[0].strip("`"): tuple(re.findall(r"`(\w+)`", c[1])) for c in rows("## Metrics")}
    assert told == labels(tmp_path)


def test_metrics_are_named_after_what_and_unit(tmp_path: Path) -> None:
    for family in families(tmp_path):
        assert re.fullmatch(r"bandit_[a-z]+(_[a-z0-9]+)+", family.name), family.name
        assert family.documentation.endswith("."), family.name


def test_alerts_name_metrics_that_exist(tmp_path: Path) -> None:
    known = {shown(f) for f in families(tmp_path)} | {"bandit_rank_seconds_bucket"}
    section = PAGE.split("### What to alert on")[1].split("\n## ")[0]
    assert set(re.findall(r"\bbandit_[a-z_]+", section)) <= known


def test_every_event_is_in_the_table() -> None:
    told = {cells[0].strip("`"): cells[1].rstrip(" |") for cells in rows("## Logs")}
    assert told == logs.EVENTS


def events_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if not isinstance(node, ast.Call):
            continue
        name = getattr(node.func, "id", "")
        place = {"tell": 2, "event": 0}.get(name)
        if place is not None and len(node.args) > place:
            for each in ast.walk(node.args[place]):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def test_every_event_that_is_logged_is_known_and_every_known_one_is_logged() -> None:
    used = {event for path in SOURCES for event in events_in(path)}
    assert used - set(logs.EVENTS) == set()
    assert set(logs.EVENTS) - used == {"output", "supervisor"}  # lines of others, wrapped


def codes_in(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in (
            "warning", "problem", "make",
        ):  # fmt: skip
            for each in ast.walk(node.args[1]):
                if isinstance(each, ast.Constant) and isinstance(each.value, str):
                    yield each.value


def test_every_finding_of_the_doctor_is_in_the_table() -> None:
    told = [code for cells in rows("## bandit doctor") for code in re.findall(r"`(\w+)`", cells[0])]
    paths = [ROOT / "bandit/cli/doctor.py", *(ROOT / "bandit/service").glob("examining*.py")]
    assert len(told) == len(set(told))
    assert set(told) == {code for path in paths for code in codes_in(path)}


@pytest.mark.parametrize("name", ["log_format", "tracing"])
def test_settings_are_explained(name: str) -> None:
    assert f"BANDIT_{name.upper()}" in PAGE
