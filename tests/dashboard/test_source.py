import contextlib
import threading

from bandit.errors import NotDeclared, StoreUnavailable
from bandit.service.reporting import Overview
from dashboard.source import KEPT, USABLE_S, Source


class Clock:
    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


class Reports:
    """Counts what it makes; `cost_s` of the clock each time."""

    def __init__(self, clock: Clock, cost_s: float = 0.0) -> None:
        self.clock, self.cost_s = clock, cost_s
        self.made_n = 0
        self.error: Exception | None = None

    def overview(self, alpha: float = 0.05, *, archived: bool = False) -> Overview:
        if self.error is not None:
            raise self.error
        self.made_n += 1
        self.clock.now_s += self.cost_s
        return Overview(as_of_ms=self.made_n, alpha=alpha, surfaces=(), experiments=())


def source_of(reports: Reports, spawn=None) -> Source:
    """Work for the background is done at once, unless it is collected."""
    return Source(
        lambda: reports,  # type: ignore[arg-type, return-value]
        monotonic_s=reports.clock,
        spawn=spawn or (lambda work: work()),
        ttl_s=1.0,
    )


def test_viewers_share_a_report_for_a_moment():
    reports = Reports(Clock())
    source = source_of(reports)
    first = source.overview(0.05)
    reports.clock.now_s = 0.9
    assert source.overview(0.05) == first
    assert reports.made_n == 1


def test_an_old_report_is_shown_at_once_and_made_anew_behind():
    reports, waiting = Reports(Clock()), []
    source = source_of(reports, spawn=waiting.append)
    source.overview(0.05)
    reports.clock.now_s = 1.1
    assert [source.overview(0.05).payload.as_of_ms for _ in range(3)] == [1, 1, 1]
    [work] = waiting  # three viewers, one renewal
    work()
    assert source.overview(0.05).payload.as_of_ms == 2


def test_a_report_that_nobody_looked_at_for_long_is_waited_for():
    reports, waiting = Reports(Clock()), []
    source = source_of(reports, spawn=waiting.append)
    source.overview(0.05)
    reports.clock.now_s = 1.0 + USABLE_S
    assert source.overview(0.05).payload.as_of_ms == 2
    assert waiting == []


def test_a_renewal_that_breaks_does_not_stop_the_next_one():
    reports, waiting = Reports(Clock()), []
    source = source_of(reports, spawn=waiting.append)
    source.overview(0.05)
    for now_s, error in ((2.0, RuntimeError("a bug")), (3.0, None)):
        reports.clock.now_s, reports.error = now_s, error
        source.overview(0.05)
        with contextlib.suppress(RuntimeError):
            waiting.pop()()
    assert source.overview(0.05).payload.as_of_ms == 2


def test_another_level_is_another_report():
    reports = Reports(Clock())
    source = source_of(reports)
    assert source.overview(0.05).payload.alpha == 0.05
    assert source.overview(0.01).payload.alpha == 0.01


def test_a_dear_report_is_shared_for_longer():
    reports, waiting = Reports(Clock(), cost_s=2.0), []
    source = source_of(reports, spawn=waiting.append)
    source.overview(0.05)
    reports.clock.now_s += 19.0
    source.overview(0.05)
    assert waiting == []
    reports.clock.now_s += 2.0
    source.overview(0.05)
    assert len(waiting) == 1


def test_the_last_report_stays_while_the_store_is_away():
    reports = Reports(Clock())
    source = source_of(reports)
    source.overview(0.05)
    reports.error = StoreUnavailable("connection refused")
    for now_s in (2.0, 20.0, 200.0):  # soon, later, and when nobody had looked for long
        reports.clock.now_s = now_s
        source.overview(0.05)
        kept = source.overview(0.05)
        assert (kept.payload.as_of_ms, kept.problem) == (1, "connection refused")
    reports.clock.now_s, reports.error = 300.0, None
    assert source.overview(0.05).problem == ""


def test_nothing_kept_and_no_store_is_no_payload():
    reports = Reports(Clock())
    reports.error = StoreUnavailable("connection refused")
    assert source_of(reports).overview(0.05) == (None, "connection refused")


def test_what_is_no_longer_declared_is_not_shown_from_memory():
    reports = Reports(Clock())
    source = source_of(reports)
    source.overview(0.05)
    reports.clock.now_s, reports.error = 100.0, NotDeclared("experiment", "e")
    assert source.overview(0.05) == (None, "experiment 'e' is not declared")


def test_memory_is_bounded():
    reports = Reports(Clock())
    source = source_of(reports)
    for n in range(KEPT + 1):
        source.overview(n / 1000)
    source.overview(KEPT / 1000)
    assert reports.made_n == KEPT + 1
    source.overview(0.0)  # the oldest was forgotten
    assert reports.made_n == KEPT + 2


def test_viewers_that_come_at_once_wait_for_one_report():
    clock = Clock()
    started, go_on = threading.Event(), threading.Event()

    class Slow(Reports):
        def overview(self, alpha: float = 0.05, *, archived: bool = False) -> Overview:
            started.set()
            assert go_on.wait(10)
            return super().overview(alpha, archived=archived)

    reports = Slow(clock)
    source = source_of(reports)
    found: list[int] = []
    viewers = [
        threading.Thread(target=lambda: found.append(source.overview(0.05).payload.as_of_ms))
        for _ in range(4)
    ]
    for viewer in viewers:
        viewer.start()
    assert started.wait(10)
    go_on.set()
    for viewer in viewers:
        viewer.join(10)
    assert found == [1, 1, 1, 1]
