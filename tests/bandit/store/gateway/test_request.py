import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bandit.store.gateway.refusal import Refusal
from bandit.store.gateway.request import (
    Credentials,
    ExternalTable,
    Request,
    credentials,
    decode,
    parse_url,
)


def decoded(
    url: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes = b"",
    method: str = "POST",
) -> Request:
    return decode(
        method=method, headers=headers or {}, url=url or {}, body=body, user="u", new_id="made"
    )


def form(*parts: bytes) -> bytes:
    return b"".join(b"--b\r\nContent-Disposition: form-data; " + p + b"\r\n" for p in parts) + (
        b"--b--\r\n"
    )


FORM = {"content-type": 'multipart/form-data; boundary="b"'}


def test_the_url_is_utf8_and_its_last_value_counts() -> None:
    assert parse_url(b"query=%C3%BC&a=1&a=2&b=") == {"query": "ü", "a": "2", "b": ""}


@pytest.mark.parametrize("query_string", [b"query=%FF", b"a=\xff", b"&a=1" * 10_001])
def test_an_unreadable_url_is_refused(query_string: bytes) -> None:
    with pytest.raises(Refusal, match="can not be read") as caught:
        parse_url(query_string)
    assert caught.value.status == 400


def test_settings_parameters_and_our_own_names_are_told_apart() -> None:
    request = decoded(
        {
            "query": "SELECT 1",
            "database": "d",
            "param_a": "x",
            "max_threads": "1",
            "session_id": "s",
            "session_timeout": "7",
            "wait_end_of_query": "1",
            "client_protocol_version": "54405",
            "query_id": "q",
        },
        body=b"b",
    )
    assert request == Request(
        query=b"SELECT 1",
        body=b"b",
        parameters={"a": "x"},
        settings={"max_threads": "1"},
        external=(),
        user="u",
        query_id="q",
        read_only_method=False,
        database="d",
        buffered=True,
        session_id="s",
        session_timeout_s=7,
    )


def test_a_query_id_is_made_if_the_client_gives_none() -> None:
    assert decoded().query_id == "made"


def test_get_may_only_read() -> None:
    assert decoded(method="GET").read_only_method
    assert not decoded().read_only_method


def test_answers_are_compressed_only_when_asked_by_setting_and_header() -> None:
    accepts = {"accept-encoding": "gzip"}
    assert decoded({"enable_http_compression": "1"}, accepts).accept_encoding == "gzip"
    assert decoded({}, accepts).accept_encoding == ""


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ({"a b": "1"}, 115),
        ({"session_timeout": "0"}, 374),
        ({"session_timeout": "-1"}, 374),
        ({"session_timeout": "9999999999"}, 374),
        ({"session_timeout": "١"}, 374),
        ({"decompress": "1"}, 48),
        ({"compress": "1"}, 48),
    ],
)
def test_a_parameter_that_is_not_what_it_must_be_is_refused(url: dict[str, str], code: int) -> None:
    with pytest.raises(Refusal) as caught:
        decoded(url)
    assert caught.value.code == code
    assert 400 <= caught.value.status < 500


def test_a_forms_fields_are_parameters() -> None:
    body = form(
        b'name="query"\r\n\r\nSELECT {a:String}',
        b'name="param_a"\r\nContent-Type: text/plain\r\n\r\n--b\r\n is no boundary here: \xc3\xbc',
    ).replace(b"\r\n\r\n--b\r\n is", b"\r\n\r\n--c is")
    request = decoded({"max_threads": "1"}, FORM, body)
    assert request.query == b"SELECT {a:String}"
    assert request.parameters == {"a": "--c is no boundary here: ü"}
    assert request.body == b""


def test_a_forms_files_are_external_tables() -> None:
    body = form(b'name="ext"; filename="ext.csv"\r\nContent-Type: text/csv\r\n\r\n1,a\r\n2,b\r\n')
    url = {"query": "SELECT 1", "ext_format": "CSV", "ext_structure": "a Int8, b String"}
    request = decoded(url, FORM, body)
    assert request.external == (ExternalTable("ext", "a Int8, b String", "CSV", b"1,a\r\n2,b\r\n"),)
    assert request.settings == {}
    types = decoded({"ext_types": "Int8,String"}, FORM, body)
    assert types.external[0][:3] == ("ext", "_1 Int8, _2 String", "TabSeparated")


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=b", b"rubbish"),
        ("multipart/form-data; boundary=b", b"--b\r\nno end"),
        ("multipart/form-data; boundary=b", form(b'filename="f"\r\n\r\nx')),
        ("multipart/form-data; boundary=b", form(b'name="query"\r\n\r\n\xff')),
        ("multipart/form-data; boundary=b", form(b'name="x"; filename="x"\r\n\r\n1')),
        ("multipart/form-data; boundary=b", form(b'name="a b"; filename="x"\r\n\r\n1')),
    ],
)
def test_a_broken_form_is_refused(content_type: str, body: bytes) -> None:
    with pytest.raises(Refusal) as caught:
        decoded({"a b_structure": "a Int8"}, {"content-type": content_type}, body)
    assert caught.value.code == 36


def refusal_status(body: bytes) -> int | None:
    try:
        decoded({}, FORM, body)
    except Refusal as refusal:
        return refusal.status
    return None


@given(st.binary(max_size=300))
def test_any_form_is_read_or_refused(body: bytes) -> None:
    assert refusal_status(b"--b\r\n" + body + b"\r\n--b--") in (None, 400, 404)


def basic(text: bytes) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(text).decode()}


@pytest.mark.parametrize(
    ("headers", "url", "expected"),
    [
        (basic(b"u:p:q"), {"user": "x"}, Credentials("u", "p:q")),
        (basic("ü:ß".encode()), {}, Credentials("ü", "ß")),
        ({"x-clickhouse-user": "u", "x-clickhouse-key": "k"}, {}, Credentials("u", "k")),
        ({}, {"user": "u", "password": "p"}, Credentials("u", "p")),
        ({}, {}, Credentials("default", "")),
    ],
)
def test_credentials_come_by_header_or_url(
    headers: dict[str, str], url: dict[str, str], expected: Credentials
) -> None:
    assert credentials(headers, url) == expected


@pytest.mark.parametrize("given", ["Bearer abc", "Basic !", "Basic", "Basic /w==", "Basic YQ=="])
def test_other_authorization_is_refused(given: str) -> None:
    with pytest.raises(Refusal) as caught:
        credentials({"authorization": given}, {})
    assert (caught.value.code, caught.value.status) == (516, 403)
