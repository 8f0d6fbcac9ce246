"""`bandit report` over a real store."""

import csv
import io
import time
import uuid
from collections.abc import Iterator

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.report import command
from bandit.service.reporting import ExperimentReport, SurfaceReport
from bandit.service.reporting_actions import ActionsReport
from bandit.service.reporting_words import effect_in_words
from bandit.specs import Experiment, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from tests.bandit.logs import LogMaker
from tests.conftest import Gateway
from tests.dashboard.seeding import seed


@pytest.fixture(scope="module")
def environ(gateway: Gateway) -> Iterator[dict[str, str]]:
    """Of a process that uses a store with five minutes of traffic."""
    database = f"report_{uuid.uuid4().hex}"
    store = Store.connect(gateway.url(), database=database)
    migrate(store)
    seed(store, time.time_ns() // 1_000_000 - 60_000, decisions_n=600)
    yield {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }
    store.close()


def report(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environ)


@pytest.fixture(scope="module")
def payload(environ: dict[str, str]) -> ExperimentReport:
    """What is told of the experiment as JSON."""
    text = report(environ, "feed-2026", "--json").stdout
    return msgspec.json.decode(text, type=ExperimentReport)


def test_json_is_the_payload(payload: ExperimentReport):
    assert payload.key == "feed-2026"
    assert sum(variant.decisions_n for variant in payload.variants) == 600


def test_csv_has_a_row_per_comparison_with_all_digits(
    environ: dict[str, str], payload: ExperimentReport
):
    rows = list(csv.DictReader(io.StringIO(report(environ, "feed-2026", "--csv").stdout)))
    assert [row["metric"] for row in rows] == ["click", "clicks-per-unit", "latency"]
    assert float(rows[0]["effect"]) == payload.effects[0].effect.effect
    assert float(rows[0]["effect_ci_low"]) == payload.effects[0].effect.effect_ci_low
    assert float(rows[0]["anytime_effect_ci_low"]) == payload.effects[0].anytime.effect_ci_low


def test_csv_of_segments_has_a_row_per_value_of_the_context(
    environ: dict[str, str], gateway: Gateway, store: Store
):
    start_ms = time.time_ns() // 1_000_000 - 120_000
    variants = [
        Variant(key="c", policy="random", allocation=[(0, 5000)]),
        Variant(key="t", policy="random", allocation=[(5000, 10_000)]),
    ]
    for spec in (
        PolicySpec(key="random", type="uniform"),
        Surface(key="home", policy="random", join_window_s=1.0),
        Experiment(
            key="e", surface="home", salt="s", status="running", control="c",
            segments=["country"], variants=variants,
        ),
    ):  # fmt: skip
        Definitions(store).put(spec, expected=None, author="t", change_id=spec.key, now_ms=start_ms)
    log = LogMaker(store, start_ms=start_ms)
    for n in range(80):
        context = {"country": "DE" if n % 3 else "FR"}
        decision = log.decide(n, unit=f"u{n}", experiment="e", variant="ct"[n % 2], context=context)
        log.reward(decision, float(n % 5 == 0))
    log.deliver()
    own = environ | {"BANDIT_CLICKHOUSE_DATABASE": store.database}
    payload = msgspec.json.decode(report(own, "e", "--json").stdout, type=ExperimentReport)
    rows = list(csv.DictReader(io.StringIO(report(own, "e", "--csv", "--segments").stdout)))
    assert {(row["by"], row["value"]) for row in rows} >= {("country", '"DE"'), ("country", '"FR"')}
    found = [row.effect.effect for one in payload.segments for row in one.rows]
    assert [float(row["effect"]) for row in rows] == found


def test_an_experiment_without_segments_says_how_to_have_some(environ: dict[str, str]):
    got = report(environ, "hero-2026", "--csv", "--segments")
    assert got.exit_code == 1
    assert "'hero-2026' has no segments to compare" in got.output


@pytest.mark.parametrize("more", [(), ("--json",), ("--md",)])
def test_segments_are_shown_as_csv(environ: dict[str, str], more: tuple[str, ...]):
    got = report(environ, "feed-2026", "--segments", *more)
    assert got.exit_code == 2
    assert "--segments is of an EXPERIMENT, as --csv" in got.output


def test_markdown_has_the_verdict_and_tables(environ: dict[str, str], payload: ExperimentReport):
    text = report(environ, "feed-2026", "--md").stdout
    assert text.startswith("## Experiment feed-2026 on home.feed\n")
    assert payload.verdict.headline in text
    first = "| click per decision (primary) | treatment − control |"
    effect, anytime = payload.effects[0].effect, payload.effects[0].anytime
    lines = [line for line in text.splitlines() if line.startswith(first)]
    assert [line.split(" | ")[2] for line in lines] == ["any time *", "one planned look"]
    assert effect_in_words(anytime) in lines[0]
    assert effect_in_words(effect) in lines[1]
    assert "| feed-vw | vw | 29 | 29 (" in text


def test_terminal_shows_what_markdown_shows(environ: dict[str, str]):
    text = report(environ, "feed-2026").stdout
    for title in ("Experiment feed-2026", "Effects", "Variants", "Health", "Learning"):
        assert title in text


def test_a_surface_is_reported_by_policy(environ: dict[str, str]):
    got = msgspec.json.decode(
        report(environ, "--surface", "home.feed", "--json").stdout, type=SurfaceReport
    )
    assert [policy.label for policy in got.policies] == ["random", "feed-vw", "first"]
    rows = list(
        csv.DictReader(io.StringIO(report(environ, "--surface", "home.feed", "--csv").stdout))
    )
    assert [row["label"] for row in rows] == ["random", "feed-vw", "first"]
    assert "## Surface home.feed" in report(environ, "--surface", "home.feed", "--md").stdout


def test_an_older_version_of_the_surface_may_be_asked_for(environ: dict[str, str]):
    for named in (("feed-2026",), ("--surface", "home.feed")):
        text = report(environ, *named, "--surface-version", "1", "--md").stdout
        assert "by the rules of version 1 of the surface" in text
        got = report(environ, *named, "--surface-version", "9")
        assert got.exit_code == 1
        assert "surface_version is 9, must be in 1 to 1" in got.stderr


def test_actions_of_a_surface_are_reported_in_every_form(environ: dict[str, str]):
    asked = ("--surface", "home.feed", "--actions", "--limit", "3", "--reference", "a1")
    got = msgspec.json.decode(report(environ, *asked, "--json").stdout, type=ActionsReport)
    assert (got.reference, got.actions_n, len(got.actions)) == ("a1", 4, 3)
    # They were drawn as they were logged, and what always showing one earns is known.
    assert got.audit == "fine"
    assert all(value.value.ci_low is not None for value in got.actions)
    rows = list(csv.DictReader(io.StringIO(report(environ, *asked, "--csv").stdout)))
    assert [row["action"] for row in rows] == [value.action for value in got.actions]
    assert float(rows[0]["value"]) == pytest.approx(got.actions[0].value.value)
    assert float(rows[0]["value_ci_low"]) == pytest.approx(got.actions[0].value.ci_low)
    text = report(environ, *asked, "--md").stdout
    assert text.startswith("## Actions of surface home.feed\n")
    assert "The actions were drawn as often as their logged propensities say." in text
    assert "less a1, one look" in text
    assert "the 3 most shown of 4" in report(environ, *asked).stdout


def test_actions_are_of_a_surface(environ: dict[str, str]):
    got = report(environ, "feed-2026", "--actions")
    assert got.exit_code == 2
    assert "--actions is of a --surface" in got.stderr
    for option, value in (("since", "2026-11-01"), ("reference", "a1"), ("limit", "3")):
        got = report(environ, "--surface", "home.feed", f"--{option}", value)
        assert f"--{option} is of --actions" in got.stderr


def test_actions_may_be_of_decisions_since_a_time(environ: dict[str, str]):
    asked = ("--surface", "home.feed", "--actions", "--json", "--since")
    got = msgspec.json.decode(report(environ, *asked, "2199-01-01").stdout, type=ActionsReport)
    assert (got.actions, got.judged_n) == ((), 0)
    assert "must be a time with its offset" in report(environ, *asked, "yesterday").stderr


def test_reference_that_is_not_reported_ends_with_an_error(environ: dict[str, str]):
    got = report(environ, "--surface", "home.feed", "--actions", "--reference", "nothing")
    assert got.exit_code == 1
    assert "reference is 'nothing', must be one of the 4 reported actions" in got.stderr


def test_what_is_not_declared_ends_with_an_error(environ: dict[str, str]):
    got = report(environ, "nothing")
    assert got.exit_code == 1
    assert got.stderr == "bandit report: experiment 'nothing' is not declared\n"


def test_an_impossible_level_ends_with_an_error(environ: dict[str, str]):
    got = report(environ, "feed-2026", "--alpha", "1.5")
    assert (got.exit_code, "must be in (0, 1)" in got.stderr) == (1, True)


@pytest.mark.parametrize("arguments", [(), ("feed-2026", "--surface", "home.feed")])
def test_either_an_experiment_or_a_surface_must_be_named(
    environ: dict[str, str], arguments: tuple[str, ...]
):
    got = report(environ, *arguments)
    assert got.exit_code == 2
    assert "name an EXPERIMENT or a --surface" in got.stderr
