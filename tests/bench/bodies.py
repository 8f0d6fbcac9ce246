"""Requests of the benchmarks: a catalogue of 1,000 actions with 4 features, contexts with 4."""

import random
from pathlib import Path

import msgspec

SURFACE = "bench"
TOPICS = [f"topic{i}" for i in range(20)]


def bodies(actions_n: int, *, requests_n: int = 500, seed: int = 1) -> list[bytes]:
    """Make `POST /v1/rank` bodies with `actions_n` candidates each."""
    rng = random.Random(seed)
    catalogue = [
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
    return [
        msgspec.json.encode(
            {
                "surface": SURFACE,
                "unit_id": f"u-{rng.randrange(100_000)}",
                "context": {
                    "country": rng.choice(["US", "DE", "BR", "IN"]),
                    "device": rng.choice(["ios", "android", "web"]),
                    "hour": rng.randrange(24),
                    "tenure_days": rng.randrange(1000),
                },
                "actions": rng.sample(catalogue, actions_n),
            }
        )
        for _ in range(requests_n)
    ]


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


def write_wrk_script(directory: Path, actions_n: int) -> Path:
    """Write the bodies and a wrk script that cycles through them."""
    lines = directory / f"bodies-{actions_n}.jsonl"
    lines.write_bytes(b"\n".join(bodies(actions_n)) + b"\n")
    script = directory / f"rank-{actions_n}.lua"
    script.write_text(LUA % lines)
    return script
