"""Where a server may listen."""

import ipaddress
import socket

import click


def require_keys(host: str, auth: str) -> None:
    """Refuse to be reachable from other machines without asking for keys.

    Raises:
        UsageError: `host` is not loopback, and `auth` is off.
    """
    if auth == "off" and not is_loopback(host):
        raise click.UsageError(
            f"host {host} can be reached from other machines, and BANDIT_AUTH is off: must be "
            "BANDIT_AUTH=keys (make a key with `bandit keys create`), or listen on 127.0.0.1"
        )


def require_sign_in(host: str, sign_in: str) -> None:
    """Refuse to show the dashboard to other machines without asking who they are.

    Raises:
        UsageError: `host` is not loopback, and nobody must sign in.
    """
    if sign_in == "off" and not is_loopback(host):
        raise click.UsageError(
            f"host {host} can be reached from other machines, and the dashboard asks nobody who "
            "they are: must be loopback, or people must sign in: set BANDIT_DASHBOARD_PASSWORD, "
            "BANDIT_DASHBOARD_SIGN_IN=key or BANDIT_OIDC_METADATA_URL"
        )


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach an address.

    >>> [is_loopback(host) for host in ("127.0.0.1", "::1", "localhost", "0.0.0.0", "10.1.2.3")]
    [True, True, True, False, False]
    """
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def free_port(host: str, port: int) -> int:
    """The port to listen on (0: any free one), after making sure that nobody else does.

    Granian shares its port (SO_REUSEPORT): a second server would silently get half of the first
    one's requests.

    Raises:
        UsageError: Somebody listens there already, or the address is not ours.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as exc:
            raise click.UsageError(f"{host}:{port} can't be listened on: {exc.strerror}") from exc
        found: int = probe.getsockname()[1]
        return found
