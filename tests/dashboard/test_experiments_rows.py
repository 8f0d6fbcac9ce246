"""The list of experiments: lines, filters and small pictures, from headlines made by hand."""

import base64
import csv
import io

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.service.judging import judge
from bandit.service.reporting_overview import headline_of
from bandit.service.reporting_payloads import ExperimentHeadline
from bandit.service.reporting_tables import as_csv, headline_rows
from bandit.store.definitions import Definition
from dashboard.interval_picture import COLOURS, Interval, picture, reach_of
from dashboard.page_experiments import (
    caption_of,
    effect_text,
    experiment_rows,
    filtered,
    interval_of,
)
from tests.bandit.service.making_numbers import (
    arrivals,
    exactly,
    experiment_of,
    metric_of,
    moments_of,
    numbers_of,
)


def line(key: str, gain: float = 1.0, better: str = "higher", **declared) -> ExperimentHeadline:
    experiment = experiment_of(key=key, **declared)
    rows = {"c": [exactly(400, 10.0, 2.0)], "t": [exactly(400, 10.0 + gain, 2.0)]}
    numbers = numbers_of(moments_of("reward", rows), periods=arrivals({"c": 50, "t": 50}, 4))
    judged = judge(numbers, experiment, [metric_of(better=better)], alpha=0.05)
    definition = Definition(
        kind="experiment", key=key, version=1, created_ms=0, author="ana", change_id="x",
        spec=experiment,
    )  # fmt: skip
    return headline_of(definition, judged, 7)


EVERY = [
    line("feed", description="Learned feed"),
    line("hero", gain=-1.0, owner="bo", surface="home.hero"),
    line("old", status="archived"),
    line("stopped", status="stopped"),
]


def keys(**asked: str) -> list[str]:
    given = {"status": "not archived", "surface": "all", "owner": "all", "words": ""} | asked
    return [one.key for one in filtered(EVERY, **given)]


def test_filters_let_through_what_fits_every_one_of_them():
    assert keys() == ["feed", "hero", "stopped"]
    assert keys(status="all") == ["feed", "hero", "old", "stopped"]
    assert keys(status="archived") == ["old"]
    assert keys(surface="home.hero") == ["hero"]
    assert keys(owner="ana") == ["feed", "stopped"]
    assert keys(words="LEARNED fee") == ["feed"]
    assert keys(words="reward") == ["feed", "hero", "stopped"]
    assert keys(words="nothing like it") == []


def test_a_line_says_what_the_payload_says():
    [feed] = experiment_rows(EVERY[:1])
    effect = EVERY[0].primary[0].anytime
    assert effect.relative_effect is not None
    assert feed["effect"] == f"reward {effect.relative_effect:+.1%}".replace("%", " %")
    assert (feed["says"], feed["health"], feed["owner"]) == ("better", "● fine", "ana")
    assert feed["units"] == 800
    assert feed["days left"] == EVERY[0].days_left == 0.0
    assert caption_of(EVERY[0]).endswith("owner ana · decided")
    assert "about 3" in caption_of(line("a", gain=0.1))
    assert "days left" not in caption_of(EVERY[3])


def test_an_interval_is_good_or_bad_in_the_metrics_own_direction():
    assert interval_of(line("a")).state == "better"
    assert interval_of(line("a", better="lower")).state == "worse"
    assert interval_of(line("a", gain=0.01)).state == "open"
    empty = msgspec.structs.replace(line("a"), primary=())
    assert interval_of(empty) is None
    assert effect_text(empty) == "–"
    assert experiment_rows([empty])[0]["interval"] is None


def test_csv_has_a_row_for_each_even_without_an_effect():
    empty = msgspec.structs.replace(line("a"), primary=())
    rows = list(csv.DictReader(io.StringIO(as_csv(headline_rows([*EVERY, empty])))))
    assert [row["experiment"] for row in rows] == ["feed", "hero", "old", "stopped", "a"]
    assert float(rows[0]["effect"]) == EVERY[0].primary[0].anytime.effect
    assert rows[-1]["effect"] == ""


def drawn(found: Interval, reach: float) -> str:
    text = picture(found, reach)
    assert text is not None
    kind, _, encoded = text.partition(",")
    assert kind == "data:image/svg+xml;base64"
    return base64.b64decode(encoded).decode()


def test_a_picture_is_coloured_by_its_state_and_cut_off_at_the_scale():
    svg = drawn(Interval(0.1, 0.05, 0.15, "better"), 0.3)
    assert COLOURS["better"] in svg
    assert "polygon" not in svg
    assert drawn(Interval(0.1, -2.0, 2.0, "open"), 0.3).count("polygon") == 2
    assert picture(None, 1.0) is None


@given(st.lists(st.tuples(st.floats(-1e9, 1e9), st.floats(0, 1e9), st.floats(0, 1e9)), max_size=9))
def test_every_dot_is_on_the_scale(drawn_from: list[tuple[float, float, float]]):
    intervals = [Interval(e, e - low, e + high, "open") for e, low, high in drawn_from]
    reach = reach_of(intervals)
    assert reach > 0.0
    for one in intervals:
        assert abs(one.effect) <= reach or one.effect == pytest.approx(reach)
        drawn(one, reach)
