"""Users who tire of what they have seen: the same item is worth less each time it is shown."""

from collections.abc import Generator

import msgspec
import numpy as np

from bandit.errors import RecordError
from sims.worlds.base import Following, Round, World, streams


class TiredWorld:
    """Any world in which showing an action to a unit makes it worth less to that unit for a while.

    expected = (1 − `tires`)^h · the world's own, h = Σ `recovers`^(rounds since) over the times
    that this action was drawn for this unit. A reward is kept with that factor's probability, so
    its mean is exact. The world reacts: what is shown now changes what is earned later.

    Args:
        base: Whose rewards they are.
        tires: Share of the worth that one showing takes, [0, 1].
        recovers: What a showing counts for a round later, [0, 1).
    """

    def __init__(self, base: World, *, tires: float = 0.5, recovers: float = 0.999) -> None:
        if not (0.0 <= tires <= 1.0 and 0.0 <= recovers < 1.0):
            raise RecordError(
                f"tires is {tires!r} and recovers {recovers!r}, must be in [0, 1] and [0, 1)"
            )
        self._base, self._tires, self._recovers = base, tires, recovers
        usual = recovers == 0.999
        self.name = f"{base.name}+tired:{tires:g}" + ("" if usual else f":{recovers:g}")
        self.about = base.about

    def rounds(self, rng: np.random.Generator) -> Generator[Round, int | None, None]:
        """Rounds without end; send the index of what was drawn."""
        for_base, for_luck = streams(rng, 2)
        following = Following(self._base, for_base)
        seen: dict[tuple[str, str], tuple[int, float]] = {}
        drawn, number = None, 0
        while True:
            this = following.next_round(drawn)
            keys = [(this.unit_id, action.id) for action in this.actions]
            fresh = [self._fresh(seen.get(key), number) for key in keys]
            drawn = yield self._tired(this, fresh, for_luck.random(len(fresh)).tolist())
            if drawn is not None:
                at, tired = seen.get(keys[drawn], (number, 0.0))
                seen[keys[drawn]] = (number, 1.0 + tired * self._recovers ** (number - at))
            number += 1

    def _fresh(self, state: tuple[int, float] | None, number: int) -> float:
        """The factor: 1 for what was never shown."""
        if state is None:
            return 1.0
        at, tired = state
        return float((1.0 - self._tires) ** (tired * self._recovers ** (number - at)))

    def _tired(self, this: Round, fresh: list[float], luck: list[float]) -> Round:
        kept = [u < factor for u, factor in zip(luck, fresh, strict=True)]
        told = [r if k else 0.0 for r, k in zip(this.told, kept, strict=False)]
        return msgspec.structs.replace(
            this,
            rewards=tuple(r if k else 0.0 for r, k in zip(this.rewards, kept, strict=True)),
            expected=tuple(e * f for e, f in zip(this.expected, fresh, strict=True)),
            told=tuple(told),
        )
