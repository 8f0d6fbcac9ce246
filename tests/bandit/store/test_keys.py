from functools import partial

import pytest
from msgspec.structs import replace

from bandit.errors import RecordError, VersionConflict
from bandit.store.client import Store
from bandit.store.keys import ApiKey, Keys
from tests.bandit.store.making import T0, at_once

KEY = ApiKey(
    key_id="0011aabb",
    version=1,
    project="shop",
    client="web",
    digest="d" * 64,
    scopes=("rank", "reward"),
    created_ms=T0,
    author="ann",
)


@pytest.fixture
def keys(store: Store) -> Keys:
    return Keys(store)


def test_what_was_put_comes_back(keys: Keys) -> None:
    other = replace(KEY, key_id="ffffffff", expires_ms=T0 + 5, rate_limit=2.5, scopes=("admin",))
    keys.put(KEY, change_id="c1")
    keys.put(other, change_id="c2")
    assert keys.all() == [KEY, other]


def test_a_change_is_a_version_and_the_newest_holds(keys: Keys) -> None:
    assert (keys.all(), keys.revision()) == ([], 0)
    keys.put(KEY, change_id="c1")
    revoked = replace(KEY, version=2, revoked=True, created_ms=T0 - 1)
    keys.put(revoked, change_id="c2")
    assert (keys.all(), keys.revision()) == ([revoked], 2)


def test_of_changes_that_compete_one_wins(keys: Keys) -> None:
    keys.put(KEY, change_id="c")
    with pytest.raises(VersionConflict):
        keys.put(KEY, change_id="late")
    changed = [replace(KEY, version=2, author=f"a{n}") for n in range(8)]
    calls = [partial(keys.put, key, change_id=f"c{n}") for n, key in enumerate(changed)]
    results = at_once(*calls)
    won = [n for n, result in enumerate(results) if result is None]
    assert len(won) == 1
    assert keys.all() == [changed[won[0]]]


def test_the_last_use_on_any_host_is_told(keys: Keys) -> None:
    assert keys.uses() == {}
    keys.note_uses("a", {"k1": T0, "k2": T0})
    keys.note_uses("b", {"k1": T0 + 10})
    keys.note_uses("a", {"k1": T0 + 5})
    assert keys.uses() == {"k1": T0 + 10, "k2": T0}


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"scopes": ()}, "scopes are"),
        ({"scopes": ("rank", "rank")}, "scopes are"),
        ({"rate_limit": 0.0}, "must be above 0"),
        ({"rate_limit": float("nan")}, "must be above 0"),
    ],
)
def test_a_key_that_means_nothing_is_refused(changes: dict[str, object], says: str) -> None:
    with pytest.raises(RecordError, match=says):
        replace(KEY, **changes)


def test_the_digest_does_not_show_in_repr() -> None:
    assert KEY.digest not in repr(KEY)


def test_it_is_live_until_it_expires_or_is_revoked() -> None:
    assert KEY.is_live(T0)
    assert replace(KEY, expires_ms=T0 + 1).is_live(T0)
    assert not replace(KEY, expires_ms=T0).is_live(T0)
    assert not replace(KEY, revoked=True).is_live(T0)
