"""Why a statement was refused, in ClickHouse's own words and numbers."""

import re

# Code -> HTTP status, as ClickHouse's own HTTP handler has it; any other code is a 500 there.
# Source: ClickHouse, src/Server/HTTP/exceptionCodeToHTTPStatus.cpp.
STATUS = {
    194: 401, 192: 403, 193: 403, 497: 403, 516: 403,
    6: 400, 7: 400, 10: 400, 19: 400, 25: 400, 26: 400, 27: 400, 33: 400, 36: 400, 38: 400,
    41: 400, 42: 400, 43: 400, 44: 400, 53: 400, 57: 400, 62: 400, 69: 400, 70: 400, 72: 400,
    73: 404, 116: 404, 158: 400, 176: 400, 179: 400, 190: 400, 201: 400, 271: 400, 349: 400,
    376: 400, 386: 400, 395: 400, 407: 400, 427: 400, 432: 400, 441: 400, 456: 400, 457: 400,
    46: 404, 47: 404, 50: 404, 56: 404, 60: 404, 63: 404, 79: 404, 80: 404, 81: 404, 115: 404,
    372: 404, 511: 404, 115: 404,
    48: 400, 164: 403, 229: 413, 307: 413, 209: 408, 159: 408, 411: 411,
    202: 503, 216: 409, 373: 409, 210: 503, 439: 503,
}  # fmt: skip
_CODE = re.compile(r"Code: (\d+)")
_FIRST = re.compile(r"Code: (\d+)\. DB::Exception: ")
_STACK = re.compile(r",? Stack trace \(when copying this message.*", re.DOTALL)


class Refusal(Exception):
    """ClickHouse's answer to a statement it will not run.

    It never leaves the gateway: clients get its `text`, the `X-ClickHouse-Exception-Code`
    header and the HTTP `status`.
    """

    def __init__(self, code: int, name: str, message: str, status: int | None = None) -> None:
        super().__init__(f"Code: {code}. DB::Exception: {message}. ({name})")
        self.code = code
        self.status = STATUS.get(code, 500) if status is None else status

    @property
    def text(self) -> str:
        """The whole message, as a client reads it."""
        return str(self)

    @classmethod
    def from_engine(cls, error: BaseException) -> "Refusal":
        """What chDB raised, without its Python wrapping and its stack trace.

        Args:
            error: Anything chDB raises; it has no classes, only texts that hold `Code: n`.
        """
        text = _STACK.sub("", str(error)).strip()
        found = _CODE.search(text)
        if found is None:
            return cls(1001, "STD_EXCEPTION", text or type(error).__name__)
        refusal = cls(int(found[1]), "", "")
        text = text[found.start() :]
        # chDB nests one text in itself: `Code: 73. DB::Exception: Code: 73. DB::Exception: …`.
        while (twice := _FIRST.match(text)) and _FIRST.match(text, twice.end()):
            text = text[twice.end() :]
        refusal.args = (text,)
        return refusal
