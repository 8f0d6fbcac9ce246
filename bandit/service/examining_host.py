"""This host: settings, data directory, secrets, journal, and the processes that write sheets."""

import ipaddress
import os
import stat
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from bandit.journal.disk import Space
from bandit.journal.frames import Header, encode_header
from bandit.journal.pressure import Pressure, Watermarks
from bandit.journal.segments import DRAIN_LOCK, REJECTED, SUFFIX, is_held
from bandit.service import metering
from bandit.service.findings import Finding, fine, problem, warning
from bandit.service.reporting_words import duration
from bandit.settings import Settings

WAITS_MS = 60_000
"""A record that waits for ClickHouse longer is worth a look."""
STUCK_MS = 600_000
SILENT_S = 15.0
SPARE_PORTS = ("port", "dashboard_port", "gateway_port")


def settings_findings(settings: Settings, environ: Mapping[str, str]) -> Iterator[Finding]:
    """Whether the settings go together, and where they come from."""
    given = sorted(name for name in environ if name.startswith("BANDIT_") and environ[name])
    told = f"{len(given)} settings come from the environment ({', '.join(given)})"
    yield fine("settings", f"{told if given else 'none is set'}, all others have their default.")
    if settings.auth == "off" and not _is_loopback(settings.host):
        yield problem(
            "settings", "open_to_all",
            f"BANDIT_HOST is {settings.host} and BANDIT_AUTH is off: whoever reaches this machine "
            "may decide, reward and change everything.",
            "BANDIT_AUTH=keys, or a BANDIT_HOST that only this machine reaches",
            "Make keys with `bandit keys`, and set BANDIT_AUTH=keys.",
        )  # fmt: skip
    if settings.clickhouse_cluster and not settings.clickhouse_url:
        yield problem(
            "settings", "cluster_without_url",
            "BANDIT_CLICKHOUSE_CLUSTER is set, and BANDIT_CLICKHOUSE_URL is not: the embedded "
            "ClickHouse is no cluster.",
            "both, or neither",
            "Set BANDIT_CLICKHOUSE_URL to a node of the cluster.",
        )  # fmt: skip
    if settings.clickhouse_url and not settings.salt:
        yield warning(
            "settings", "salt_of_this_host",
            "BANDIT_CLICKHOUSE_URL is set and BANDIT_SALT is not: each host draws with a salt of "
            "its own, and takes another host's event ids for a stranger's.",
            "one BANDIT_SALT on every host of the project",
            f"Unless this is the only host, set BANDIT_SALT everywhere to what is in "
            f"{settings.data_dir / 'secrets' / 'salt'} here.",
        )  # fmt: skip
    yield from _port_findings(settings)


def _port_findings(settings: Settings) -> Iterator[Finding]:
    ports: dict[int, list[str]] = {}
    for name in SPARE_PORTS:
        if name != "gateway_port" or settings.clickhouse_url is None:
            ports.setdefault(getattr(settings, name), []).append(f"BANDIT_{name.upper()}")
    for port, names in ports.items():
        if len(names) > 1:
            yield problem(
                "settings", "same_port", f"{' and '.join(names)} are all {port}.",
                "ports of their own", f"Change all but one of {', '.join(names)}.",
            )  # fmt: skip


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def directory_findings(
    folder: Path, watermarks: Watermarks, space_of: Callable[[Path], Space]
) -> Iterator[Finding]:
    """Whether the data directory can be written, and how much room it has.

    Args:
        folder: `Settings.data_dir`.
        watermarks: From when on the disk counts as full.
        space_of: Room where a path lies.
    """
    area = "data directory"
    if not folder.exists():
        yield warning(
            area, "no_directory", f"{folder} is not there.",
            "a folder that we may write",
            "Start `bandit up`, which makes it; or set BANDIT_DATA_DIR to where it is.",
        )  # fmt: skip
        return
    probe = folder / f".doctor-{os.getpid()}"
    try:
        probe.write_bytes(b"")
        probe.unlink()
    except OSError as exc:
        yield problem(
            area, "not_writable", f"{folder} can not be written: {exc.strerror}.",
            "a folder that this user may write",
            "Give it to the user that runs `bandit`, remount it, or free some room.",
        )  # fmt: skip
    try:
        space = space_of(folder)
    except OSError:
        return
    yield _room(area, folder, space, watermarks)


def _room(area: str, folder: Path, space: Space, watermarks: Watermarks) -> Finding:
    level = watermarks.level(space)
    text = (
        f"{space.used_share:.0%} of the disk under {folder} is in use, "
        f"{space.free_bytes / 2**30:.1f} GiB are free"
    )
    if level is Pressure.OK:
        return fine(area, f"{text}.")
    follows = {
        Pressure.WARN: "nothing is refused yet",
        Pressure.OPTIONAL: "decisions are thinned and optional records are not written",
        Pressure.FULL: "rewards are refused and decisions are not logged",
    }[level]
    make = problem if level >= Pressure.OPTIONAL else warning
    return make(
        area, "disk_full" if level >= Pressure.OPTIONAL else "disk_fills",
        f"{text}: {follows}.",
        f"less than {watermarks.warn:.0%} in use",
        "Free room or enlarge the disk. If the journal is what grows, mend its delivery first.",
    )  # fmt: skip


def secrets_findings(settings: Settings) -> Iterator[Finding]:
    """Whether secrets are there, and for us only."""
    folder = settings.data_dir / "secrets"
    if not folder.is_dir():
        yield fine("secrets", "None were made yet; they are, when a process first needs one.")
        return
    paths = sorted(path for path in folder.iterdir() if path.is_file())
    exposed = [path for path in (folder, *paths) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    for path in exposed:
        yield problem(
            "secrets", "secret_exposed",
            f"{path} has mode {stat.S_IMODE(path.stat().st_mode):o}: others may read it.",
            "600 for files, 700 for the folder",
            f"chmod {'700' if path.is_dir() else '600'} {path}; and replace it if somebody else "
            "could log in here.",
        )  # fmt: skip
    empty = [path for path in paths if not path.stat().st_size]
    for path in empty:
        yield problem(
            "secrets", "secret_empty", f"{path} is empty.", "the secret that was made first",
            "Restore it from a backup. Without one remove it, and a new one is made; if it was the "
            "salt, decisions made before can not be replayed.",
        )  # fmt: skip
    if not exposed and not empty:
        yield fine("secrets", f"{len(paths)} in {folder}, readable by their owner only.")


def journal_findings(root: Path, now_ms: int) -> Iterator[Finding]:
    """What waits for delivery, since when, and what was set aside."""
    segments = [path for path in sorted(root.glob(f"*/*{SUFFIX}")) if _size(path) > _head(path)]
    stamps = [_stamp_ms(path) for path in segments]
    aside = [path for path in sorted(root.glob(f"*/{REJECTED}/*")) if path.is_file()]
    size = sum(_size(path) for path in segments)
    yield fine("journal", f"{len(segments)} segments with {size / 2**20:.1f} MiB in {root}.")
    is_drained = is_held(root / DRAIN_LOCK)
    age_ms = max((now_ms - at for at in stamps), default=0)
    if segments and not is_drained:
        yield problem(
            "journal", "no_drain_here",
            f"No drain runs on this host, and {len(segments)} segments wait, the oldest for "
            f"{duration(age_ms)}.",
            "one drain on every host that runs `bandit api`",
            "Start `bandit drain`, or `bandit up`, which runs it.",
        )  # fmt: skip
    elif age_ms > WAITS_MS:
        make = problem if age_ms > STUCK_MS else warning
        yield make(
            "journal", "journal_waits",
            f"The oldest segment has waited for {duration(age_ms)}.",
            "seconds: a segment goes when its rows were found in ClickHouse",
            "Look at the drain's log; nothing is lost, it waits in the journal.",
        )  # fmt: skip
    if aside:
        yield warning(
            "journal", "set_aside",
            f"{len(aside)} files were set aside, the first is {aside[0]}: ClickHouse refused them, "
            "or they are damaged.",
            "none",
            "Find out why in the drain's log, then `bandit drain --retry-rejected`.",
        )  # fmt: skip


def sheet_findings(folder: Path, now_ms: int) -> Iterator[Finding]:
    """Whether the processes of this host that write sheets still say how they are.

    Args:
        folder: Of the sheets.
        now_ms: The time now.
    """
    sheets = folder.glob(f"*{metering.SUFFIX}")
    ages = {path.stem: max(0, now_ms - _stamp_ms(path)) / 1000 for path in sheets}
    for name, age_s in sorted(ages.items()):
        if age_s > SILENT_S:
            yield problem(
                "processes", "process_silent",
                f"{name} has said nothing for {duration(round(age_s * 1000))}: it hangs, or it was "
                "killed and nobody started it again.",
                "a sign of life every second",
                f"Look at its log, and restart it; if it is gone for good, remove "
                f"{folder / (name + metering.SUFFIX)}.",
            )  # fmt: skip
        else:
            yield fine("processes", f"{name} is alive.")


def _head(path: Path) -> int:
    """How long a segment is that holds nothing yet."""
    return len(encode_header(Header(writer=path.parent.name)))


def _stamp_ms(path: Path) -> int:
    """When it was written to last; now-ish if it is gone: then it is no trouble."""
    try:
        return path.stat().st_mtime_ns // 1_000_000
    except FileNotFoundError:
        return 2**62


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
