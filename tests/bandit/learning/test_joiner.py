import pytest
from msgspec.structs import replace

from bandit.learning.counts import Counts
from bandit.learning.joiner import MINUTE_MS, SKEW_MS, Joined, Joiner
from bandit.records import Action, LoggedDecision
from tests.bandit.learning.conftest import policy_spec
from tests.bandit.learning.making import T0, Row, batch, decision, event_id, exposure, reward
from tests.bandit.learning.making import surface as make_surface


def closed(
    decisions: list[LoggedDecision],
    rewards: list[Row] | None = None,
    exposures: list[Row] | None = None,
    **surface: object,
) -> list[Joined]:
    joiner = Joiner(make_surface(**surface))
    joiner.add(batch(decisions, rewards or [], exposures or []))
    return joiner.close(T0 + 60_000)


def test_decisions_close_up_to_the_watermark_in_the_order_of_time_and_event_id() -> None:
    joiner = Joiner(make_surface())
    first, last = decision(1, T0 + 1), decision(4, T0 + 3)
    tie = sorted([decision(2, T0 + 2), decision(3, T0 + 2)], key=lambda d: d.event_id)
    joiner.add(batch([last, tie[1], first, tie[0]]))
    assert [j.decision for j in joiner.close(T0 + 2)] == [first, *tie]
    assert len(joiner) == 1
    assert [j.decision for j in joiner.close(T0 + 3)] == [last]


def test_a_watermark_that_goes_back_is_refused() -> None:
    joiner = Joiner(make_surface())
    joiner.close(T0)
    with pytest.raises(ValueError, match="must be at least the last one"):
        joiner.close(T0 - 1)


def test_a_seen_slot_without_rewards_earns_the_default() -> None:
    one = decision(1, ranking=(1, 0), propensities=(0.3, 0.4))
    (joined,) = closed([one], [reward(one, 0.5, slot=1)], default_reward=-0.25)
    assert (joined.earned, joined.rewarded) == (((0, -0.25), (1, 0.5)), True)
    (joined,) = closed([one], default_reward=-0.25)
    assert (joined.earned, joined.rewarded) == (((0, -0.25), (1, -0.25)), False)


@pytest.mark.parametrize("aggregation", ["sum", "first", "last", "mean", "max", "min"])
@pytest.mark.parametrize(("values", "earned"), [([0.0, 0.0], 0.0), ([-0.5], -0.5)])
def test_rewards_of_zero_and_below_are_never_taken_for_none(
    aggregation: str, values: list[float], earned: float
) -> None:
    # rlclientlib's `max` began at the smallest positive float: such rewards became the default.
    one = decision(1)
    rewards: list[Row] = [reward(one, value, seq=n) for n, value in enumerate(values)]
    (joined,) = closed([one], rewards, aggregation=aggregation, default_reward=0.25)
    assert (joined.earned, joined.rewarded) == (((0, earned),), True)


def test_a_deferred_decision_is_seen_where_an_exposure_in_the_window_or_a_reward_says_so() -> None:
    one = decision(1, ranking=(1, 0, 2), propensities=(0.3, 0.4, 1.0), deferred=True)
    (joined,) = closed([one])
    assert joined == Joined(one, (), False)
    (joined,) = closed([one], exposures=[exposure(one, 2, 0, 7)])
    assert joined.earned == ((0, 0.0), (2, 0.0))
    (joined,) = closed([one], [reward(one, slot=1)], [exposure(one, 0)])
    assert joined.earned == ((0, 0.0), (1, 1.0))
    outside = [exposure(one, 0, after_ms=10_000), exposure(one, 0, after_ms=-1)]
    assert closed([one], exposures=outside) == [Joined(one, (), False)]


def test_lessons_are_over_the_eligible_actions_that_were_left() -> None:
    one = decision(1, excluded=(0,), ranking=(2, 1), propensities=(0.6, 1.0))
    (joined,) = closed([one], [reward(one, 0.5, slot=0)])
    top, below = joined.lessons()
    assert [a.id for a in top.actions] == ["a1", "a2"]
    assert (top.drawn, top.propensity, top.reward) == (1, 0.6, 0.5)
    assert [a.id for a in below.actions] == ["a1"]
    assert (below.drawn, below.propensity, below.reward) == (0, 1.0, 0.0)
    assert top.context == one.context


def test_lessons_are_over_the_pools_that_were_drawn_from() -> None:
    one = decision(
        1,
        actions=tuple(Action.of(f"a{i}") for i in range(5)),
        pmf=(0.2,) * 5,
        excluded=(1,),
        ranking=(3, 4, 0),
        propensities=(0.5, 1.0, 0.5),
        blocked=((2, 4), (), ()),
        pinned=(1,),
    )
    (joined,) = closed([one], [reward(one, 0.5, slot=1)])
    assert joined.earned == ((0, 0.0), (1, 0.5), (2, 0.0))
    top, below = joined.lessons()  # the pinned slot teaches nothing
    assert [a.id for a in top.actions] == ["a0", "a3"]
    assert (top.drawn, top.propensity) == (1, 0.5)
    assert [a.id for a in below.actions] == ["a0", "a2"]
    assert (below.drawn, below.propensity) == (0, 0.5)


@pytest.mark.parametrize(
    ("slot_model", "slots"),
    [
        ("shared", [b"", b""]),
        ("position", [b'{"position":"0"}', b'{"position":"1"}']),
        ("ccb", [b'{"position":"0","given":{"w":1}}', b'{"position":"1"}']),
    ],
)
def test_lessons_say_of_their_slot_what_the_slot_model_wants(
    slot_model: str, slots: list[bytes]
) -> None:
    one = decision(1, ranking=(2, 1), propensities=(0.5, 0.6), slot_features=(b'{"w":1}',))
    (joined,) = closed([one])
    assert [lesson.slot for lesson in joined.lessons(policy_spec(slot_model=slot_model))] == slots


def test_an_overridden_slot_is_not_seen_whatever_it_earned() -> None:
    one = decision(1, ranking=(1, 0, 2), propensities=(0.3, 0.4, 1.0))
    over = exposure(one, 0, overridden=((1, "billboard"), (9, "x")))
    rewards = [reward(one, 0.5, slot=1)]
    (joined,) = closed([one], rewards, [over])
    assert joined == Joined(one, ((0, 0.0), (2, 0.0)), False)
    late = exposure(one, 0, overridden=((1, "billboard"),), after_ms=10_000)
    assert closed([one], rewards, [late])[0].earned == ((0, 0.0), (1, 0.5), (2, 0.0))


def test_a_deferred_decision_that_was_overridden_whole_is_not_seen() -> None:
    one = decision(1, deferred=True)
    over = exposure(one, overridden=((0, "billboard"),))
    assert closed([one], [reward(one)], [over]) == [Joined(one, (), False)]


def test_slots_that_were_never_shown_do_not_get_the_default() -> None:
    one = decision(1, ranking=(1, 0, 2), propensities=(0.3, 0.4, 1.0), deferred=True)
    for slot in range(3):
        (joined,) = closed([one], exposures=[exposure(one, slot)], default_reward=-0.5)
        assert joined.earned == ((slot, -0.5),)


def test_a_reward_that_comes_before_its_decision_is_read_waits_for_it() -> None:
    joiner = Joiner(make_surface())
    one = decision(1)
    joiner.add(batch([], [reward(one)]))
    assert joiner.close(T0 + SKEW_MS - MINUTE_MS) == []
    joiner.add(batch([one]))
    (joined,) = joiner.close(T0 + SKEW_MS - MINUTE_MS)
    assert joined.earned == ((0, 1.0),)
    assert joiner.counts == Counts()


def test_a_reward_whose_decision_never_comes_is_an_orphan_once_none_can_come() -> None:
    joiner = Joiner(make_surface())
    joiner.add(batch([], [reward(decision(1))]))
    joiner.close(T0 + SKEW_MS)
    assert joiner.counts == Counts()
    joiner.close(T0 + SKEW_MS + MINUTE_MS)
    assert joiner.counts == Counts(orphan=1)


def test_a_reward_for_a_closed_decision_is_late_however_late_it_is() -> None:
    joiner = Joiner(make_surface())
    one = decision(1)
    joiner.add(batch([one]))
    joiner.close(T0)
    joiner.add(batch([], [reward(one)], [exposure(one, 0)]))
    assert joiner.counts == Counts(late=1)
    joiner.close(T0 + 3 * SKEW_MS)
    joiner.add(batch([], [reward(one, after_ms=3 * SKEW_MS)]))
    joiner.close(T0 + 3 * SKEW_MS)
    assert joiner.counts == Counts(late=2)


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
def test_of_a_decision_written_twice_the_first_stays(order: slice) -> None:
    joiner = Joiner(make_surface())
    one = decision(1, T0 + 5)
    copies = [
        decision(1, T0 + 5, event_id=one.event_id, writer="w1", seq=9),
        decision(1, T0 + 5, event_id=one.event_id, writer="w2", seq=1),
        decision(1, T0 + 6, event_id=one.event_id, writer="w0", seq=1),
    ]
    for copy in copies[order]:
        joiner.add(batch([copy]))
    assert [j.decision for j in joiner.close(T0 + 60)] == copies[:1]
    assert joiner.counts == Counts(duplicate=2)
    assert len(joiner) == 0


def test_a_copy_of_a_closed_decision_is_a_duplicate() -> None:
    joiner = Joiner(make_surface())
    one = decision(1)
    joiner.add(batch([one]))
    joiner.close(T0 + 1)
    joiner.add(batch([decision(1, T0 + 2, event_id=one.event_id, writer="w2")]))
    assert joiner.close(T0 + 2) == []
    assert joiner.counts == Counts(duplicate=1)


@pytest.mark.parametrize("age_ms", [1, 3 * SKEW_MS])
def test_a_decision_read_after_the_watermark_passed_it_closes_at_the_next(age_ms: int) -> None:
    joiner = Joiner(make_surface())
    joiner.close(T0 + age_ms)
    one = decision(1)
    joiner.add(batch([one], [reward(one)]))
    assert joiner.can_close(T0 + age_ms)
    (joined,) = joiner.close(T0 + age_ms)
    assert joined.earned == ((0, 1.0),)
    assert joiner.counts == Counts()


def test_own_decisions_only_leaves_others_out_and_still_knows_their_rewards() -> None:
    joiner = Joiner(make_surface(), only_policy="vw")
    mine, theirs = decision(1), decision(2, policy="uniform")
    joiner.add(batch([mine, theirs], [reward(theirs)]))
    assert [j.decision for j in joiner.close(T0 + 1)] == [mine]
    joiner.close(T0 + 2 * SKEW_MS)
    assert joiner.counts == Counts()


@pytest.mark.parametrize("order", [slice(None), slice(None, None, -1)])
@pytest.mark.parametrize(("first", "learned"), [("vw", 1), ("uniform", 0)])
def test_who_drew_a_decision_is_what_its_first_copy_says(
    order: slice, first: str, learned: int
) -> None:
    joiner = Joiner(make_surface(), only_policy="vw")
    second = {"vw": "uniform", "uniform": "vw"}[first]
    copies = [
        decision(1, T0, policy=first),
        decision(1, T0 + 1, event_id=event_id(1, T0), policy=second, writer="w2"),
    ]
    joiner.add(batch(copies[order]))
    assert len(joiner.close(T0 + 5)) == learned
    assert joiner.counts == Counts(duplicate=1)


def test_bounded_closes_about_so_many_and_never_splits_a_millisecond() -> None:
    joiner = Joiner(make_surface())
    joiner.add(batch([decision(n, T0 + n // 2) for n in range(10)]))
    assert joiner.bounded(T0 + 9, 10) == T0 + 9
    assert joiner.bounded(T0 + 9, 3) == T0 + 1
    assert len(joiner.close(joiner.bounded(T0 + 9, 3))) == 4
    assert joiner.bounded(T0 + 2, 3) == T0 + 2


def test_settled_means_that_closing_would_do_nothing() -> None:
    joiner = Joiner(make_surface(), only_policy="vw")
    assert joiner.is_settled(T0)
    joiner.add(batch([decision(1, policy="uniform")]))
    assert joiner.is_settled(T0 - 1)
    assert not joiner.is_settled(T0)
    assert not joiner.can_close(T0)
    joiner.close(T0)
    joiner.add(batch([], [reward(decision(2))]))
    assert joiner.is_settled(T0 + SKEW_MS)
    assert not joiner.is_settled(T0 + SKEW_MS + MINUTE_MS)


def test_a_decision_whose_variant_was_set_by_hand_gives_no_lesson() -> None:
    # Who tests is not who comes: the same row without `forced` teaches.
    one = decision(1, experiment="e", variant="t", forced=True)
    (joined,) = closed([one], [reward(one)])
    assert (joined.earned, joined.lessons()) == (((0, 1.0),), [])
    (joined,) = closed([replace(one, forced=False)], [reward(one)])
    assert [lesson.reward for lesson in joined.lessons()] == [1.0]
