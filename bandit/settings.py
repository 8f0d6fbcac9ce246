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
PLAIN_URLS = ("api_url", "dashboard_url", "oidc_metadata_url")
"""Settings that are an address, of which nobody needs a password."""
SECRETS = ("salt", "dashboard_password", "dashboard_key", "oidc_client_secret")
"""Settings that are one."""


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
    dashboard_host: str = "127.0.0.1"
    dashboard_port: Port = 8501
    dashboard_sign_in: Literal["auto", "off", "password", "key", "oidc"] = "auto"
    """How people sign in to the dashboard; `auto`: as the settings below give it, or not at all."""
    dashboard_password: str | None = None
    """One for all who may see the dashboard."""
    dashboard_key: str | None = None
    """The API key the dashboard reads and writes as, unless people sign in with their own."""
    dashboard_url: str | None = None
    """Where browsers find the dashboard: OIDC sends them back there."""
    api_url: str | None = None
    """Where the dashboard finds the API; without it, `host` and `port`."""
    oidc_metadata_url: str | None = None
    """The provider's `…/.well-known/openid-configuration`."""
    oidc_client_id: str | None = None
    oidc_client_secret: str | None = None
    oidc_allowed: str = ""
    """Who may come in: addresses, `@example.org` or `*`, with commas between."""
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
        settings._check_sign_in()
        return settings

    def _check_urls(self) -> None:
        """Refuse addresses that nobody could connect to; they hold passwords, so none is shown."""
        for name in PLAIN_URLS:
            url = getattr(self, name)
            if url is not None and not _is_address(url):
                raise SettingsError(
                    f"BANDIT_{name.upper()} is no address, must be http(s)://host:port"
                )
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

    @property
    def api_base_url(self) -> str:
        """Where the API answers this host's other processes.

        >>> Settings(host="0.0.0.0").api_base_url
        'http://127.0.0.1:8080'
        """
        return self.api_url or f"http://{reachable(self.host)}:{self.port}"

    @property
    def sign_in(self) -> Literal["off", "password", "key", "oidc"]:
        """How people sign in to the dashboard."""
        if self.dashboard_sign_in != "auto":
            return self.dashboard_sign_in
        if self.oidc_metadata_url:
            return "oidc"
        return "password" if self.dashboard_password else "off"

    def _check_sign_in(self) -> None:
        """Refuse a sign-in of which a part is missing, or that nobody could mean."""
        names = ("oidc_metadata_url", "oidc_client_id", "oidc_client_secret", "dashboard_url")
        needed = {
            "password": ("dashboard_password",),
            "oidc": (*names, "oidc_allowed"),
        }.get(self.sign_in, ())
        missing = [f"BANDIT_{name.upper()}" for name in needed if not getattr(self, name)]
        if missing:
            raise SettingsError(
                f"people sign in to the dashboard by {self.sign_in}, and "
                f"{', '.join(missing)} is not set, must be"
            )
        if self.dashboard_sign_in == "auto" and self.oidc_metadata_url and self.dashboard_password:
            raise SettingsError(
                "BANDIT_DASHBOARD_PASSWORD and BANDIT_OIDC_METADATA_URL are both set, must be one "
                "of them, or BANDIT_DASHBOARD_SIGN_IN must say which"
            )

    def __repr__(self) -> str:
        """Without what must not reach a log: secrets, and the password inside an address."""
        shown = {name: getattr(self, name) for name in self.__struct_fields__}
        for name in SECRETS:
            shown[name] = shown[name] and "***"
        for name in (*URLS, *PLAIN_URLS):
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


def reachable(host: str) -> str:
    """An address that reaches a server which listens on `host`, as in a URL.

    >>> [reachable(host) for host in ("0.0.0.0", "::", "10.1.2.3")]
    ['127.0.0.1', '[::1]', '10.1.2.3']
    """
    any_address = {"0.0.0.0": "127.0.0.1", "::": "::1"}
    host = any_address.get(host, host)
    return f"[{host}]" if ":" in host else host


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is no number, or too large
        return False


def _decode(kind: type, value: object) -> object:
    return Path(str(value)) if kind is Path else value
