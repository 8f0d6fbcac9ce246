"""How far the drains of all hosts have come, and whom of them nobody waits for."""

from typing import NamedTuple

from bandit.store.client import Store

SILENT_AFTER_MS = 300_000
"""A host that has said nothing for longer holds nobody up."""
STUCK_AFTER_MS = 900_000
"""Nor does one that reports, but has not moved for longer while others do."""
GONE_AFTER_MS = 86_400_000
"""Who has said nothing for longer is not counted any more: containers come under new names."""


class Drained(NamedTuple):
    """How far the drains have come."""

    through_ms: int | None
    """Whatever was accepted before is in the store; None if no host has reported lately."""
    hosts_n: int
    """Hosts that were not shut down, and are not gone."""
    silent_n: int
    """Those left out, because they have not reported lately, or report and do not move."""


class _Stand(NamedTuple):
    """Where a host was seen, and when it was first seen there."""

    through_ms: int
    since_ms: int


class Drains:
    """Reads what drains report; it remembers where each was seen."""

    def __init__(
        self,
        store: Store,
        *,
        silent_after_ms: int = SILENT_AFTER_MS,
        stuck_after_ms: int = STUCK_AFTER_MS,
    ) -> None:
        """Know of no host yet.

        Args:
            store: Where they report.
            silent_after_ms: A host that has said nothing for longer is not waited for.
            stuck_after_ms: Nor is one that stands still for longer, as seen from here.
        """
        self._store = store
        self._silent_after_ms = silent_after_ms
        self._stuck_after_ms = stuck_after_ms
        self._stands: dict[str, _Stand] = {}

    def through(self, now_ms: int) -> Drained:
        """How far they have come.

        Hosts that were shut down hold nobody up: nothing was left there. If all were, what they
        have delivered is all there is. One that does not move is waited for if all the others do
        not move either: then it is the store that does not take anything.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        hosts = self._store.rows("drained_through")
        at_work = [
            (host, through, said)
            for host, through, said, done in hosts
            if not done and now_ms - said <= max(GONE_AFTER_MS, self._silent_after_ms)
        ]
        lately = {
            host: through
            for host, through, said in at_work
            if now_ms - said <= self._silent_after_ms
        }
        moving = self._moving(lately, now_ms) or lately
        finished = [through for _, through, _, done in hosts if done]
        through_ms = None if at_work else max(finished, default=None)
        if moving:
            through_ms = min(moving.values())
        return Drained(through_ms, len(at_work), len(at_work) - len(moving))

    def _moving(self, hosts: dict[str, int], now_ms: int) -> dict[str, int]:
        """Those that were elsewhere not long ago."""
        self._stands = {
            host: seen
            if (seen := self._stands.get(host)) is not None and seen.through_ms == through_ms
            else _Stand(through_ms, now_ms)
            for host, through_ms in hosts.items()
        }
        return {
            host: through_ms
            for host, through_ms in hosts.items()
            if now_ms - self._stands[host].since_ms <= self._stuck_after_ms
        }
