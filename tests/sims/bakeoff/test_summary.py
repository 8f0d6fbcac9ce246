import msgspec
import numpy as np
import pytest

from sims.bakeoff.entries import LeftOut
from sims.bakeoff.running import Options, Score
from sims.bakeoff.summary import summary_of
from sims.bakeoff.writing import as_json, as_markdown


def score(world: str, policy: str, *whole: float, seeds: tuple[int, ...] = (0, 1, 2)) -> Score:
    means = np.array(whole)
    return Score(world, policy, seeds, means, means, 1.0 - means, 20.0)


SCORES = [
    score("letter clean", "good", 0.90, 0.91, 0.92),
    score("letter clean", "bad", 0.50, 0.53, 0.49),
    score("letter clicks", "good", 0.06, 0.05, 0.04),
    score("letter clicks", "bad", 0.05, 0.05, 0.05),
]


def test_ranks_are_means_over_worlds_with_an_interval_over_seeds() -> None:
    """Ranks of `good`: 1, 1, 1 in the first world; 1, 1.5, 2 in the other."""
    [good, bad] = summary_of(SCORES, ("clean", "clicks")).lines
    assert (good.policy, good.rank) == ("good", pytest.approx(1.25))
    assert bad.rank == pytest.approx(1.75)
    half = 4.302652729749464 * 0.25 / np.sqrt(3)  # t with 2 degrees of freedom
    assert (good.rank_low, good.rank_high) == (
        pytest.approx(1.25 - half),
        pytest.approx(1.25 + half),
    )
    assert good.whole == {"clean": pytest.approx(0.91), "clicks": pytest.approx(0.05)}


def test_wins_are_sure_after_holm_s_correction_only() -> None:
    duels = {(d.policy, d.other): d for d in summary_of(SCORES, ("clean",)).duels}
    assert duels["good", "bad"][2:] == (1, 0, 1)
    assert duels["bad", "good"][2:] == (0, 1, 1)


def test_only_seeds_that_all_have_played_count() -> None:
    scores = [*SCORES[:3], score("letter clicks", "bad", 0.2, seeds=(1,))]
    found = summary_of(scores, ("clean", "clicks"))
    assert found.seeds == (1,)
    assert {line.rank_low for line in found.lines} == {None}


def test_who_could_not_play_shares_the_last_place_there() -> None:
    found = summary_of(SCORES[:3], ("clean", "clicks"))
    assert {line.policy: line.rank for line in found.lines} == {"good": 1.0, "bad": 2.0}
    text = as_markdown(Options(("letter",)), found, [LeftOut("letter", "bad", "too many arms")])
    assert "* `bad` did not play letter: too many arms" in text
    assert "| letter clean | **0.910** | 0.507 |" in text
    told = msgspec.json.decode(as_json(Options(("letter",)), found, []))
    assert told["means"]["letter clicks"] == {"good": pytest.approx(0.05)}
