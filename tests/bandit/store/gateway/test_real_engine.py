"""What only the real engine behind a real port can show, asked without a client library."""

import base64
import http.client
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import Gateway


class Caller:
    """Raw requests on one connection."""

    def __init__(self, gateway: Gateway, user: str) -> None:
        self._connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
        credentials = gateway.url(user).removeprefix("http://").rsplit("@", 1)[0]
        self._headers = {
            "Authorization": "Basic " + base64.b64encode(credentials.encode()).decode()
        }

    def __call__(
        self, body: bytes, url: str = "/", headers: dict[str, str] | None = None
    ) -> tuple[int, str, bytes]:
        """Status, ClickHouse's code, and body of a POST."""
        self._connection.request("POST", url, body, {**self._headers, **(headers or {})})
        response = self._connection.getresponse()
        data = response.read()
        assert b"Traceback" not in data
        assert b"Stack trace" not in data
        return response.status, response.headers.get("X-ClickHouse-Exception-Code", ""), data

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def default(gateway: Gateway) -> Iterator[Caller]:
    caller = Caller(gateway, "default")
    yield caller
    caller.close()


@pytest.fixture
def reader(gateway: Gateway) -> Iterator[Caller]:
    caller = Caller(gateway, "reader")
    yield caller
    caller.close()


@pytest.fixture(scope="module")
def secret_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("secret") / "secret.txt"
    path.write_text("top secret\n")
    return path


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT file('{path}')",
        r"SELECT `fi\x6ce`('{path}')",
        r"SELECT `fi\Nle`('{path}')",
        "SELECT “file”('{path}')",
        "SELECT arrayMap(file, ['{path}'])",
        "SELECT * APPLY(file) FROM (SELECT '{path}')",
        "SELECT * FROM file('{path}', 'LineAsString')",
        "SELECT * FROM eval(SELECT 'SELECT file(''{path}'')')",
        "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')",
        "SELECT * FROM remote('127.0.0.1', 'system.one')",
        "SELECT * FROM executable('id', 'TSV', 'x String')",
        "SELECT * FROM sqlite('{path}', 't')",
        "SELECT * FROM filesystem('{path}')",
        "SELECT * FROM Python(os)",
        "DESCRIBE TABLE file('{path}', 'CSV')",
        "SELECT 1 INTO OUTFILE '{path}.out'",
        "INSERT INTO FUNCTION file('{path}.out', 'TSV', 'a Int8') VALUES (1)",
        "SELECT 1 SETTINGS readonly = 0",
        "SET readonly = 0",
        "SELECT 1 FORMAT Template SETTINGS format_template_row = '{path}'",
        "CREATE TABLE t (a Int8) ENGINE = Memory",
        "CREATE TEMPORARY TABLE t (a Int8)",
        "CREATE FUNCTION f AS x -> file(x)",
        "INSERT INTO system.one VALUES (1)",
        "INSERT INTO system.one FORMAT CSV\n1\n",
        "DROP DATABASE default",
        "KILL QUERY WHERE 1",
        "SYSTEM FLUSH LOGS",
        "SYSTEM SHUTDOWN",
        "USE system",
        "BACKUP DATABASE default TO File('{path}.out')",
    ],
)
def test_a_reader_can_not_reach_files_the_network_or_write(
    reader: Caller, secret_file: Path, sql: str
) -> None:
    status, code, body = reader(sql.format(path=secret_file).encode())
    assert (status, code) == (403, "164")
    assert b"top secret" not in body
    assert not secret_file.with_suffix(".txt.out").exists()


def test_a_reader_can_not_reach_files_by_a_bound_identifier(
    reader: Caller, default: Caller, secret_file: Path
) -> None:
    sql = f"SELECT arrayMap({{f:Identifier}}, ['{secret_file}'])".encode()
    assert b"top secret" in default(sql, "/?param_f=file")[2]  # the engine does allow it
    assert reader(sql, "/?param_f=file")[:2] == (403, "164")


@pytest.mark.parametrize("setting", ["format_template_resultset", "output_format_schema"])
def test_a_reader_can_not_name_files_in_settings(
    reader: Caller, secret_file: Path, setting: str
) -> None:
    status, code, _ = reader(b"SELECT 1 FORMAT Template", f"/?{setting}={secret_file}")
    assert (status, code) == (403, "164")


def test_a_reader_is_always_read_only(reader: Caller) -> None:
    sql = b"SELECT getSetting('readonly'), getSetting('max_threads')"
    assert reader(sql, "/?readonly=0&max_threads=1&session_id=x") == (200, "", b"1\t1\n")


def test_a_reader_reads(reader: Caller, default: Caller) -> None:
    default(b"CREATE TABLE IF NOT EXISTS default.readable (a Int8) ENGINE = MergeTree ORDER BY a")
    default(b"INSERT INTO default.readable FORMAT CSV\n7\n")
    assert reader(b"SELECT DISTINCT a FROM default.readable")[2] == b"7\n"
    assert reader(b"DESCRIBE TABLE default.readable")[0] == 200
    assert b"readable" in reader(b"SHOW TABLES FROM default")[2]
    assert reader(b"EXPLAIN SELECT a FROM default.readable")[0] == 200
    default(b"DROP TABLE default.readable")


@pytest.mark.parametrize("word", ["SHUTDOWN", "KILL", "/**/ suspend FOR 1 SECOND --"])
def test_the_engine_can_not_be_made_to_signal_our_process_group(default: Caller, word: str) -> None:
    # ClickHouse's SYSTEM SHUTDOWN is kill(0, SIGTERM): it would end this very test run.
    status, code, body = default(f"SYSTEM {word}".encode())
    assert (status, code) == (400, "48")
    assert b"stopped by SIGTERM only" in body


@pytest.mark.parametrize(
    ("body", "url", "headers", "expected"),
    [
        (b"selec 1", "/", {}, (400, "62")),
        (b"SELECT", "/", {}, (400, "62")),
        (b"-- nothing", "/", {}, (400, "62")),
        (b"\x00\x00", "/", {}, (400, "62")),
        (b"\xff\xfe", "/", {}, (400, "62")),
        (b"SELECT 1; SELECT 2", "/", {}, (400, "62")),
        (b"SELECT " + b"(" * 5000, "/", {}, (400, "306")),
        (b"SELECT '" + b"x" * 300_000 + b"'", "/", {}, (400, "62")),
        (b"SELECT 1 FORMAT Nonsense", "/", {}, (404, "73")),
        (b"SELECT 1 FORMAT DataFrame", "/", {}, (404, "73")),
        (b"SELECT 1 FORMAT ArrowTable", "/", {}, (404, "73")),
        (b"SELECT 1 INTO OUTFILE 'x'", "/", {}, (400, "48")),
        (b"INSERT INTO nope FORMAT Native\n\x01\x02", "/", {}, (404, "60")),
        (b"INSERT INTO system.one FORMAT", "/", {}, (400, "62")),
        (b"INSERT INTO", "/", {}, (400, "62")),
        (b"INSERT INTO x FROM INFILE '/etc/passwd' FORMAT CSV", "/", {}, (400, "48")),
        (b"SELECT 1", "/?nonsense=1", {}, (404, "115")),
        (b"SELECT 1", "/?max_threads=many", {}, (400, "27")),
        (b"SELECT 1", "/?a%27%20b=1", {}, (404, "115")),
        (b"SELECT 1", "/?database=nope", {}, (404, "81")),
        (b"SELECT 1", "/?database=%60%3B", {}, (404, "81")),
        (b"SELECT 1", "/?query=%FF", {}, (400, "36")),
        (b"SELECT {a:Int8}", "/?param_a=x", {}, (400, "457")),
        (b"SELECT {a:Int8}", "/", {}, (400, "456")),
        (b"rubbish", "/", {"Content-Encoding": "gzip"}, (400, "271")),
        (b"rubbish", "/", {"Content-Encoding": "zstd"}, (400, "271")),
        (b"SELECT 1", "/", {"Content-Encoding": "br"}, (400, "48")),
        (b"SELECT 1", "/", {"Content-Type": "multipart/form-data"}, (400, "36")),
        (b"SELECT 1", "/", {"Authorization": "Basic rubbish"}, (403, "516")),
    ],
)
def test_rubbish_is_refused_in_clickhouses_words(
    default: Caller, body: bytes, url: str, headers: dict[str, str], expected: tuple[int, str]
) -> None:
    status, code, text = default(body, url, headers)
    assert (status, code) == expected
    assert text.startswith(f"Code: {code}. DB::Exception: ".encode())
    assert default(b"SELECT 1")[2] == b"1\n"


def test_bytes_that_are_not_utf8_go_through_a_statement(default: Caller) -> None:
    assert default(b"SELECT '\xff\xfe' FORMAT RowBinary")[2] == b"\x02\xff\xfe"


def test_an_oversized_body_is_refused_so_that_the_client_can_read_why(default: Caller) -> None:
    status, code, text = default(b" " * (140 << 20))
    assert (status, code) == (413, "229")
    assert b"must be at most 134217728" in text


def test_a_get_may_only_read(gateway: Gateway, default: Caller) -> None:
    connection = http.client.HTTPConnection(gateway.host, gateway.port, timeout=30)
    answers = []
    for query in ("SELECT+1", "CREATE+TABLE+t+(a+Int8)+ENGINE+%3D+Memory"):
        connection.request("GET", f"/?query={query}", headers=default._headers)
        response = connection.getresponse()
        answers.append((response.status, response.read()[:9]))
    connection.close()
    assert answers == [(200, b"1\n"), (403, b"Code: 164")]


def test_memory_and_caches_are_bounded_by_the_config_file(default: Caller) -> None:
    sql = (
        b"SELECT name, value FROM system.server_settings"
        b" WHERE name IN ('max_server_memory_usage', 'mark_cache_size') ORDER BY name"
    )
    assert default(sql)[2] == b"mark_cache_size\t134217728\nmax_server_memory_usage\t2147483648\n"
    big = b"SELECT length(groupArray(toString(number))) FROM numbers(200000000)"
    status, code, _ = default(big, "/?max_execution_time=60")
    assert (status, code) == (500, "241")
    assert default(b"SELECT 1")[2] == b"1\n"
