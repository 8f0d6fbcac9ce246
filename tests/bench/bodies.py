"""Requests of the benchmarks: a catalogue of 1,000 actions with 4 features, contexts with 4."""

import random
from pathlib import Path

import msgspec

SURFACE = "bench"
TOPICS = [f"topic{i}" for i in range(20)]


def catalogue(rng: random.Random) -> list[dict[str, object]]:
    """The 1,000 actions that there are."""
    return [
        {
            "id": f"item-{i}",
            "features": {
                "topic": rng.choice(TOPICS),
                "language": rng.choice(["en", "de", "pt"]),
                "age_days": rng.randrange(100),
                "quality": round(rng.random(), 3),
            },
        }
        for i in range(1000)
    ]


def bodies(
    actions_n: int,
    *,
    surface: str = SURFACE,
    ids_only: bool = False,
    requests_n: int = 500,
    seed: int = 1,
) -> list[bytes]:
    """Make `POST /v1/rank` bodies with `actions_n` candidates each, by value or by their ids."""
    rng = random.Random(seed)
    actions = catalogue(rng)
    return [
        msgspec.json.encode(
            {
                "surface": surface,
                "unit_id": f"u-{rng.randrange(100_000)}",
                "context": {
                    "country": rng.choice(["US", "DE", "BR", "IN"]),
                    "device": rng.choice(["ios", "android", "web"]),
                    "hour": rng.randrange(24),
                    "tenure_days": rng.randrange(1000),
                },
                **_offered(rng.sample(actions, actions_n), ids_only=ids_only),
            }
        )
        for _ in range(requests_n)
    ]


def _offered(actions: list[dict[str, object]], *, ids_only: bool) -> dict[str, object]:
    return {"action_ids": [each["id"] for each in actions]} if ids_only else {"actions": actions}


LUA = """
local bodies = {}
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local at = 0
wrk.method = "POST"
wrk.headers["content-type"] = "application/json"
request = function()
  at = at %% #bodies + 1
  return wrk.format(nil, "/v1/rank", nil, bodies[at])
end
done = function(summary, latency, requests)
  io.write(string.format("RESULT %%d %%d %%d %%.1f %%.1f\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read + summary.errors.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


def write_wrk_script(
    directory: Path, actions_n: int, *, surface: str = SURFACE, ids_only: bool = False
) -> Path:
    """Write the bodies and a wrk script that cycles through them."""
    name = f"{surface}-{actions_n}-{'ids' if ids_only else 'full'}"
    lines = directory / f"bodies-{name}.jsonl"
    asked = bodies(actions_n, surface=surface, ids_only=ids_only)
    lines.write_bytes(b"\n".join(asked) + b"\n")
    script = directory / f"rank-{name}.lua"
    script.write_text(LUA % lines)
    return script
