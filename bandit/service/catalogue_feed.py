"""Follows the catalogues of all surfaces: one cheap look, then only what changed."""

from collections.abc import Callable, Mapping

from bandit.service.last_good import LastGood
from bandit.service.serving_catalogue import ServingCatalogue
from bandit.store.catalogue import Catalogues


class CatalogueFeed:
    """The newest catalogues, for one thread.

    Attributes:
        current: By surface; another mapping after each change, never the same one changed.
    """

    def __init__(self, catalogues: Callable[[], Catalogues], last_good: LastGood) -> None:
        """Nothing is known before `restore` or `look`.

        Args:
            catalogues: Gives the store's catalogues; raises `StoreUnavailable`.
            last_good: The cache on disk.
        """
        self.current: Mapping[str, ServingCatalogue] = {}
        self._catalogues = catalogues
        self._last_good = last_good
        self._revision: int | None = None
        self._unkept: set[str] = set()

    def restore(self) -> None:
        """Begin with what the disk holds."""
        self.current = self._last_good.catalogues()

    def look(self) -> bool:
        """Look at the store once; True if a catalogue changed.

        Raises:
            StoreError: It could not be asked; `current` is what it was.
        """
        catalogues = self._catalogues()
        revision = catalogues.revision()
        if revision == self._revision:
            return False
        heads = catalogues.heads()
        found = {
            surface: self._at(catalogues, surface, version) for surface, version in heads.items()
        }
        is_news = {key: one.version for key, one in self.current.items()} != heads
        self.current, self._revision = found, revision
        return is_news

    @property
    def has_news(self) -> bool:
        """Whether there is something to keep."""
        return bool(self._unkept)

    def keep(self) -> None:
        """Save what changed since the last time. Raises `OSError`."""
        while self._unkept:
            surface = next(iter(self._unkept))
            if surface in self.current:
                self._last_good.save_catalogue(surface, self.current[surface])
            self._unkept.remove(surface)

    def _at(self, catalogues: Catalogues, surface: str, version: int) -> ServingCatalogue:
        have = self.current.get(surface)
        if have is not None and have.version == version:
            return have
        self._unkept.add(surface)
        if have is None or have.version > version:  # the store lost what this worker knows
            held = catalogues.at(surface, version)
            return ServingCatalogue(version, {action.id: action for action in held})
        changes = catalogues.changes(surface, have.version, version)
        return have.changed(version, [change for _, change in changes])
