import threading

from bandit.errors import NotDeclared, StoreUnavailable
from bandit.service.reporting import Overview
from dashboard.source import KEPT, Source


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

    def overview(self, alpha: float = 0.05) -> Overview:
        if self.error is not None:
            raise self.error
        self.made_n += 1
        self.clock.now_s += self.cost_s
        return Overview(as_of_ms=self.made_n, alpha=alpha, surfaces=(), experiments=())


def source_of(reports: Reports) -> Source:
    return Source(lambda: reports, monotonic_s=reports.clock, ttl_s=1.0)  # type: ignore[arg-type, return-value]


def test_viewers_share_a_report_for_a_moment():
    reports = Reports(Clock())
    source = source_of(reports)
    first = source.overview(0.05)
    reports.clock.now_s = 0.9
    assert source.overview(0.05) == first
    reports.clock.now_s = 1.1
    assert source.overview(0.05).payload.as_of_ms == 2


def test_another_level_is_another_report():
    reports = Reports(Clock())
    source = source_of(reports)
    assert source.overview(0.05).payload.alpha == 0.05
    assert source.overview(0.01).payload.alpha == 0.01


def test_a_dear_report_is_shared_for_longer():
    reports = Reports(Clock(), cost_s=2.0)
    source = source_of(reports)
    source.overview(0.05)
    reports.clock.now_s += 19.0
    source.overview(0.05)
    assert reports.made_n == 1
    reports.clock.now_s += 2.0
    source.overview(0.05)
    assert reports.made_n == 2


def test_the_last_report_stays_while_the_store_is_away():
    reports = Reports(Clock())
    source = source_of(reports)
    source.overview(0.05)
    reports.clock.now_s, reports.error = 5.0, StoreUnavailable("connection refused")
    kept = source.overview(0.05)
    assert kept.payload.as_of_ms == 1
    assert kept.problem == "connection refused"
    reports.error = None
    assert source.overview(0.05).problem == ""


def test_nothing_kept_and_no_store_is_no_payload():
    reports = Reports(Clock())
    reports.error = StoreUnavailable("connection refused")
    assert source_of(reports).overview(0.05) == (None, "connection refused")


def test_what_is_no_longer_declared_is_not_shown_from_memory():
    reports = Reports(Clock())
    source = source_of(reports)
    source.overview(0.05)
    reports.clock.now_s, reports.error = 5.0, NotDeclared("experiment", "e")
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
        def overview(self, alpha: float = 0.05) -> Overview:
            started.set()
            assert go_on.wait(10)
            return super().overview(alpha)

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
