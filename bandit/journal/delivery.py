"""One block to the sink: what is tried next, and what each answer means.

```
            ┌─ stored, never in doubt ──────────────▶ settled
 send ──────┼─ stored after an unknown outcome ─────▶ check
   ▲        ├─ unknown outcome ─────────────────────▶ send, the same block and token, later
   │        └─ rejected ────────────────────────────▶ its halves; a single row is set aside
   │
   └─ some are missing: those, under a new token ─── check ── nothing is missing ──▶ settled
```
A token alone proves nothing: a store that was killed may know it and not have the rows.
"""

import logging
from collections import Counter, deque
from collections.abc import Callable, Iterable

from bandit.errors import StoreError, StoreUnavailable
from bandit.journal.base import Entry, Sink
from bandit.journal.blocks import Block
from bandit.journal.outages import Outages
from bandit.journal.quarantine import Quarantine
from bandit.logs import event

log = logging.getLogger(__name__)

REJECTIONS_MAX = 16
"""After so many in a row it is not single rows that are refused: blocks are no longer halved.

Halving finds one bad row among 5,000 within 14.
"""


Place = tuple[str, str, int]


def place(entry: Entry) -> Place:
    """Table, surface and seq: what tells a writer's records apart."""
    return entry.record.table, entry.record.surface, entry.seq


class Delivery:
    """Brings blocks to the sink; at most one per table is in doubt at any time."""

    def __init__(self, sink: Sink, quarantine: Quarantine, now_ms: Callable[[], int]) -> None:
        self.counts: Counter[str] = Counter()
        """`delivered`, `resent` and `rejected` rows since the start."""
        self.rejected: dict[str, set[Place]] = {}
        """Per writer, what was set aside and is not to be looked for in the sink."""
        self.outages = Outages("records wait in the journal", now_ms)
        """By table."""
        self.sink = sink
        """Where it brings them."""
        self._quarantine = quarantine
        self._in_doubt: dict[str, Block] = {}
        self._rejections_n = 0
        self._failed = False

    def begin_pass(self) -> None:
        """Allow one more failure: a store that lets us wait is asked once a pass, not 20 times."""
        self._failed = False

    def push(self, blocks: Iterable[Block]) -> list[Block]:
        """Deliver what can be delivered now, in order; those that remain, for another time."""
        todo, remaining = deque(blocks), []
        while todo:
            block = todo.popleft()
            if not self._may_try(block):
                remaining.append(block)
                continue
            try:
                left = self._advance(block)
            except (StoreUnavailable, OSError) as exc:
                self._failed = True
                self.outages.failed(block.table, exc)
                remaining.append(block)
            else:
                self.outages.succeeded(block.table)
                todo.extendleft(reversed(left))
        return remaining

    def forget(self, blocks: Iterable[Block]) -> None:
        """These will not be delivered by us."""
        for block in blocks:
            if self._in_doubt.get(block.table) is block:
                del self._in_doubt[block.table]

    def _may_try(self, block: Block) -> bool:
        in_doubt = self._in_doubt.get(block.table, block)
        return in_doubt is block and not self._failed and self.outages.is_due(block.table)

    def _advance(self, block: Block) -> list[Block]:
        """Take a block one step on; the blocks that are left of it.

        Raises:
            StoreUnavailable: Try it again later.
            OSError: It was rejected and can not be set aside; it stays where it is.
        """
        if block.check:
            return self._check(block)
        try:
            self.sink.insert(block.table, block.writer, block.entries, block.token)
        except (StoreUnavailable, OSError) as exc:
            block.doubtful = True
            self._in_doubt[block.table] = block
            raise StoreUnavailable(str(exc)) from exc
        except Exception as exc:  # whatever else it is, trying it again would be a crash loop
            self.forget([block])
            return self._rejected(block, exc)
        self.forget([block])
        self._rejections_n = 0
        if block.writer in self.rejected:  # what is taken now has to be there when it is read back
            self.rejected[block.writer].difference_update(map(place, block.entries))
        if block.doubtful:
            block.check = True
            return [block]
        self._count(block, len(block.entries))
        return []

    def _check(self, block: Block) -> list[Block]:
        try:
            missing = self.sink.missing(block.table, block.writer, block.entries)
        except Exception as exc:
            raise StoreUnavailable(f"{block.table} could not be read back: {exc}") from exc
        self._count(block, len(block.entries) - len(missing))
        if not missing:
            return []
        self.counts["resent"] += len(missing)
        block.resend(missing)
        if block.resends > 1:
            lost = f"{len(missing)} rows of {block.table} by {block.writer}"
            raise StoreUnavailable(f"{lost} were stored and are missing")
        return [block]

    def _count(self, block: Block, stored_n: int) -> None:
        if not block.again:
            self.counts["delivered"] += stored_n

    def _rejected(self, block: Block, exc: Exception) -> list[Block]:
        """Find the rows at fault by halving."""
        self._rejections_n += 1
        if len(block.entries) > 1 and self._rejections_n <= REJECTIONS_MAX:
            return block.halves()
        path = self._quarantine.put_rows(block)
        self.counts["rejected"] += len(block.entries)
        self.rejected.setdefault(block.writer, set()).update(map(place, block.entries))
        rows = f"{len(block.entries)} rows of {block.table} by {block.writer}"
        trace = None if isinstance(exc, StoreError) else exc
        log.error(
            "%s were rejected and set aside in %s: %s",
            rows,
            path,
            exc,
            exc_info=trace,
            extra=event("rows_rejected"),
        )
        return []
