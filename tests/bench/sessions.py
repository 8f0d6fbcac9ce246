"""Open dashboard sessions without browsers: Streamlit's own messages over its own socket.

Twenty Chromiums would take the processors that are measured; what they ask of the server is this:
a session each, and a run of each fragment as often as the page says. Run as a process of its own.
"""

import asyncio
import sys

import aiohttp
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

PAGES = ("", "experiment", "bandit", "policies", "decisions", "health", "planner")


async def session(http: aiohttp.ClientSession, url: str, page: str) -> None:
    """One viewer of one page who looks until the end, and does nothing else."""
    async with http.ws_connect(f"{url}_stcore/stream", protocols=("streamlit",)) as socket:
        await socket.send_bytes(_rerun(page))
        runs: dict[str, asyncio.Task[None]] = {}
        async for message in socket:
            if message.type is not aiohttp.WSMsgType.BINARY:
                continue
            told = ForwardMsg.FromString(message.data)
            if told.WhichOneof("type") == "auto_rerun" and told.auto_rerun.fragment_id not in runs:
                fragment = told.auto_rerun.fragment_id
                every = _again(socket, page, fragment, told.auto_rerun.interval)
                runs[fragment] = asyncio.create_task(every)
        for run in runs.values():
            run.cancel()


async def _again(
    socket: aiohttp.ClientWebSocketResponse, page: str, fragment: str, interval_s: float
) -> None:
    """What a browser does for a fragment that says how often it is to run."""
    while not socket.closed:
        await asyncio.sleep(interval_s)
        await socket.send_bytes(_rerun(page, fragment))


def _rerun(page: str, fragment: str = "") -> bytes:
    message = BackMsg()
    message.rerun_script.page_name = page
    message.rerun_script.fragment_id = fragment
    message.rerun_script.is_auto_rerun = bool(fragment)
    return bytes(message.SerializeToString())


async def sessions(url: str, sessions_n: int) -> None:
    """So many viewers, spread over the pages, until this process is ended."""
    async with aiohttp.ClientSession() as http:
        pages = [PAGES[n % len(PAGES)] for n in range(sessions_n)]
        await asyncio.gather(*(session(http, url, page) for page in pages))


if __name__ == "__main__":
    asyncio.run(sessions(sys.argv[1], int(sys.argv[2])))
