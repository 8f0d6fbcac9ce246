"""The floor of any Litestar service: an `@asgi` route that only decodes and encodes."""

import msgspec
from litestar import Litestar, asgi
from litestar.types import Receive, Scope, Send

from bandit.wire import RankAnswer, RankedAction, RankRequest

DECODER = msgspec.json.Decoder(RankRequest)
ENCODER = msgspec.json.Encoder()


@asgi("/v1/rank", copy_scope=False)
async def rank(scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    while True:
        message = await receive()
        body += message.get("body", b"")
        if not message.get("more_body"):
            break
    request = DECODER.decode(body)
    answer = ENCODER.encode(
        RankAnswer(
            event_id="019aaf70-da00-76ff-9fd8-000102030405",
            ranking=[RankedAction(id=request.actions[0].id, slot=0, propensity=0.5)],
            experiment=None,
            policy="p",
            snapshot="p@1",
        )
    )
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


app = Litestar([rank], openapi_config=None)
