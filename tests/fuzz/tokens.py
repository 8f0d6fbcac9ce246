"""Bad tokens by the thousand against a running service: all refused, and nothing learned from any.

A signed surface with a learner gets some honest rewards and learns them. Then come bad tokens, and
replays of good ones, which are answered 202 as the same reward while their time is not over. In the
end the newest snapshot must have the weights of before.
"""

import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx

from bandit.service.tokens import TokenKey, Tokens
from bandit.store.client import Store
from bandit.store.snapshots import Snapshots
from tests.acceptance.test_api import Service

SURFACE, POLICY = "signed.feed", "signed-vw"
HONEST = 200
WINDOW_S = 2
WITHIN_S = 120.0
DECLARED: tuple[tuple[str, dict[str, Any]], ...] = (
    (f"/v1/policies/{POLICY}", {"type": "vw", "surface": SURFACE, "floor": 0.01}),
    (
        f"/v1/surfaces/{SURFACE}",
        {"policy": POLICY, "signed": True, "join_window_s": WINDOW_S, "max_actions": 10},
    ),
)
Answer = dict[str, Any]


def thrown(service: Service, n: int, seed: int) -> list[str]:
    """Send `n` bad tokens and replays; what went wrong."""
    chance = random.Random(seed)
    for path, spec in DECLARED:
        service.until(f"declaring {path}", "PUT", path, 201, json=spec)
    asked = {"surface": SURFACE, "unit_id": "u", "actions": [{"id": "a"}]}
    service.until("serving", "POST", "/v1/rank", 200, json=asked)
    answered: Counter[tuple[str, int]] = Counter()
    with (
        learning(service) as snapshots,
        httpx.Client(base_url=f"http://127.0.0.1:{service.port}", timeout=60.0) as client,
    ):
        answers, honest = [], set()
        for number in range(HONEST):
            answers.append(rank(client, number))
            if number < HONEST // 2:
                honest.add(reward(client, answers[-1], answers[-1]["token"]))
        before = settled(snapshots, HONEST)
        for _ in range(n):
            kind, answer, token = bad(chance, answers)
            answered[kind, reward(client, answer, token)] += 1
        time.sleep(WINDOW_S)  # whatever was let in would be learned by now
        after = settled(snapshots, HONEST)
    told = ", ".join(f"{kind} {status}: {n:,}" for (kind, status), n in sorted(answered.items()))
    print(f"tokens: {n:,} sent; {told}")
    print(f"tokens: weights and trained decisions before {before}, after {after}")
    found = [
        f"{kind} token: answered {status}, {n} times"
        for (kind, status), n in answered.items()
        if status != 403 and (kind, status) != ("replayed", 202)
    ]
    if honest != {202}:
        found.append(f"honest rewards were answered {honest}")
    if not before[1]:
        found.append("nothing was learned from honest rewards, so there was nothing to change")
    if before != after:
        found.append(f"learned {before} before and {after} after")
    return found


def bad(chance: random.Random, answers: list[Answer]) -> tuple[str, Answer, str]:
    """A kind of bad token, the decision it is sent for, and the token."""
    answer = chance.choice(answers[: HONEST // 2])
    token, event_id = answer["token"], answer["event_id"]
    kind = chance.choice(["forged", "altered", "foreign", "stolen", "replayed"])
    match kind:
        case "forged":
            token = token[:4] + "".join(chance.choices("abcdefXYZ0189-_", k=len(token) - 4))
        case "altered":
            place = chance.randrange(len(token))
            flipped = chr(ord(token[place]) ^ 1 << chance.randrange(7))
            token = token[:place] + flipped + token[place + 1 :]
        case "foreign":
            salt, secret = chance.randbytes(16), chance.randbytes(32).hex()
            tokens = Tokens([TokenKey(kid=token[:4], secret=secret, signs_from_ms=0)], salt=salt)
            token = tokens.sign(event_id, SURFACE, "u0", 0)
        case "stolen":  # the token of another decision, which has no reward yet
            token, answer = token, chance.choice(answers[HONEST // 2 :])
    return kind, answer, token


def rank(client: httpx.Client, number: int) -> Answer:
    """An honest ranking."""
    actions = [{"id": f"a{n}"} for n in range(5)]
    asked = {"surface": SURFACE, "unit_id": f"u{number}", "actions": actions}
    response = client.post("/v1/rank", json=asked)
    assert response.status_code == 200, response.text
    answer: Answer = response.json()
    return answer


def reward(client: httpx.Client, answer: Answer, token: str) -> int:
    """Post a reward; the status."""
    sent = {"event_id": answer["event_id"], "surface": SURFACE, "value": 1.0, "token": token}
    return client.post("/v1/rewards", json=sent).status_code


@contextmanager
def learning(service: Service) -> Iterator[Snapshots]:
    """A learner of the policy beside the service, and its snapshots."""
    environ = service.environ
    database = environ["BANDIT_CLICKHOUSE_DATABASE"]
    store = Store.connect(environ["BANDIT_CLICKHOUSE_URL"], database=database)
    with service.log.open("ab") as log:
        command = [sys.executable, "-m", "bandit", "learn", POLICY]
        learner = subprocess.Popen(command, env=environ, stdout=log, stderr=log)
    try:
        yield Snapshots(store)
    finally:
        learner.terminate()
        learner.wait(30)
        store.close()


def settled(snapshots: Snapshots, decisions: int) -> tuple[str, int]:
    """Digest and trained decisions, once so many decisions are closed."""
    end_s = time.monotonic() + WITHIN_S
    while time.monotonic() < end_s:
        newest = snapshots.newest(POLICY)
        if newest is not None and newest.trained + newest.defaulted >= decisions:
            return newest.digest, newest.trained
        threading.Event().wait(0.05)
    raise TimeoutError(f"{decisions} decisions were not learned within {WITHIN_S} s")
