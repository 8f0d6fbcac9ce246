"""Why a statement was refused, in ClickHouse's own words and numbers."""

import re

# HTTP status -> ClickHouse codes; any other code is a 500.
# Source: ClickHouse, src/Server/HTTP/exceptionCodeToHTTPStatus.cpp, with 4xx also for refusals
# that are the client's doing and are 500 there (READONLY, sessions).
_CODES = {
    400: (
        *(6, 7, 10, 19, 20, 25, 26, 27, 32, 33, 36, 38, 41, 42, 43, 44, 48, 53, 57, 62, 69, 70, 72),
        *(117, 130, 131, 158, 176, 179, 184, 190, 201, 215, 271, 349, 374, 376, 386, 395, 407),
        *(306, 427, 432, 441, 456, 457, 474, 582),
    ),
    401: (194,),
    403: (164, 192, 193, 497, 516),
    404: (46, 47, 50, 56, 60, 63, 73, 79, 80, 81, 115, 116, 372, 511),
    408: (159, 209),
    409: (216, 373),
    411: (411,),
    413: (229, 307),
    503: (202, 210, 236, 439),
}
STATUS = {code: status for status, codes in _CODES.items() for code in codes}
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
