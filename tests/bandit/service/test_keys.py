import re

import pytest

from bandit.errors import NotFound, RecordError, VersionConflict
from bandit.service.key_ring import digest_of
from bandit.service.keys import KeyService
from bandit.store.keys import ApiKey
from tests.bandit.service.making import NOW_MS
from tests.bandit.service.making_keys import Clock, MemoryKeys, key_service


def test_the_text_of_a_key_is_told_once_and_kept_as_a_digest() -> None:
    keys = MemoryKeys()
    key, text = key_service(keys).create("shop", "web", ["rank"])
    assert re.fullmatch(r"bandit_[0-9a-f]{8}_[A-Za-z0-9_-]{43}", text)
    assert text[7:15] == key.key_id
    assert key.digest == digest_of(text)
    assert keys.all() == [key]
    assert text not in repr(keys.all())


def test_a_new_key_does_not_show_its_text_by_accident() -> None:
    made = key_service(MemoryKeys()).create("shop", "web", ["rank"])
    assert made.text not in repr(made)
    assert made.text not in f"{made}"


def test_a_client_has_two_live_keys_at_most() -> None:
    keys, clock = MemoryKeys(), Clock()
    service = key_service(keys, clock)
    first = service.create("shop", "web", ["rank"], expires_ms=NOW_MS + 10).key
    second = service.create("shop", "web", ["rank"]).key
    with pytest.raises(RecordError, match=f"2 live keys \\({first.key_id}, {second.key_id}\\)"):
        service.create("shop", "web", ["rank"])
    service.create("other", "web", ["rank"])
    clock.now_ms += 10  # the first has expired
    third = service.create("shop", "web", ["rank"]).key
    service.revoke(second.key_id)
    service.create("shop", "web", ["rank"])
    assert third.is_live(clock())


def test_two_that_are_made_at_once_are_still_two_at_most() -> None:
    keys, clock = MemoryKeys(), Clock()
    service = key_service(keys, clock)
    service.create("shop", "web", ["rank"])

    class Late(MemoryKeys):
        """Another process makes a key between our look and our write."""

        def put(self, key: ApiKey, *, change_id: str) -> None:
            if key.version == 1 and len(keys.versions) == 1:
                KeyService(
                    keys,  # type: ignore[arg-type]
                    now_ms=clock,
                    entropy=lambda n: b"\xff" * n,
                    author="bob",
                ).create("shop", "web", ["rank"])
            keys.put(key, change_id=change_id)

        def all(self) -> list[ApiKey]:
            return keys.all()

    late = KeyService(
        Late(),  # type: ignore[arg-type]
        now_ms=clock,
        entropy=lambda n: b"\xee" * n,
        author="eve",
    )
    with pytest.raises(RecordError, match="2 live keys"):
        late.create("shop", "web", ["rank"])
    assert sum(key.is_live(clock()) for key in keys.all()) == 2


def test_rotation_gives_a_new_key_that_may_do_the_same_and_lets_the_old_end() -> None:
    keys, clock = MemoryKeys(), Clock()
    service = key_service(keys, clock)
    old = service.create("shop", "web", ["rank", "reward"], rate_limit=5.0).key
    new = service.rotate(old.key_id, grace_ms=1000).key
    assert (new.project, new.client, new.scopes) == ("shop", "web", ("rank", "reward"))
    assert (new.rate_limit, new.expires_ms) == (5.0, None)
    is_live = {key.key_id: key.is_live(NOW_MS + 999) for key in keys.all()}
    assert is_live == {old.key_id: True, new.key_id: True}
    clock.now_ms += 1000
    assert [key.key_id for key in keys.all() if key.is_live(clock())] == [new.key_id]
    with pytest.raises(RecordError, match="not live"):
        service.rotate(old.key_id, grace_ms=1000)


def test_rotation_never_lengthens_the_life_of_the_old_key() -> None:
    keys = MemoryKeys()
    service = key_service(keys)
    old = service.create("shop", "web", ["rank"], expires_ms=NOW_MS + 10).key
    service.rotate(old.key_id, grace_ms=1000)
    assert {key.key_id: key.expires_ms for key in keys.all()}[old.key_id] == NOW_MS + 10


def test_a_revoked_key_is_not_live_and_stays_so() -> None:
    keys = MemoryKeys()
    service = key_service(keys)
    key = service.create("shop", "web", ["rank"]).key
    assert not service.revoke(key.key_id).is_live(NOW_MS)
    assert service.revoke(key.key_id).version == 2
    with pytest.raises(NotFound, match="'12345678' is not known"):
        service.revoke("12345678")


def test_revoking_goes_on_when_somebody_else_changes_the_key() -> None:
    class Busy(MemoryKeys):
        tries = 0

        def put(self, key: ApiKey, *, change_id: str) -> None:
            self.tries += 1
            if self.tries in (2, 3):
                raise VersionConflict("key", key.key_id, 1, 1)
            super().put(key, change_id=change_id)

    keys = Busy()
    service = key_service(keys)
    key_id = service.create("shop", "web", ["rank"]).key.key_id
    assert service.revoke(key_id).revoked


def test_a_key_that_is_good_for_nothing_is_not_made() -> None:
    keys = MemoryKeys()
    with pytest.raises(RecordError, match="must be later"):
        key_service(keys).create("shop", "web", ["rank"], expires_ms=NOW_MS)
    with pytest.raises(RecordError, match="must be at least one"):
        key_service(keys).create("shop", "web", [])
    assert keys.all() == []


def test_the_list_tells_the_last_use() -> None:
    keys = MemoryKeys()
    service = key_service(keys)
    one, two = (service.create("shop", client, ["rank"]).key for client in ("web", "app"))
    keys.note_uses("h", {one.key_id: 5})
    assert service.all() == [(two, None), (one, 5)]


def test_ids_are_never_given_twice() -> None:
    keys = MemoryKeys()
    seven, eight = bytes(3) + b"\7", bytes(3) + b"\x08"
    draws = iter([seven, bytes(32), b"change-1", seven, eight, bytes(32), b"change-2"])
    service = KeyService(
        keys,  # type: ignore[arg-type]
        now_ms=Clock(),
        entropy=lambda _: next(draws),
        author="ann",
    )
    for _ in range(2):
        service.create("shop", "web", ["rank"])
    assert [key.key_id for key in keys.all()] == ["00000007", "00000008"]
