import click
import pytest

from bandit.cli.binding import require_keys, require_sign_in


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_an_address_that_others_can_reach_needs_keys(host: str) -> None:
    with pytest.raises(click.UsageError, match="must be BANDIT_AUTH=keys"):
        require_keys(host, "off")
    require_keys(host, "keys")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "localhost"])
def test_a_loopback_address_needs_none(host: str) -> None:
    require_keys(host, "off")


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.1.2.3", "example.org"])
def test_the_dashboard_is_for_this_machine_only_unless_people_sign_in(host: str) -> None:
    require_sign_in("127.0.0.1", "off")
    with pytest.raises(click.UsageError, match="BANDIT_DASHBOARD_PASSWORD"):
        require_sign_in(host, "off")
    for sign_in in ("password", "key", "oidc"):
        require_sign_in(host, sign_in)
