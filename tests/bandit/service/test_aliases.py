"""Any text as an event id."""

import pytest

from bandit.event_id import make_event_id, read_event_id, surface_tag
from bandit.service.aliases import BUCKET_MS, MOST, alias_of, candidates_of, is_ours
from tests.bandit.service.making import NOW_MS, SALT

TAG = surface_tag("home.feed")


def test_alias_is_the_published_formula() -> None:
    # Golden: made once by this code; whoever changes it loses the rewards of what is under way.
    assert alias_of("order-7", TAG, NOW_MS, SALT) == "01a0c47b-2580-76ff-8b97-3f127ef9bb61"


@pytest.mark.parametrize("offset_ms", [0, 1, BUCKET_MS // 2, BUCKET_MS - 1])
def test_alias_is_ours_and_at_most_an_hour_away(offset_ms: int) -> None:
    at_ms = NOW_MS // BUCKET_MS * BUCKET_MS + offset_ms
    read = read_event_id(alias_of("order-7", TAG, at_ms, SALT), SALT)
    assert read.surface_tag == TAG
    assert abs(read.ts_ms - at_ms) <= 3_600_000


@pytest.mark.parametrize("window_ms", [1, 600_000, BUCKET_MS, 2 * 86_400_000])
@pytest.mark.parametrize("offset_ms", [0, 1, BUCKET_MS - 1])
def test_candidates_hold_the_alias_of_every_moment_of_the_window(
    window_ms: int, offset_ms: int
) -> None:
    now_ms = NOW_MS // BUCKET_MS * BUCKET_MS + offset_ms
    found = candidates_of("order-7", TAG, now_ms, window_ms, SALT)
    steps = [now_ms - window_ms * n // 50 for n in range(51)]
    assert {alias_of("order-7", TAG, ms, SALT) for ms in steps} <= set(found)
    assert len(found) == len(set(found)) <= window_ms // BUCKET_MS + 2
    assert found == sorted(found, reverse=True)  # newest first: the time is in front


def test_candidates_have_an_end() -> None:
    assert len(candidates_of("order-7", TAG, NOW_MS, 30 * 86_400_000, SALT)) == MOST


def test_id_that_we_made_stands_for_itself_on_its_surface_only() -> None:
    ours = make_event_id(NOW_MS, TAG, b"123456", SALT)
    assert is_ours(ours, TAG, SALT)
    assert candidates_of(ours, TAG, NOW_MS, 600_000, SALT) == [ours]
    assert not is_ours(ours, surface_tag("other"), SALT)
    assert not is_ours("order-7", TAG, SALT)


def test_no_text_is_refused() -> None:
    texts = ["", "é" * 256, "\ud800", "\x00", "../..", "0192f3a1-7c00-4abc-8def-0123456789ab"]
    assert len({alias_of(text, TAG, NOW_MS, SALT) for text in texts}) == len(texts)
