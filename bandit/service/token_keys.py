"""Where the keys of event tokens are kept: one file, the same on every host.

The file is JSON: `{"keys": [{"kid": …, "secret": …, "signs_from_ms": …}, …]}`, oldest first,
readable by its owner only. It is made on first use under the data directory; several hosts need one
that they share (`BANDIT_TOKEN_KEYS_FILE`: a mounted secret, or the same file copied to each).
Workers look whether it changed once a second, and go on with what they have while it can not be
read.
"""

import logging
import os
from base64 import urlsafe_b64encode
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from bandit.errors import SettingsError
from bandit.records import Record
from bandit.secrets import Entropy
from bandit.service.tokens import TokenKey, Tokens, accepted_until_ms, check_keys
from bandit.settings import Settings

log = logging.getLogger(__name__)


class _File(Record, frozen=True, kw_only=True):
    keys: list[TokenKey]


class TokenKeyFile:
    """The file of the token keys."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None

    @classmethod
    def of(cls, settings: Settings, entropy: Entropy) -> "TokenKeyFile":
        """The file that the settings name, or the one in the data directory, made on first use.

        Raises:
            SettingsError: The settings name one, and it is not there.
        """
        if settings.token_keys_file is not None:
            if not settings.token_keys_file.exists():
                raise SettingsError(
                    f"BANDIT_TOKEN_KEYS_FILE = {str(settings.token_keys_file)!r}: no such file, "
                    "must be one made by `bandit tokens rotate`"
                )
            return cls(settings.token_keys_file)
        file = cls(settings.data_dir / "secrets" / "token_keys.json")
        if not file.path.exists():
            file.write([new_key(entropy, 0)], entropy, only_if_new=True)
        return file

    def read(self) -> list[TokenKey]:
        """The keys, in the order in which they sign.

        Raises:
            SettingsError: The file can not be read, or holds no keys that can be used; what it
                holds is not told.
        """
        try:
            keys = msgspec.json.decode(self.path.read_bytes(), type=_File).keys
            check_keys(keys)
        except (OSError, ValueError) as exc:
            kind = exc.strerror if isinstance(exc, OSError) else "holds no keys that can be used"
            raise SettingsError(f"token keys in {self.path}: {kind}") from None
        return keys

    def write(
        self, keys: Sequence[TokenKey], entropy: Entropy, *, only_if_new: bool = False
    ) -> None:
        """Put keys into the file, at once or not at all.

        Args:
            keys: In the order in which they sign.
            entropy: Names the draft.
            only_if_new: Leave a file alone that is there.
        """
        check_keys(keys)
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft = self.path.with_name(f".{self.path.name}.{entropy(8).hex()}")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(msgspec.json.format(msgspec.json.encode(_File(keys=list(keys)))))
                file.flush()
                os.fsync(file.fileno())
            if only_if_new:
                with suppress(FileExistsError):  # another process was first
                    self.path.hardlink_to(draft)
            else:
                draft.replace(self.path)
        finally:
            draft.unlink(missing_ok=True)

    def refresh(self, tokens: Tokens) -> None:
        """Use what the file holds now, if it has changed since the last look."""
        try:
            stat = self.path.stat()
            seen = (stat.st_mtime_ns, stat.st_ino, stat.st_size)
            if seen == self._seen:
                return
            self._seen = seen
            tokens.use(self.read())
        except (OSError, SettingsError) as exc:
            log.error("%s; the keys known before go on", exc)


def tokens_of(
    settings: Settings, entropy: Entropy, *, salt: bytes
) -> tuple[Tokens, Callable[[], None]]:
    """Tokens by the keys of the settings' file, and what looks whether it changed."""
    file = TokenKeyFile.of(settings, entropy)
    tokens = Tokens(file.read(), salt=salt)
    return tokens, lambda: file.refresh(tokens)


def new_key(entropy: Entropy, signs_from_ms: int) -> TokenKey:
    """A fresh key."""
    return TokenKey(
        kid=urlsafe_b64encode(entropy(3)).decode(),
        secret=entropy(32).hex(),
        signs_from_ms=signs_from_ms,
    )


def rotated(
    keys: Sequence[TokenKey], fresh: TokenKey, *, now_ms: int, revoke: bool = False
) -> list[TokenKey]:
    """The keys once another one is to sign, without those that nobody accepts any more.

    Args:
        keys: That there are.
        fresh: Signs from its own time on.
        now_ms: The time.
        revoke: Leave none of the old ones: their tokens are refused at once.
    """
    if revoke:
        return [fresh]
    after = [*(key for key in keys if key.signs_from_ms < fresh.signs_from_ms), fresh]
    return [key for key in after if now_ms < accepted_until_ms(after, key.kid)]
