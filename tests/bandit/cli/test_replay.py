"""What `bandit replay` prints and answers; the replays themselves are the service's."""

import pytest

from bandit.cli.replay import SHOWN, _print_all
from bandit.errors import NotFound, SnapshotCorrupt
from bandit.service.replaying import Replay

IDENTICAL = Replay(
    event_id="e",
    identical=True,
    policy="vw",
    snapshot=1,
    seed=1,
    pmf=(1.0,),
    ranking=(0,),
    propensities=(1.0,),
    differences=(),
)
DIFFERING = Replay(
    event_id="d",
    identical=False,
    policy="vw",
    snapshot=1,
    seed=1,
    pmf=(1.0,),
    ranking=(0,),
    propensities=(1.0,),
    differences=("seed was 2",),
)
LOST, CORRUPT = NotFound("vw@1 is not kept"), SnapshotCorrupt("vw@2 has another digest")


@pytest.mark.parametrize(
    ("replays", "fine"),
    [
        ([IDENTICAL, LOST], True),
        ([IDENTICAL, CORRUPT], False),
        ([IDENTICAL, DIFFERING], False),
        ([LOST], False),
        ([], False),
    ],
)
def test_all_that_had_its_snapshot_must_be_identical(replays: list, fine: bool) -> None:
    assert _print_all(replays) is fine


def test_everything_is_counted_and_what_is_wrong_is_said(capsys: pytest.CaptureFixture) -> None:
    _print_all([CORRUPT, IDENTICAL, LOST, DIFFERING, IDENTICAL])
    assert capsys.readouterr().out.splitlines() == [
        "vw@2 has another digest",
        "d: seed was 2",
        "2 identical, 1 differing, 1 without their snapshot, 1 with a corrupt one",
        "without their snapshot, the first of them: vw@1 is not kept",
    ]


def test_only_the_first_differences_are_printed(capsys: pytest.CaptureFixture) -> None:
    _print_all([DIFFERING] * (SHOWN + 5))
    assert len(capsys.readouterr().out.splitlines()) == SHOWN + 1
