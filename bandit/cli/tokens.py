"""`bandit tokens`: the keys that event tokens of signed surfaces are made with."""

import os
import sys
from datetime import UTC, datetime
from math import inf

import click

from bandit.cli.wiring import now_ms
from bandit.errors import SettingsError
from bandit.service.token_keys import TokenKeyFile, new_key, rotated
from bandit.service.tokens import TokenKey, accepted_until_ms
from bandit.settings import Settings


@click.group("tokens")
def command() -> None:
    """Show and replace the keys of event tokens.

    Every host must have the same file: BANDIT_TOKEN_KEYS_FILE, or secrets/token_keys.json in the
    data directory of a single host. Workers look for changes once a second.
    """


@command.command()
def show() -> None:
    """Show which keys there are, and what each does; no secret is printed."""
    _print(_file().read())


@command.command()
@click.option(
    "--after",
    "after_s",
    type=click.IntRange(min=0),
    default=60,
    show_default=True,
    help="Seconds until the new key signs: long enough to copy the file to every host.",
)
@click.option(
    "--revoke",
    is_flag=True,
    help="Refuse all tokens of the old keys at once: for a key that others may know.",
)
def rotate(after_s: int, revoke: bool) -> None:
    """Add a key that signs from soon on.

    The key before it is accepted for 31 days more, a day longer than the longest join window, so
    that nobody's reward is refused; keys whose time is over are removed.
    """
    file = _file()
    now = now_ms()
    fresh = new_key(os.urandom, now if revoke else now + 1000 * after_s)
    keys = rotated(file.read(), fresh, now_ms=now, revoke=revoke)
    file.write(keys, os.urandom)
    _print(keys)


def _file() -> TokenKeyFile:
    try:
        file = TokenKeyFile.of(Settings.from_environ(os.environ), os.urandom)
        file.read()
    except SettingsError as exc:
        click.echo(f"bandit tokens: {exc}", err=True)
        sys.exit(1)
    return file


def _print(keys: list[TokenKey]) -> None:
    now = now_ms()
    signing = [key.kid for key in keys if key.signs_from_ms <= now][-1:] or [keys[0].kid]
    for key in keys:
        until = accepted_until_ms(keys, key.kid)
        does = "signs" if key.kid in signing else "accepted"
        if key.signs_from_ms > now and key.kid not in signing:
            does = f"signs from {_time(key.signs_from_ms)}"
        click.echo(f"{key.kid}  {does}" + ("" if until == inf else f", until {_time(until)}"))


def _time(ms: float) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="seconds")
