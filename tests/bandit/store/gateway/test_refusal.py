import pytest

from bandit.store.gateway.refusal import Refusal


def test_a_refusal_reads_like_clickhouse() -> None:
    refusal = Refusal(62, "SYNTAX_ERROR", "Syntax error: empty query")
    assert refusal.text == "Code: 62. DB::Exception: Syntax error: empty query. (SYNTAX_ERROR)"
    assert refusal.status == 400


@pytest.mark.parametrize(
    ("code", "status"), [(516, 403), (60, 404), (62, 400), (164, 403), (229, 413), (202, 503)]
)
def test_a_code_has_the_status_that_a_server_gives_it(code: int, status: int) -> None:
    assert Refusal(code, "X", "x").status == status


def test_an_unlisted_code_is_the_servers_fault() -> None:
    assert Refusal(1001, "STD_EXCEPTION", "x").status == 500


def test_the_engines_text_is_kept_from_its_code_on() -> None:
    raised = RuntimeError(
        "Streaming insert finish failed: Code: 27. DB::Exception: Cannot parse: (at row 1)\n: x"
    )
    refusal = Refusal.from_engine(raised)
    assert (refusal.code, refusal.status) == (27, 400)
    assert refusal.text == "Code: 27. DB::Exception: Cannot parse: (at row 1)\n: x"


def test_a_text_nested_in_itself_is_told_once() -> None:
    nested = "Code: 73. DB::Exception: " * 3 + "Unknown format x. (UNKNOWN_FORMAT)"
    assert Refusal.from_engine(RuntimeError(nested)).text == (
        "Code: 73. DB::Exception: Unknown format x. (UNKNOWN_FORMAT)"
    )


def test_a_stack_trace_is_not_told() -> None:
    raised = RuntimeError(
        "Code: 36. DB::Exception: no, Stack trace (when copying this message, always include the"
        " lines below):\n\n0. main @ 0x1\n"
    )
    assert Refusal.from_engine(raised).text == "Code: 36. DB::Exception: no"


def test_an_error_without_a_code_gets_one() -> None:
    refusal = Refusal.from_engine(ValueError("odd"))
    assert refusal.text == "Code: 1001. DB::Exception: odd. (STD_EXCEPTION)"
    assert Refusal.from_engine(TypeError()).text.startswith("Code: 1001. DB::Exception: TypeError")
