"""What the doctor says of the numbers of reports."""

import pytest

from bandit.service.examining_reports import STALE_MS, report_findings
from bandit.specs import PolicySpec, Surface
from bandit.store.definitions import Definition
from bandit.store.kept import Kept
from bandit.store.numbers_surface import RefresherNumbers

NOW_MS = 1_790_000_000_000
SURFACE = Definition(
    kind="surface",
    key="home",
    version=1,
    created_ms=0,
    author="t",
    change_id="c",
    spec=Surface(key="home", policy="p"),
)
POLICY = Definition(
    kind="policy",
    key="p",
    version=1,
    created_ms=0,
    author="t",
    change_id="c",
    spec=PolicySpec(key="p", type="uniform"),
)


class FakeKept:
    def __init__(self, ago_ms: int | None, **said: object) -> None:
        fields = {"failing": {}, "through_ms": 1, "kept_n": 1, "failed_n": 0} | said
        self._found = None
        if ago_ms is not None:
            self._found = Kept(NOW_MS - ago_ms, "", RefresherNumbers(**fields), 0)

    def newest(self, kind: str, key: str, at_ms: int) -> Kept | None:
        assert (kind, at_ms) == ("refresher", NOW_MS)
        return self._found


@pytest.mark.parametrize(
    ("kept", "codes"),
    [
        (FakeKept(None), ["no_refresh"]),
        (FakeKept(200_000), ["no_refresh"]),
        (FakeKept(30_000), ["ok"]),
        (FakeKept(30_000, failing={"experiment/e": "why"}), ["report_unkept"]),
        (FakeKept(30_000, oldest="surface/home", oldest_ms=NOW_MS - STALE_MS), ["ok"]),
        (
            FakeKept(30_000, oldest="surface/home", oldest_ms=NOW_MS - STALE_MS - 1),
            ["reports_stale"],
        ),
    ],
)
def test_it_says_whether_reports_are_kept_fresh(kept: FakeKept, codes: list[str]) -> None:
    found = list(report_findings(kept, [POLICY, SURFACE], NOW_MS))  # type: ignore[arg-type]
    assert [each.code for each in found] == codes
    assert all(each.must_be and each.next_step for each in found if each.level != "ok")


def test_it_names_what_can_not_be_kept_and_why() -> None:
    kept = FakeKept(0, failing={"experiment/e": "metric 'x' is not declared"})
    [found] = report_findings(kept, [SURFACE], NOW_MS)  # type: ignore[arg-type]
    assert "experiment e can not be kept: metric 'x' is not declared" in found.text


def test_where_nothing_is_declared_nobody_has_to_keep_anything() -> None:
    [found] = report_findings(FakeKept(None), [POLICY], NOW_MS)  # type: ignore[arg-type]
    assert found.level == "ok"
