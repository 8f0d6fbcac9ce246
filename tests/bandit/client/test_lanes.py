import json
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bandit.client import Options
from bandit.client.lanes import FAULTS, Lane, Outgoing, Reply
from tests.bandit.client.serving import record

OK = Reply(202)


def lane(**options: float) -> Lane:
    return Lane("/v1/rewards", Options(**options))


def refusal(status: int, **told: object) -> Reply:
    return Reply(status, json.dumps({"type": "bad_record", "detail": "no", **told}).encode())


def deliver(
    one: Lane, judge: Callable[[list[Outgoing]], Reply], most: int = 10_000
) -> tuple[list[bytes], int]:
    """What arrived, and how many were refused."""
    arrived: list[bytes] = []
    refused = 0
    while batch := one.take():
        most -= 1
        assert most > 0, "the lane goes on for ever"
        reply = judge(batch)
        arrived += [each.body for each in batch] if reply == OK else []
        refused += one.settle(reply, 0.0, 0.0).refused
    return arrived, refused


def test_lane_sends_in_order_in_batches() -> None:
    one = lane(batch_n=4)
    for number in range(10):
        one.add(record(number))
    sizes: list[int] = []
    arrived, _ = deliver(one, lambda batch: (sizes.append(len(batch)), OK)[1])
    assert (sizes, arrived) == ([4, 4, 2], [b"%d" % n for n in range(10)])


def test_full_lane_drops_the_oldest_and_says_so() -> None:
    one = lane(queue_n=3)
    assert [one.add(record(number)) for number in range(5)] == [False] * 3 + [True] * 2
    assert deliver(one, lambda batch: OK)[0] == [b"2", b"3", b"4"]


@pytest.mark.parametrize("status", [0, 408, 425, 429, 502, 503, 504])
def test_batch_stays_until_a_passing_trouble_has_passed(status: int) -> None:
    one = lane()
    one.add(record(1))
    batch = one.take()
    for _ in range(50):
        assert one.settle(Reply(status), 0.0, 0.0) == (0, 0, None)
        assert one.take() is batch
    assert one.settle(OK, 0.0, 0.0).delivered == 1
    assert one.not_before_s == float("-inf")


def test_pauses_double_up_to_the_longest_and_differ_by_luck() -> None:
    one = lane(pause_s=1.0, pause_most_s=6.0)
    one.add(record(1))
    one.take()
    pauses = []
    for luck in (0.0, 0.0, 0.0, 0.0, 0.5):
        one.settle(Reply(503), 100.0, luck)
        pauses.append(one.not_before_s - 100.0)
    assert pauses == [0.5, 1.0, 2.0, 3.0, 4.5]


def test_pause_is_as_long_as_the_service_asks_within_reason() -> None:
    one = lane(pause_s=0.1, pause_most_s=5.0)
    one.add(record(1))
    one.take()
    for header, pause_s in (("2", 2.0), ("3600", 5.0), ("Wed, 21 Oct", 0.2)):
        one.settle(Reply(429, retry_after=header), 0.0, 0.0)
        assert one.not_before_s == pause_s


def test_named_record_of_a_refused_batch_is_dropped_and_the_others_arrive() -> None:
    one = lane()
    for number in range(100):
        one.add(record(number))

    def judge(batch: list[Outgoing]) -> Reply:
        bad = [place for place, each in enumerate(batch) if int(each.body) in (17, 60)]
        return refusal(400, place=f"$[{bad[0]}].value") if bad else OK

    arrived, refused = deliver(one, judge, most=4)
    assert refused == 2
    assert arrived == [b"%d" % n for n in range(100) if n not in (17, 60)]


@given(bad=st.sets(st.integers(0, 60)), status=st.sampled_from([400, 413, 500]))
@settings(deadline=None, max_examples=60)
def test_unnamed_bad_records_are_found_by_halving(bad: set[int], status: int) -> None:
    one = lane()
    for number in range(61):
        one.add(record(number))

    def judge(batch: list[Outgoing]) -> Reply:
        return Reply(status, b"<html>") if bad & {int(each.body) for each in batch} else OK

    arrived, refused = deliver(one, judge)
    assert arrived == [b"%d" % n for n in range(61) if n not in bad]
    assert refused == len(bad)


def test_undeclared_surface_takes_no_other_surface_with_it() -> None:
    one = lane()
    for number in range(90):
        one.add(record(number, ("home", "gone", "list")[number % 3]))

    def judge(batch: list[Outgoing]) -> Reply:
        gone = any(each.surface == "gone" for each in batch)
        return refusal(404, type="not_declared") if gone else OK

    arrived, refused = deliver(one, judge, most=5)
    assert (len(arrived), refused) == (60, 30)


@pytest.mark.parametrize("status", [301, 401, 403, 404, 405, 415])
def test_batch_that_no_part_of_can_succeed_is_given_up_at_once(status: int) -> None:
    one = lane()
    for number in range(100):
        one.add(record(number))
    assert deliver(one, lambda batch: Reply(status), most=2) == ([], 100)


def test_server_error_is_retried_before_anything_is_given_up() -> None:
    one = lane()
    one.add(record(1))
    one.take()
    for _ in range(FAULTS - 1):
        assert one.settle(Reply(500), 0.0, 0.0).refused == 0
    assert one.settle(OK, 0.0, 0.0).delivered == 1


@pytest.mark.parametrize(("status", "kind"), [(403, "bad_token"), (429, "too_many_rewards")])
def test_record_without_its_right_is_dropped_alone_and_at_once(status: int, kind: str) -> None:
    """A 403 took its whole batch with it, a 429 held up the lane for an hour."""
    one = lane(batch_n=5)
    for number in range(5):
        one.add(record(number))

    def judge(batch: list[Outgoing]) -> Reply:
        bodies = [each.body for each in batch]
        if b"3" not in bodies:
            return OK
        return refusal(status, type=kind, place=f"$[{bodies.index(b'3')}].token")

    assert deliver(one, judge) == ([b"0", b"1", b"2", b"4"], 1)
