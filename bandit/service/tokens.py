"""Event tokens: whoever brings one was given it with the decision that it names.

```
 4 characters  kid: which key made it
12 characters  unit: 72 bits of BLAKE2b(unit_id, key=project salt), so that caps need no look-up
24 characters  mac: 144 bits of HMAC-SHA256(key, kid + unit + event_id + surface)
```
All of it base64url, and cut where 3 bytes end: each token has one spelling, and nothing needs to be
decoded. The unit's digest is keyed, so a token tells nobody who the unit is; and it is the same
whatever key signs. `event_id` has a fixed length, so no two pairs of event id and surface read
alike.

Keys are replaced without a moment in which anybody is refused: a new key is known to every worker
before it signs (`signs_from_ms`), and the one before it is accepted until the longest join window
there can be is over.

Source: RFC 2104 (HMAC), whose section 5 allows truncating to half of the hash, 128 bits.
"""

import hashlib
import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Annotated

import msgspec

from bandit.errors import BadToken
from bandit.records import Record

ACCEPTED_MS = 31 * 86_400_000
"""How long a key is accepted after the next one signs: a day more than the longest join window."""
SKEW_MS = 60_000
"""How far the clocks of two hosts may differ."""
KID, UNIT, MAC = 4, 12, 24
_LENGTH = KID + UNIT + MAC
_UNIT_BYTES, _MAC_BYTES = UNIT * 3 // 4, MAC * 3 // 4


class TokenKey(Record, frozen=True, kw_only=True):
    """A key that signs, did, or will.

    Attributes:
        kid: Its name, which tokens carry.
        secret: 64 hexadecimal digits.
        signs_from_ms: When it starts to sign.
    """

    kid: Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9_-]{4}$(?!\n)")]
    secret: Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{64}$(?!\n)")]
    signs_from_ms: Annotated[int, msgspec.Meta(ge=0)]

    def __repr__(self) -> str:
        """Without the secret."""
        return f"TokenKey(kid={self.kid!r}, signs_from_ms={self.signs_from_ms})"


class Tokens:
    """Signs and reads tokens; one per worker, called from its event loop only."""

    def __init__(self, keys: Sequence[TokenKey], *, salt: bytes) -> None:
        """Start with some keys.

        Args:
            keys: At least one, in the order in which they sign.
            salt: The project's secret.
        """
        self._units = hashlib.blake2b(digest_size=_UNIT_BYTES, key=salt, person=b"token-unit")
        self.use(keys)

    def use(self, keys: Sequence[TokenKey]) -> None:
        """Sign and accept with these keys from now on."""
        self._macs = {key.kid: hmac.new(bytes.fromhex(key.secret), None, "sha256") for key in keys}
        self._keys = tuple(keys)
        self._choose(keys[0].signs_from_ms)

    def sign(self, event_id: str, surface: str, unit_id: str, now_ms: int) -> str:
        """The token of a decision."""
        if now_ms >= self._next_ms:
            self._choose(now_ms)
        head = self._kid + self.unit(unit_id)
        return head + self._mac(self._kid, f"{head}{event_id}{surface}")

    def read(self, token: str | None, event_id: str, surface: str, now_ms: int) -> str:
        """What stands for the unit of the decision that the token is of.

        Raises:
            BadToken: It is not the token of that decision, or its key is out of use.
        """
        if token is None or len(token) != _LENGTH or not token.isascii():
            raise BadToken
        kid, head = token[:KID], token[:-MAC]
        if kid not in self._macs or now_ms >= self._accepted_until_ms(kid):
            raise BadToken
        if not hmac.compare_digest(self._mac(kid, f"{head}{event_id}{surface}"), token[-MAC:]):
            raise BadToken
        return token[KID:-MAC]

    def unit(self, unit_id: str) -> str:
        """What stands for a unit in tokens."""
        hashing = self._units.copy()
        hashing.update(unit_id.encode())
        return urlsafe_b64encode(hashing.digest()).decode()

    def is_of(self, token: str, unit_id: str) -> bool:
        """Whether a token that was made here is of a decision about that unit."""
        return token[KID:-MAC] == self.unit(unit_id)

    def _mac(self, kid: str, text: str) -> str:
        hashing = self._macs[kid].copy()
        hashing.update(text.encode())
        return urlsafe_b64encode(hashing.digest()[:_MAC_BYTES]).decode()

    def _choose(self, now_ms: int) -> None:
        """Take the key that signs at a time: the last one that has begun, else the first."""
        begun = [key for key in self._keys if key.signs_from_ms <= now_ms]
        later = [key.signs_from_ms for key in self._keys if key.signs_from_ms > now_ms]
        self._kid = (begun or self._keys)[-1 if begun else 0].kid
        self._next_ms = min(later, default=float("inf"))

    def _accepted_until_ms(self, kid: str) -> float:
        return accepted_until_ms(self._keys, kid)


def accepted_until_ms(keys: Sequence[TokenKey], kid: str) -> float:
    """When tokens of a key stop to be accepted: a while after the next one signs."""
    place = next(place for place, key in enumerate(keys) if key.kid == kid)
    if place + 1 == len(keys):
        return float("inf")
    return keys[place + 1].signs_from_ms + ACCEPTED_MS


def check_keys(keys: Sequence[TokenKey]) -> None:
    """Refuse keys that can not be used.

    Raises:
        ValueError: There is none, two have one name, or they are in no order.
    """
    kids = [key.kid for key in keys]
    if not keys or len(set(kids)) < len(kids):
        raise ValueError(f"kids are {kids}, must be at least one and different")
    starts = [key.signs_from_ms for key in keys]
    if starts != sorted(starts):
        raise ValueError(f"signs_from_ms are {starts}, must ascend")
