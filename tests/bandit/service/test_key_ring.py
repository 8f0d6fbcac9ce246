import hashlib

import pytest

from bandit.errors import StoreUnavailable
from bandit.service.key_ring import ANYBODY, LENGTH, KeyRing, Principal
from tests.bandit.service.making import NOW_MS
from tests.bandit.service.making_keys import MemoryKeys, key_service, made


@pytest.fixture
def keys() -> MemoryKeys:
    return MemoryKeys()


def ring_of(keys: MemoryKeys) -> KeyRing:
    ring = KeyRing()
    ring.swap(keys.all())
    return ring


def test_a_key_stands_for_its_client_and_what_it_may_do(keys: MemoryKeys) -> None:
    key, text = made(keys, "shop", "rank", "read", rate_limit=3.0)
    assert len(text) == LENGTH
    found = ring_of(keys).find(text.encode(), NOW_MS)
    assert found == Principal("shop", key.key_id, "web", frozenset({"rank", "read"}), 3.0)


def test_any_other_text_stands_for_nobody(keys: MemoryKeys) -> None:
    _, text = made(keys, "shop", "rank")
    ring = ring_of(keys)
    raw = text.encode()
    others = [b"", b"bandit_", raw[:-1], raw + b"=", raw.upper(), b" " + raw, b"\0" * LENGTH]
    others += [raw[:at] + bytes([raw[at] ^ 1]) + raw[at + 1 :] for at in range(LENGTH)]
    assert [ring.find(other, NOW_MS) for other in others] == [None] * len(others)
    assert ring.used_ms == {}


def test_a_digest_is_no_key(keys: MemoryKeys) -> None:
    key, text = made(keys, "shop", "rank")
    stolen = [
        key.digest,
        f"bandit_{key.key_id}_{key.digest}",
        hashlib.sha256(text.encode()).digest(),
    ]
    ring = ring_of(keys)
    for one in stolen:
        assert ring.find(one if isinstance(one, bytes) else one.encode(), NOW_MS) is None


def test_a_key_ends_when_it_expires_or_is_revoked(keys: MemoryKeys) -> None:
    _, text = made(keys, "shop", "rank", expires_ms=NOW_MS + 5)
    ring = ring_of(keys)
    assert ring.find(text.encode(), NOW_MS + 4) is not None
    assert ring.find(text.encode(), NOW_MS + 5) is None
    key_service(keys).revoke(keys.all()[0].key_id)
    ring.swap(keys.all())
    assert ring.find(text.encode(), NOW_MS) is None


def test_nobody_is_let_in_before_keys_were_learned(keys: MemoryKeys) -> None:
    _, text = made(keys, "shop", "rank")
    ring = KeyRing()
    assert not ring.is_known
    with pytest.raises(StoreUnavailable, match="keys are not loaded yet"):
        ring.find(text.encode(), NOW_MS)
    ring.swap([])
    assert ring.is_known
    assert ring.find(text.encode(), NOW_MS) is None


def test_uses_are_remembered_by_id(keys: MemoryKeys) -> None:
    key, text = made(keys, "shop", "rank")
    ring = ring_of(keys)
    ring.find(text.encode(), NOW_MS)
    ring.find(text.encode(), NOW_MS + 7)
    assert ring.used_ms == {key.key_id: NOW_MS + 7}


def test_a_project_sees_itself_only_and_nobody_in_particular_sees_all() -> None:
    assert Principal("shop").sees("shop")
    assert not Principal("shop").sees("shop2")
    assert ANYBODY.sees("shop")
