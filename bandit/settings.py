"""Every setting of every process: one field per `BANDIT_<NAME>`."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

import msgspec

from bandit.errors import SettingsError

Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Positive = Annotated[float, msgspec.Meta(gt=0)]
Count = Annotated[int, msgspec.Meta(ge=1)]
Natural = Annotated[int, msgspec.Meta(ge=0)]
Share = Annotated[float, msgspec.Meta(gt=0, le=1)]


URLS = ("clickhouse_url", "clickhouse_read_url")
"""Settings that hold a password."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a process is told from outside; `from_environ` reads it, nothing else does.

    Each field is documented in the README's table; a test holds them equal.
    """

    data_dir: Path = Path("var")
    """Journal, last-good cache, embedded ClickHouse and secrets live under here."""
    host: str = "127.0.0.1"
    port: Port = 8080
    workers: Count = 2
    """Processes that answer; each dies and is started again without the others."""
    spare_workers: Annotated[int, msgspec.Meta(ge=0)] = 2
    """Processes that stand by, started and warm, to take the place of one that dies at once."""
    auth: Literal["keys", "off"] = "off"
    """Whether requests must bring an API key; off is refused where other machines can ask."""
    rate_limit: Positive = 2000.0
    """Requests a second that a key may make of one worker, unless the key has its own limit."""
    dashboard_port: Port = 8501
    gateway_port: Port = 8123
    clickhouse_url: str | None = None
    """A real ClickHouse; without it the embedded gateway is started and used."""
    clickhouse_read_url: str | None = None
    """The same ClickHouse as a user who may only read; without it, `clickhouse_url`'s."""
    clickhouse_database: str = "bandit"
    clickhouse_cluster: str | None = None
    """Name of the cluster the tables are made on; without it, one node."""
    durability: Literal["process", "disk"] = "process"
    """What a 2xx survives: `process` = kill -9, `disk` = also power loss."""
    salt: str | None = None
    """Secret of the project that seeds every draw; else one is made and kept in `data_dir`."""
    token_keys_file: Path | None = None
    """Keys of event tokens, the same file on every host; else one is made in `data_dir`."""
    drain_interval_s: Positive = 0.2
    refresh_interval_s: Positive = 0.25
    report_interval_s: Positive = 10.0
    """How often the numbers of reports are made anew, unless that takes over a tenth of it."""
    snapshot_interval_s: Positive = 0.5
    silent_host_s: Positive = 300.0
    """A host that has reported nothing for so long holds no learner up."""
    give_up_after_s: Positive = 900.0
    """So long learners wait for records that were set aside, then go on without them."""
    segment_max_bytes: Count = 16 * 1024 * 1024
    segment_max_age_s: Positive = 5.0
    disk_warn_share: Share = 0.80
    """From this share of the disk used on it is logged that it fills up."""
    disk_optional_share: Share = 0.90
    """From here on decisions are thinned, and what is optional is not written."""
    disk_full_share: Share = 0.95
    """From here on nothing is written: rankings go on without a log, rewards are refused."""
    disk_headroom_bytes: Count = 16 * 1024**3
    """Nothing of it holds while so much is free (twice, four times for the lower two shares)."""
    ballast_bytes: Natural = 32 * 1024 * 1024
    """Room that is given up on a full disk, so that what frees it can work; 0: none."""
    backlog_max_bytes: Count = 1024**3
    """While more of one worker's journal waits for ClickHouse, decisions are thinned."""
    max_body_bytes: Count = 2 * 1024 * 1024
    max_interactions: Count = 20_000_000
    """Products of features that one request may have a policy look at."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["text", "json"] = "text"
    """`json`: one object a line, see api/OBSERVABILITY.md."""
    tracing: Literal["off", "otlp"] = "off"
    """`otlp`: spans of the API go where OpenTelemetry's own `OTEL_*` variables say."""

    def __post_init__(self) -> None:
        if not self.disk_warn_share <= self.disk_optional_share <= self.disk_full_share:
            raise SettingsError(
                "BANDIT_DISK_WARN_SHARE, BANDIT_DISK_OPTIONAL_SHARE and BANDIT_DISK_FULL_SHARE "
                f"are {self.disk_warn_share:g}, {self.disk_optional_share:g} and "
                f"{self.disk_full_share:g}, must not fall"
            )

    @property
    def silent_host_ms(self) -> int:
        """`silent_host_s` in milliseconds."""
        return round(self.silent_host_s * 1000)

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> "Settings":
        """Read `BANDIT_<NAME>` variables.

        Args:
            environ: The process environment; names without the prefix are ignored.

        Raises:
            SettingsError: A `BANDIT_` name that is no setting, or a value of the wrong kind.
        """
        known = {name: f"BANDIT_{name.upper()}" for name in cls.__struct_fields__}
        strangers = {n for n in environ if n.startswith("BANDIT_")} - set(known.values())
        if strangers:
            raise SettingsError(
                f"{', '.join(sorted(strangers))}: no such setting, must be one of "
                f"{', '.join(sorted(known.values()))}"
            )
        given = {name: environ[var] for name, var in known.items() if environ.get(var)}
        try:
            settings = msgspec.convert(given, cls, strict=False, dec_hook=_decode)
        except msgspec.ValidationError as exc:
            text = str(exc)
            for name, var in known.items():
                text = text.replace(f"`$.{name}`", f"{var} = {environ.get(var)!r}")
            raise SettingsError(text) from exc
        settings._check_urls()
        return settings

    def _check_urls(self) -> None:
        """Refuse addresses that nobody could connect to; they hold passwords, so none is shown."""
        for name in URLS:
            url = getattr(self, name)
            if url is not None and not _is_address(url):
                raise SettingsError(
                    f"BANDIT_{name.upper()} is no address, must be "
                    "http(s)://user:password@host:port with user and password percent-encoded"
                )
        if self.clickhouse_read_url and not self.clickhouse_url:
            raise SettingsError(
                "BANDIT_CLICKHOUSE_READ_URL is set and BANDIT_CLICKHOUSE_URL is not, must be: "
                "the embedded ClickHouse has a user of its own who may only read"
            )

    def __repr__(self) -> str:
        """Without what must not reach a log: the salt, and the password inside the URL."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        shown["salt"] = self.salt and "***"
        for name in URLS:
            if shown[name]:
                shown[name] = re.sub(r"(//[^/@:]*):.*@", r"\1:***@", shown[name])
        return f"Settings({', '.join(f'{name}={value!r}' for name, value in shown.items())})"

    @property
    def journal_dir(self) -> Path:
        """Where writers keep their segments."""
        return self.data_dir / "journal"

    @property
    def cache_dir(self) -> Path:
        """Last good definitions and snapshots, for starting while the store is away."""
        return self.data_dir / "cache"

    @property
    def store_dir(self) -> Path:
        """The embedded ClickHouse's directory."""
        return self.data_dir / "clickhouse"


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False


def _decode(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
