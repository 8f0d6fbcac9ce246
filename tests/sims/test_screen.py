from io import StringIO

from rich.console import Console

from bandit.service.reporting_payloads import Latency
from sims.audit import Check
from sims.ledger import Ledger, Shown
from sims.screen import latency_text, progress, summary_text, verdict_tables
from tests.sims.reports import effect_of, report_of


def printed(console: Console) -> str:
    file = console.file
    assert isinstance(file, StringIO)
    return file.getvalue()


def plain() -> Console:
    return Console(file=StringIO(), width=120)


def test_progress_without_a_terminal_is_ten_lines_with_both_means() -> None:
    console, ledger = plain(), Ledger()
    with progress(console, ledger, 50) as show:
        for number in range(50):
            variant = "treatment" if number % 2 else "control"
            ledger.show(Shown(f"{number}", variant, "p", 0, 0.5, float(number % 2)))
            show()
    lines = printed(console).splitlines()
    assert len(lines) == 10
    assert lines[-1].strip() == (
        "50 of 50 decisions; likes per decision: learned 1.000, random 0.000"
    )


def test_progress_says_nothing_of_a_variant_before_its_first_decision() -> None:
    console, ledger = plain(), Ledger()
    with progress(console, ledger, 1) as show:
        ledger.show(Shown("1", "control", "p", 0, 0.5, 1.0))
        show()
    assert "learned -, random 1.000" in printed(console)


def test_verdict_shows_rewards_estimates_refusals_and_checks() -> None:
    console = plain()
    checks = [Check("first", True, "1 = 1"), Check("second", False, "1 = 2")]
    report = report_of(effect_of(0.1, 0.3), likes=(3, 6))
    console.print(*verdict_tables(report, checks))
    shown = [" ".join(line.split()) for line in printed(console).splitlines()]
    assert "control (random) movies-uniform 0 10 3 0.3000" in shown
    assert "movies-vw every policy 0.625 none: low_ess 42 own decisions" in shown
    assert shown.count("metric treatment − control, one planned look at any look") == 1
    assert "ok first 1 = 1" in shown
    assert "FAILED second 1 = 2" in shown


def test_latency_is_told_in_seconds_or_not_measured() -> None:
    found = effect_of(0.1, 0.3)
    measured = report_of(found, latency=Latency(decisions_n=9, p50_ms=1200, p95_ms=1950))
    assert "p50 1.20 s, p95 1.95 s" in latency_text(measured)
    assert "not measured" in latency_text(report_of(found))


def test_summary_names_what_failed() -> None:
    checks = [Check("first", True, ""), Check("second", False, "")]
    assert "1 of 2 checks failed:[/] second" in summary_text(checks)
    assert "all 1 checks hold" in summary_text(checks[:1])
