"""What a context may be."""

import pytest

from bandit.errors import RecordError
from bandit.service.contexts import MOST_BYTES, check_context


@pytest.mark.parametrize("context", [b"{}", b' \n{"a":1}', b'{"a":"%s"}' % (b"x" * 60_000)])
def test_objects_are_taken(context: bytes) -> None:
    check_context(context)


@pytest.mark.parametrize("context", [b"[]", b"null", b'"text"', b"1", b"", b"[{}]"])
def test_anything_else_is_refused(context: bytes) -> None:
    with pytest.raises(RecordError, match=r"no JSON object, must be one - at `\$\.context`"):
        check_context(context)


def test_large_context_is_refused_before_anybody_looks_inside() -> None:
    with pytest.raises(RecordError, match="has 65537 bytes, must have at most 65536"):
        check_context(b"[" * (MOST_BYTES + 1))
