"""What is kept of units beside the log, when one of them is forgotten.

States of the unit go, by places that name nobody. What was added up with it is made again without
it: builds that hold the unit are spoilt, so that the next refresh starts from the log, and the kept
numbers of its experiments and surfaces are removed, so that reports of past times read the log.
Where the log has expired since, kept numbers are all there is: they stay, they name nobody, and
whoever asked is told.
"""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from bandit.store.client import Store
from bandit.store.retention import DAY_MS, Retention
from bandit.store.unit_steps import mark_spoilt

PLACES_N = 500


class StatePlace(NamedTuple):
    """Where a state of a unit lies."""

    generation: str
    build: int
    place: str


class UnitErasures:
    """Takes units out of what is kept for reports."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def experiments(self, unit_id: str) -> list[str]:
        """Experiments that a unit was in, as far as the log tells. Raises `StoreUnavailable`."""
        return [row[0] for row in self._store.rows("unit_experiments", unit_id=unit_id)]

    def places(self, unit_id: str) -> list[StatePlace]:
        """States of a unit. Raises `StoreUnavailable`."""
        return [StatePlace(*row) for row in self._store.rows("unit_state_places", unit_id=unit_id)]

    def remove(
        self, places: Collection[StatePlace], experiments: Iterable[str], surfaces: Iterable[str]
    ) -> list[str]:
        """Take states away, and have all that was added up with them added up again.

        The states go last: they tell what else there is, should it be cut off.

        Args:
            places: Of the states.
            experiments: Those that the units were in, beside those that the states tell.
            surfaces: Those that the units were on.

        Returns:
            Experiments whose kept numbers stay, because the log they were made of has expired.

        Raises:
            StoreUnavailable: Some may be left: do it again.
        """
        builds = {(place.generation, place.build) for place in places}
        rows = self._store.rows("generations", generations=sorted({g for g, _ in builds}))
        keys = {generation: key for generation, key, _ in rows}
        for generation, build in sorted(builds):
            mark_spoilt(self._store, generation, keys.get(generation, ""), build)
        oldest_ms = self._oldest_ms()
        expired = {key for _, key, first_ms in rows if 0 < first_ms <= oldest_ms}
        again = ({*experiments, *keys.values()} - expired, set(surfaces) if not expired else set())
        of_surfaces = again[1]
        for kind, found in zip(
            ("experiment", "surface", "allocation"), (*again, of_surfaces), strict=True
        ):
            if found:
                self._store.command("erase_kept_numbers", kind=kind, keys=sorted(found))
        ids = [place.place for place in places]
        for start in range(0, len(ids), PLACES_N):
            self._store.command("erase_states", places=ids[start : start + PLACES_N])
        return sorted(expired)

    def _oldest_ms(self) -> int:
        """What was accepted before has expired; 0: nothing has."""
        days = [kept for kept in Retention(self._store).days().values() if kept is not None]
        if not days:
            return 0
        [(now_ms,)] = self._store.rows("store_now")
        return int(now_ms) - min(days) * DAY_MS
