import pytest

from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.request import Credentials, Request, decode
from bandit.store.gateway.users import User, authenticate, check_reader

USERS = {
    user.name: user
    for user in (User.with_password("default", "secret"), User.with_password("open", None))
}


def asked(url: dict[str, str] | None = None) -> Request:
    return decode(method="POST", headers={}, url=url or {}, body=b"", user="reader", new_id="i")


def test_the_right_password_opens() -> None:
    assert authenticate(USERS, Credentials("default", "secret")).name == "default"


def test_a_user_without_a_password_is_open_to_all() -> None:
    assert authenticate(USERS, Credentials("open", "anything")).name == "open"


@pytest.mark.parametrize(
    "given",
    [("default", ""), ("default", "Secret"), ("nobody", "secret"), ("", ""), ("a", "\udcff")],
)
def test_a_wrong_name_and_a_wrong_password_are_refused_alike(given: tuple[str, str]) -> None:
    with pytest.raises(Refusal, match="password is incorrect, or there is no user") as caught:
        authenticate(USERS, Credentials(*given))
    assert (caught.value.code, caught.value.status) == (516, 403)


def test_a_password_is_not_kept() -> None:
    assert "secret" not in repr(USERS)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('/etc/passwd')",
        "SELECT FILE ('/etc/passwd')",
        "SELECT `file`('/etc/passwd')",
        r"SELECT `fi\x6ce`('/etc/passwd')",
        r'SELECT "fi\Nle"(1)',
        "SELECT “file”('/etc/passwd')",
        "SELECT * APPLY(file) FROM (SELECT '/etc/passwd')",
        "SELECT arrayMap(file, ['/etc/passwd'])",
        "SELECT * FROM eval(SELECT 'SELECT 1')",
        "SELECT 1 INTO/**/OUTFILE 'x'",
        "SELECT * FROM Python(os)",
        "SELECT aiGenerate('x')",
        "DESCRIBE TABLE s3('http://x')",
        "desc url('http://x')",
    ],
)
def test_a_reader_may_not_leave_the_database(sql: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_reader(asked(), sql.encode())
    assert caught.value.code == 164


@pytest.mark.parametrize(
    ("sql", "value"),
    [
        ("SELECT arrayMap({f:Identifier}, ['/etc/passwd'])", "file"),
        ("SELECT arrayMap({f : identifier}, ['/etc/passwd'])", "FILE"),
        ("SELECT arrayMap({f/**/:Identifier}, ['/etc/passwd'])", "file"),
        ("SELECT arrayMap({f:Identifier}, ['/etc/passwd'])", r"fi\x6ce"),
    ],
)
def test_a_readers_identifier_may_not_name_a_fenced_function(sql: str, value: str) -> None:
    # chDB 26.9 takes a bound Identifier for a function.
    with pytest.raises(Refusal):
        check_reader(asked({"param_f": value}), sql.encode())


@pytest.mark.parametrize(
    "name", ["format_template_row", "output_format_schema", "format_schema", "allow_ddl", "s3_x"]
)
def test_a_reader_may_not_choose_settings_that_can_name_files(name: str) -> None:
    with pytest.raises(Refusal, match=f"Cannot modify '{name}' setting"):
        check_reader(asked({name: "/etc/passwd"}), b"SELECT 1")


def test_a_reader_may_read_with_bounds_and_parameters() -> None:
    check_reader(
        asked(
            {
                "max_execution_time": "5",
                "max_threads": "1",
                "join_use_nulls": "1",
                "cancel_http_readonly_queries_on_client_close": "1",
                "param_t": "db.t",
                "param_a": "my file",
            }
        ),
        b"SELECT profile, files FROM {t:Identifier} WHERE a = {a:String} FORMAT Native",
    )
    check_reader(asked(), b"DESCRIBE TABLE t")
