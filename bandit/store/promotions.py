"""Steps of promotions, only ever added; of two with one number the first won."""

from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from bandit.errors import NotFound, StoreUnavailable, VersionConflict
from bandit.records import Record
from bandit.store.client import ONE_ORDER, Store

State = Literal["ramping", "landing", "live", "reverting", "reverted", "refused", "abandoned"]
UNDER_WAY: tuple[State, ...] = ("ramping", "landing", "reverting")
"""What still has something to be done for it."""
NO_JSON = msgspec.Raw(b"null")


class PromotionStep(Record, frozen=True, kw_only=True):
    """A state of a promotion, and why it is in it.

    Attributes:
        promotion_id: Counts 1, 2, 3 … per surface.
        seq: Of its steps, from 1.
        change_id: Of this step and no other.
        state: `ramping` = the experiment serves the challenger to a share; `landing` = it is to
            serve everybody, `live` = it does; `reverting` = it is to serve nobody, `reverted` = it
            does not; `refused` by the gate; `abandoned` = somebody else changed the surface.
        live: The policy that it is to replace.
        experiment: Of the ramp; empty without.
        stage: Which of the ramp's, from 0.
        share: Of units that the challenger serves.
        reason: In plain words.
        plan, evidence: JSON; the service knows what is in them.
        author: Who or what made this step.
    """

    surface: str
    promotion_id: int
    seq: int
    change_id: str
    state: State
    challenger: str
    live: str
    experiment: str
    stage: int
    share: float
    reason: str
    plan: msgspec.Raw = NO_JSON
    evidence: msgspec.Raw = NO_JSON
    project: str
    author: str
    at_ms: int


class Promotions:
    """All promotions of a store."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def newest_id(self, surface: str) -> int:
        """Number of a surface's newest promotion; 0 if it has none."""
        rows = self._store.rows("promotion_newest", surface=surface)
        return int(rows[0][0]) if rows else 0

    def add(self, step: PromotionStep) -> None:
        """Make a step; its number is the newest one's plus one.

        Raises:
            VersionConflict: Somebody else made that step first.
            StoreUnavailable: The outcome is unknown: `steps` tells.
        """
        place = {"surface": step.surface, "promotion_id": step.promotion_id, "seq": step.seq}
        conflict = VersionConflict(
            "promotion",
            f"{step.surface}/{step.promotion_id}",
            have=step.seq,
            given=step.seq - 1 or None,
        )
        if self._store.rows("promotion_winner", **place):
            raise conflict
        fields = msgspec.structs.asdict(step)
        fields["at"] = fields.pop("at_ms")
        columns = {
            name: [bytes(value) if isinstance(value, msgspec.Raw) else value]
            for name, value in fields.items()
        }
        # A repeated row does no harm here; a remembered token whose row was lost would.
        self._store.insert("promotions", columns, settings={**ONE_ORDER, "insert_deduplicate": 0})
        winner = self._store.rows("promotion_winner", **place)
        if not winner:
            raise StoreUnavailable(f"step {step.seq} of a promotion was not stored")
        if winner != [(step.change_id,)]:
            raise conflict

    def steps(self, surface: str, promotion_id: int) -> list[PromotionStep]:
        """Every step of a promotion, oldest first.

        Raises:
            NotFound: There is no such promotion.
        """
        rows = self._store.rows("promotion_steps", surface=surface, promotion_id=promotion_id)
        if not rows:
            raise NotFound(f"promotion {promotion_id} of surface {surface!r} is not there")
        return [_step(row) for row in rows]

    def newest(
        self, surface: str = "", states: Sequence[State] = (), limit: int = 1000
    ) -> list[PromotionStep]:
        """The newest step of every promotion, newest promotions first.

        Args:
            surface: Of this one; '' for all.
            states: Only promotions in these; empty: in any.
            limit: The most to give.
        """
        rows = self._store.rows(
            "promotions_newest", surface=surface, states=list(states), limit=limit
        )
        return [_step(row) for row in rows]


def _step(row: Sequence[Any]) -> PromotionStep:
    names = [name if name != "at" else "at_ms" for name in PromotionStep.__struct_fields__]
    fields = dict(zip(names, row, strict=True))
    for name in ("plan", "evidence"):
        fields[name] = msgspec.Raw(fields[name].encode())
    return PromotionStep(**fields)
