"""From settings to a connection: the named ClickHouse, or else this host's gateway."""

from bandit.secrets import Entropy, secret
from bandit.settings import Settings
from bandit.store.client import Limits, Store


def open_store(
    settings: Settings,
    entropy: Entropy,
    *,
    readonly: bool = False,
    timeout_s: float = 10.0,
    limits: Limits | None = None,
) -> Store:
    """Connect to the ClickHouse of the settings, or else to the local gateway.

    The passwords kept under the data directory are the gateway's and go nowhere else; a ClickHouse
    that is named by its URL has its user and password in there.

    Args:
        settings: Of this process.
        entropy: Makes the gateway's password if nobody did yet: `os.urandom`.
        readonly: As the user that can change nothing (of `clickhouse_read_url`, or the gateway's),
            and with such a session.
        timeout_s: How long to wait for an answer.
        limits: What each question may take; None: as the server says.

    Raises:
        StoreUnavailable: Nobody answers there.
    """
    user, password = "default", ""
    url = (settings.clickhouse_read_url if readonly else None) or settings.clickhouse_url
    if url is None:
        url = f"http://127.0.0.1:{settings.gateway_port}"
        user = "reader" if readonly else "default"
        name = "clickhouse_readonly_password" if readonly else "clickhouse_password"
        password = secret(settings.data_dir, name, entropy)
    return Store.connect(
        url,
        database=settings.clickhouse_database,
        user=user,
        password=password,
        cluster=settings.clickhouse_cluster,
        readonly=readonly,
        timeout_s=timeout_s,
        limits=limits,
    )
