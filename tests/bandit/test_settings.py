from pathlib import Path

import pytest

from bandit.errors import SettingsError
from bandit.settings import Settings

README = Path(__file__).parents[2] / "README.md"


def test_defaults_need_no_environment() -> None:
    assert Settings.from_environ({"HOME": "/nowhere"}) == Settings()


def test_values_are_read_from_text() -> None:
    settings = Settings.from_environ(
        {"BANDIT_PORT": "8081", "BANDIT_DATA_DIR": "/tmp/x", "BANDIT_DRAIN_INTERVAL_S": "0.5"}
    )
    assert (settings.port, settings.data_dir, settings.drain_interval_s) == (
        8081,
        Path("/tmp/x"),
        0.5,
    )


def test_an_empty_variable_is_no_variable() -> None:
    assert Settings.from_environ({"BANDIT_CLICKHOUSE_URL": ""}).clickhouse_url is None


def test_an_unknown_name_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match=r"BANDIT_PRT: no such setting.*BANDIT_PORT"):
        Settings.from_environ({"BANDIT_PRT": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("BANDIT_PORT", "99999"),
        ("BANDIT_PORT", "x"),
        ("BANDIT_DURABILITY", "maybe"),
        ("BANDIT_WORKERS", "0"),
        ("BANDIT_DISK_FULL_SHARE", "1.5"),
        ("BANDIT_BALLAST_BYTES", "-1"),
    ],
)
def test_an_unusable_value_is_refused_with_its_name(name: str, value: str) -> None:
    with pytest.raises(SettingsError, match=rf"{name} = '{value}'"):
        Settings.from_environ({name: value})


def test_marks_of_a_disk_do_not_fall() -> None:
    with pytest.raises(SettingsError, match=r"FULL_SHARE are 0.8, 0.97 and 0.95, must not fall"):
        Settings.from_environ({"BANDIT_DISK_OPTIONAL_SHARE": "0.97"})


def test_secrets_do_not_show_in_repr() -> None:
    settings = Settings(
        salt="hush",
        dashboard_password="hush",
        dashboard_key="hush",
        oidc_client_secret="hush",
        clickhouse_url="https://u:hunter2@db:8443",
        api_url="https://u:hunter2@api",
    )
    assert "hush" not in repr(settings)
    assert "hunter2" not in repr(settings)
    for url in ("https://r:hunter2@db", "https://r:hun:t@er2@db", "https://r:h@un/ter2@db"):
        shown = repr(Settings(clickhouse_url="http://db", clickhouse_read_url=url))
        assert "ter2" not in shown
        assert "er2@" not in shown


@pytest.mark.parametrize(
    "url",
    [
        "db:8443",
        "tcp://u:hunter2@db",
        "http://u:hunter2@db:99999",
        "http://u:hunter2@:1",
        "https://",
    ],
)
@pytest.mark.parametrize("name", ["BANDIT_CLICKHOUSE_URL", "BANDIT_CLICKHOUSE_READ_URL"])
def test_an_address_that_is_none_is_refused_without_its_password(name: str, url: str) -> None:
    given = {"BANDIT_CLICKHOUSE_URL": "http://db:8123"} | {name: url}
    with pytest.raises(SettingsError, match=f"{name} is no address, must be") as caught:
        Settings.from_environ(given)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ({}, "off"),
        ({"DASHBOARD_PASSWORD": "hush"}, "password"),
        ({"DASHBOARD_SIGN_IN": "key"}, "key"),
        ({"DASHBOARD_PASSWORD": "hush", "DASHBOARD_SIGN_IN": "off"}, "off"),
    ],
)
def test_people_sign_in_as_the_settings_give_it(given: dict[str, str], found: str) -> None:
    environ = {f"BANDIT_{name}": value for name, value in given.items()}
    assert Settings.from_environ(environ).sign_in == found


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"DASHBOARD_SIGN_IN": "password"}, "by password, and BANDIT_DASHBOARD_PASSWORD is not"),
        ({"OIDC_METADATA_URL": "https://id"}, "BANDIT_OIDC_CLIENT_ID, .*BANDIT_OIDC_ALLOWED"),
        ({"API_URL": "api:8080"}, "BANDIT_API_URL is no address, must be"),
    ],
)
def test_half_of_a_sign_in_is_refused(given: dict[str, str], said: str) -> None:
    with pytest.raises(SettingsError, match=said):
        Settings.from_environ({f"BANDIT_{name}": value for name, value in given.items()})


def test_two_ways_to_sign_in_are_refused_unless_one_is_named() -> None:
    both = {
        "BANDIT_DASHBOARD_PASSWORD": "hush",
        "BANDIT_DASHBOARD_URL": "https://dash",
        "BANDIT_OIDC_METADATA_URL": "https://id",
        "BANDIT_OIDC_CLIENT_ID": "c",
        "BANDIT_OIDC_CLIENT_SECRET": "s",
        "BANDIT_OIDC_ALLOWED": "*",
    }
    with pytest.raises(SettingsError, match="must be one of them"):
        Settings.from_environ(both)
    assert Settings.from_environ(both | {"BANDIT_DASHBOARD_SIGN_IN": "oidc"}).sign_in == "oidc"


def test_a_reader_of_its_own_needs_a_server_of_its_own() -> None:
    with pytest.raises(SettingsError, match="BANDIT_CLICKHOUSE_URL is not, must be"):
        Settings.from_environ({"BANDIT_CLICKHOUSE_READ_URL": "http://db:8123"})


@pytest.mark.parametrize("name", Settings.__struct_fields__)
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`BANDIT_{name.upper()}`" in README.read_text()
