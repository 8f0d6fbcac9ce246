"""What was measured of a machine; costs are processor seconds of one of its cores."""

from importlib import resources
from pathlib import Path

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.records import Record


class Cost(Record, frozen=True, kw_only=True):
    """What one kind of request costs, everywhere.

    Attributes:
        actions_n: Candidates of the ranking; 0 for a reward.
        api_s: Processor time of the API worker, when it is saturated.
        light_ms: Even quantiles of the latency of a client that asks one request at a time.
        drain_s, clickhouse_s, learn_s: Processor time of the others, idle work taken away.
        request_bytes, response_bytes: Bodies on the wire.
        journal_bytes: In the journal.
        stored_bytes: In ClickHouse, merged.
        pass_row_s: By how much each makes a pass of the drain longer, by the clock.
    """

    actions_n: int
    api_s: float
    light_ms: tuple[float, ...] = ()
    drain_s: float
    clickhouse_s: float
    learn_s: float
    request_bytes: float
    response_bytes: float
    journal_bytes: float
    stored_bytes: float
    pass_row_s: float = 0.0


class Calibration(Record, frozen=True, kw_only=True):
    """A machine, and what the service costs there.

    Attributes:
        machine, cores, python: Described.
        rank: By number of actions, ascending, two at least.
        reward: Of one reward.
        idle: Processor time a second of each role that has nothing to do.
        rss_mb: Memory of each role after the measurement; of the API one worker.
        pass_s: A pass of the drain takes so long with nothing to deliver.
        drain_interval_s: From the start of a pass to that of the next at the soonest.
    """

    machine: str
    cores: int
    python: str
    rank: tuple[Cost, ...]
    reward: Cost
    idle: dict[str, float]
    rss_mb: dict[str, float]
    pass_s: float
    drain_interval_s: float

    def __post_init__(self) -> None:
        sizes = [cost.actions_n for cost in self.rank]
        if len(sizes) < 2 or sorted(set(sizes)) != sizes:
            raise RecordError(f"rank has actions {sizes}, must be two or more, ascending")

    def cost_of(self, actions_n: int) -> Cost:
        """What a ranking of so many actions costs: linear between, and beyond, those measured."""
        sizes = [cost.actions_n for cost in self.rank]
        at = min(max(int(np.searchsorted(sizes, actions_n)), 1), len(sizes) - 1)
        low, high = self.rank[at - 1], self.rank[at]
        share = (actions_n - low.actions_n) / (high.actions_n - low.actions_n)
        mixed = {
            name: max((1.0 - share) * getattr(low, name) + share * getattr(high, name), 0.0)
            for name in Cost.__struct_fields__
            if name not in ("actions_n", "light_ms")
        }
        light = np.maximum(
            (1.0 - share) * np.array(low.light_ms) + share * np.array(high.light_ms), 0.0
        )
        return Cost(actions_n=actions_n, light_ms=tuple(light.tolist()), **mixed)

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        path.write_bytes(msgspec.json.format(msgspec.json.encode(self)) + b"\n")

    @classmethod
    def load(cls, path: Path | None = None) -> "Calibration":
        """Read one; without a path the one that came with the program.

        Raises:
            RecordError: It is none.
        """
        file = path or resources.files("sims.capacity") / "default.json"
        try:
            return msgspec.json.decode(file.read_bytes(), type=cls)
        except (OSError, msgspec.MsgspecError) as exc:
            raise RecordError(f"{file} is no calibration: {exc}") from exc
