"""The demo's script: what is declared, waited for and judged; `bandit demo` runs and shows it."""

import httpx
import msgspec

from bandit.errors import NotFound
from bandit.learning.rebuilding import rebuild
from bandit.policies import build
from bandit.service.replaying import Replay, ReplayService
from bandit.service.reporting_payloads import ExperimentReport
from bandit.specs import AnySpec, Experiment, Metric, PolicySpec, Surface, Variant
from bandit.store.client import Store
from bandit.store.decisions import Decisions
from bandit.store.definitions import Definitions
from bandit.store.snapshots import Snapshots
from bandit.store.tail import Tail
from sims.audit import Check, audit, learned
from sims.ledger import Ledger
from sims.waiting import Waiting

LEARNED, RANDOM = "treatment", "control"
REWARD = "like"
METRICS = (
    Metric(key="like-rate", source="reward", name=REWARD, per="decision"),
    Metric(key="likes-per-user", source="reward", name=REWARD, per="unit"),
)
LEARNING = PolicySpec(key="movies-vw", type="vw", surface="movies", floor=0.002)
UNIFORM = PolicySpec(key="movies-uniform", type="uniform")
SURFACE = Surface(
    key="movies",
    policy=LEARNING.key,
    shadows=[LEARNING.key, UNIFORM.key],
    join_window_s=1.0,
    reward_low=0.0,
    reward_high=1.0,
    description="Which film to show to a user of the demo.",
)
EXPERIMENT = Experiment(
    key="movies-2026",
    surface=SURFACE.key,
    salt="movies-2026",
    variants=[
        Variant(key=RANDOM, policy=UNIFORM.key, allocation=[(0, 5000)]),
        Variant(key=LEARNED, policy=LEARNING.key, allocation=[(5000, 10_000)]),
    ],
    control=RANDOM,
    metrics=[metric.key for metric in METRICS],
    status="running",
    description="Does the learned policy earn more likes than chance?",
)
DECLARED: tuple[tuple[str, AnySpec], ...] = (
    *(("metrics", metric) for metric in METRICS),
    ("policies", LEARNING),
    ("policies", UNIFORM),
    ("surfaces", SURFACE),
    ("experiments", EXPERIMENT),
)
START_S, SERVE_S = 60.0, 30.0


class Health(msgspec.Struct):
    """What the demo wants to know of `GET /health/ready`."""

    writer: str
    revision: int | None


class Demo:
    """Talks to a service that is starting or running.

    Args:
        client: With the service's address as its base URL.
        store: Its ClickHouse.
        waiting: Has the clock.
        salt: The project's secret, to make decisions again.
        workers_n: How many API workers there are.
    """

    def __init__(
        self, client: httpx.Client, store: Store, waiting: Waiting, *, salt: bytes, workers_n: int
    ) -> None:
        self._client = client
        self._store = store
        self._waiting = waiting
        self._salt = salt
        self._workers_n = workers_n

    def declare(self) -> None:
        """Declare metrics, policies, surface and experiment, and wait until all workers know.

        Raises:
            Stuck: They do not, or the API does not answer.
            httpx.HTTPStatusError: A declaration was refused.
        """
        self._waiting.until("the API is ready", START_S, self._health)
        for kind, spec in DECLARED:
            self._client.put(
                f"/v1/{kind}/{spec.key}", content=msgspec.json.encode(spec), headers=_JSON
            ).raise_for_status()
        revision = Definitions(self._store).revision()
        knowing: set[str] = set()

        def all_know() -> bool | None:
            health = self._health()
            if health is not None and (health.revision or 0) >= revision:
                knowing.add(health.writer)
            return True if len(knowing) >= self._workers_n else None

        self._waiting.until("all workers serve what was declared", SERVE_S, all_know)

    def wait_until_learned(self, ledger: Ledger, patience_s: float) -> None:
        """Wait until everything answered is in the log and everything in the log is learned from.

        Raises:
            Stuck: It is not in time; the counts will say what is missing.
        """

        def settled() -> bool | None:
            found = audit(self._store, SURFACE.key)
            complete = found.events_n >= len(ledger.shown)
            known = learned(self._store, LEARNING.key).decisions_n >= found.events_n
            return True if complete and known else None

        self._waiting.until("the log is drained and learned from", patience_s, settled)

    def report(self) -> ExperimentReport:
        """Fetch the experiment's report, made from the log: what is kept is some seconds older.

        Raises:
            httpx.HTTPStatusError: There is none.
        """
        answer = self._client.get(
            f"/v1/reports/experiments/{EXPERIMENT.key}", params={"fresh": "true"}, timeout=60.0
        )
        return msgspec.json.decode(answer.raise_for_status().content, type=ExperimentReport)

    def replay(self, n: int, seed: int) -> Check:
        """Make random decisions of the log again and compare them bit for bit."""
        service = ReplayService.of_store(lambda: self._store, salt=self._salt)
        sample = Decisions(self._store).sample(SURFACE.key, n, seed)
        different: list[str] = []
        for replay in service.replay_all(sample):
            if isinstance(replay, Replay):
                different.extend(replay.differences[:1])
            else:
                different.append(str(replay))
        numbers = f"{len(sample) - len(different):,} of {len(sample):,} identical"
        if different:
            numbers += f"; the first that is not: {different[0]}"
        return Check("random decisions replayed", bool(sample) and not different, numbers)

    def rebuild(self) -> Check:
        """Train the learning policy again from nothing but the log, and compare the weights."""
        name = "the model comes out of the log again"
        try:
            report = rebuild(
                LEARNING.key,
                tail=Tail(self._store),
                snapshots=Snapshots(self._store),
                definitions=Definitions(self._store),
                build=build,
            )
        except NotFound as exc:
            return Check(name, False, str(exc))
        numbers = (
            f"{report.policy}@{report.number} after {report.lessons_n:,} lessons in "
            f"{report.steps_n:,} steps: digest {report.digest[:12]}, logged {report.expected[:12]}"
        )
        return Check(name, report.equal and report.counts_equal, numbers)

    def _health(self) -> Health | None:
        # A connection of its own each time, so that each worker's turn comes.
        answer = self._client.get("/health/ready", headers={"connection": "close"})
        if answer.status_code != httpx.codes.OK:
            return None
        return msgspec.json.decode(answer.content, type=Health)


_JSON = {"content-type": "application/json"}
