"""The service as a closed loop's steward sees it: declares, waits, and fetches reports."""

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

import httpx
import msgspec

from bandit.service.reporting_payloads import ExperimentHistory, ExperimentReport, SurfaceReport
from bandit.service.reporting_payloads import Health as SurfaceHealth
from sims.closed.plan import Plan, declared
from sims.waiting import Waiting

START_S, SERVE_S, REPORT_S = 60.0, 60.0, 120.0
LOOK_S = 1.0
"""Each look makes reports from the log, for which learners would have to wait."""
IN_A_ROW = 10
"""So many answers of workers that know: more than one worker would give by chance."""
R = TypeVar("R")


class Sent(NamedTuple):
    """What was accepted of a surface.

    Attributes:
        spare_n: Rewards that learners only count: those sent late, and all but the first of each.
    """

    decisions_n: int
    rewards_n: int
    spare_n: int = 0


class NameTaken(RuntimeError):
    """Something that the plan would declare is declared already."""


class NotTaken(RuntimeError):
    """The service refused a declaration."""


class Health(msgspec.Struct):
    """What is wanted of `GET /health/ready`."""

    writer: str
    revision: int | None


class Service:
    """Talks to a running service.

    Args:
        client: With the service's address as its base URL, and a key if it asks for one.
        waiting: Has the clock.
    """

    def __init__(self, client: httpx.Client, waiting: Waiting) -> None:
        self._client = client
        self._waiting = waiting

    def declare(self, plan: Plan, watch: Callable[[], None] = lambda: None) -> None:
        """Declare the plan's things, and wait until the workers know.

        Raises:
            NameTaken: One of them is there already; data of another run would be mixed in.
            Stuck: The workers do not answer, or do not learn of them.
            NotTaken: A declaration was refused.
        """
        before = self._waiting.until("the API is ready", START_S, self._known)
        specs = declared(plan)
        for kind, spec in specs:
            answer = self._client.put(
                f"/v1/{kind}/{spec.key}",
                content=msgspec.json.encode(spec),
                headers={"content-type": "application/json", "if-none-match": "*"},
            )
            if answer.status_code in (httpx.codes.PRECONDITION_FAILED, httpx.codes.CONFLICT):
                raise NameTaken(f"{kind} {spec.key!r} is declared already, must be another --name")
            if answer.is_error:
                raise NotTaken(f"PUT {kind}/{spec.key}: {answer.status_code} {answer.text[:500]}")
            watch()
        wanted, in_a_row = before + len(specs), 0

        def all_know() -> bool | None:
            nonlocal in_a_row
            revision = self._known()
            in_a_row = in_a_row + 1 if revision is not None and revision >= wanted else 0
            return True if in_a_row >= IN_A_ROW else None

        self._waiting.until("all workers serve what was declared", SERVE_S, all_know)

    def wait_until_settled(self, plan: Plan, sent: Sequence[Sent], patience_s: float) -> None:
        """Wait until all that was accepted is in the log and closed, and what learns has learned.

        Args:
            sent: By surface, what the log must hold.

        Raises:
            Stuck: Not within `patience_s`.
        """
        waiting = list(zip(plan.surfaces, sent, strict=True))

        def settled() -> bool | None:
            # Whoever is settled stays so: surfaces are asked one after the other.
            while waiting:
                key, wanted = waiting[0]
                if not is_settled(self.surface(key, plan.alpha).health, wanted):
                    return None
                waiting.pop(0)
            return True

        self._waiting.until(
            "the log is drained and learned from", patience_s, settled, pause_s=LOOK_S
        )

    def experiment(self, key: str, alpha: float) -> ExperimentReport:
        """An experiment's report, made from the log."""
        return self._report(f"experiments/{key}", alpha, ExperimentReport)

    def surface(self, key: str, alpha: float) -> SurfaceReport:
        """A surface's report, made from the log."""
        return self._report(f"surfaces/{key}", alpha, SurfaceReport)

    def history(self, key: str, alpha: float) -> ExperimentHistory:
        """An experiment's effects over time, from the numbers that the refresher kept."""
        answer = self._client.get(
            f"/v1/reports/experiments/{key}/history", params={"alpha": alpha}, timeout=REPORT_S
        )
        return msgspec.json.decode(answer.raise_for_status().content, type=ExperimentHistory)

    def _report(self, path: str, alpha: float, kind: type[R]) -> R:
        params: dict[str, str | float] = {"fresh": "true", "alpha": alpha}
        answer = self._client.get(f"/v1/reports/{path}", params=params, timeout=REPORT_S)
        return msgspec.json.decode(answer.raise_for_status().content, type=kind)

    def _known(self) -> int | None:
        # A connection of its own each time, so that each worker's turn comes.
        answer = self._client.get("/health/ready", headers={"connection": "close"})
        if answer.status_code != httpx.codes.OK:
            return None
        return msgspec.json.decode(answer.content, type=Health).revision


def is_settled(health: SurfaceHealth, wanted: Sent) -> bool:
    """Whether a surface's log holds all that was sent, closed and learned."""
    closed_n = [
        learning.trained + learning.defaulted + learning.unseen
        for policy in health.policies
        if policy.learns and (learning := policy.learning) is not None
    ]
    learning_n = sum(policy.learns for policy in health.policies)
    # Of what changes no weights a learner tells with its next snapshot, or after a minute.
    counted_n = sum(
        policy.learning.late + policy.learning.duplicate
        for policy in health.policies
        if policy.learning is not None
    )
    return (
        health.decisions.distinct_n >= wanted.decisions_n
        and health.rewards.distinct_n >= wanted.rewards_n
        and health.open_n == 0
        and (len(closed_n) == learning_n or not wanted.decisions_n)
        and all(n >= health.decisions.distinct_n for n in closed_n)
        and counted_n >= wanted.spare_n
    )
