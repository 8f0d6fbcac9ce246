import math

import msgspec
import pytest

from bandit.errors import BadPropensity, RecordError
from bandit.records import Action, AnyLogRecord, Decision, Outcome, Reward

DECISION = {
    "ts_ms": 1,
    "surface": "s",
    "event_id": "e",
    "unit_id": "u",
    "policy": "p",
    "snapshot": 3,
    "request": b"{}",
    "pmf": b"",
    "ranking": (1,),
    "propensities": (0.5,),
    "floor": 0.01,
    "seed": 2**64 - 1,
}


@pytest.mark.parametrize("value", [0.0, -0.1, 1.0000001, math.nan, math.inf])
def test_a_propensity_outside_its_range_is_refused(value: float) -> None:
    with pytest.raises(BadPropensity, match=r"must be in \(0, 1\]"):
        Decision(**{**DECISION, "propensities": (value,)})


@pytest.mark.parametrize("propensities", [(), (0.5, 0.5)])
def test_ranking_and_propensities_have_one_length(propensities: tuple[float, ...]) -> None:
    with pytest.raises(RecordError, match="must have the same number"):
        Decision(**{**DECISION, "propensities": propensities})


@pytest.mark.parametrize("share", [0.0, -0.5, 1.5, math.nan])
def test_a_share_that_nothing_is_kept_by_is_refused(share: float) -> None:
    with pytest.raises(RecordError, match=r"keep_share is .*, must be in \(0, 1\]"):
        Decision(**{**DECISION, "keep_share": share})


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 1e39, -1e7])
def test_a_number_that_could_harm_a_model_is_refused(value: float) -> None:
    with pytest.raises(RecordError, match=r"reward is .*, must be in \[-1e\+06, 1e\+06\]"):
        Reward(ts_ms=1, event_id="e", decision_ts_ms=1, value=value, reward_id="r")
    with pytest.raises(RecordError, match=r"outcome is .*, must be in \[-1e\+15, 1e\+15\]"):
        Outcome(ts_ms=1, unit_id="u", name="n", value=1e9 * value, outcome_id="o")


@pytest.mark.parametrize("value", [1e9, 1_790_000_000_000.0, -1e15])
def test_an_outcome_may_be_a_time_in_ms_or_a_sum_in_cents(value: float):
    # Up to 1e6 only, as of rewards that a model learns from, no metric of such could be posted.
    assert Outcome(ts_ms=1, unit_id="u", name="n", value=value, outcome_id="o").value == value


def test_records_survive_the_journal_byte_for_byte() -> None:
    decision = Decision(**{**DECISION, "shadows": {"other": (0.25,)}})
    packed = msgspec.msgpack.encode(decision)
    assert msgspec.msgpack.decode(packed, type=AnyLogRecord) == decision


def test_a_broken_rule_is_reported_with_its_place_while_decoding() -> None:
    packed = msgspec.json.encode(
        [
            {
                "kind": "reward",
                "ts_ms": 1,
                "event_id": "e",
                "decision_ts_ms": 1,
                "value": 1e39,
                "reward_id": "r",
            }
        ]
    )
    with pytest.raises(msgspec.ValidationError, match=r"must be in .* - at `\$\[0\]`"):
        msgspec.json.decode(packed, type=list[AnyLogRecord])


def test_actions_are_frozen_and_closed() -> None:
    action = Action.of("a", topic="go")
    with pytest.raises(AttributeError):
        action.id = "b"  # type: ignore[misc]
    with pytest.raises(msgspec.ValidationError, match="unknown field"):
        msgspec.json.decode(b'{"id":"a","colour":1}', type=Action)
