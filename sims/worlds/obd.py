"""Open Bandit Dataset (ZOZO, Inc., CC BY 4.0) as a world: the uniform policy's rows drawn anew.

Source: Saito, Aihara, Matsutani, Narita (2021), "Open Bandit Dataset and Pipeline: towards
realistic and reproducible off-policy evaluation", arXiv 2008.07146.
"""

from collections.abc import Iterator
from pathlib import Path

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.ope.sources import read_obd_columns
from bandit.records import Action
from sims.worlds.base import Batch, Flags, Floats, LoggedRound, Round, Whole, rounds_of, streams

ABOUT = (
    "Open Bandit Dataset, ZOZO, Inc., CC BY 4.0; cite Saito, Aihara, Matsutani, Narita (2021), "
    "arXiv 2008.07146. Click rates are those of this log, by item and position."
)


class ObdWorld:
    """A round is a logged position; an item is clicked as often as this log's rows say.

    What an item earns is a random row's click, of those that showed it there: so `expected` is
    exactly the log's click rate by item and position, and a policy that is run here is judged
    against the log, not against the shop. An item that was never shown at a position is not
    offered there. Users' features are left out: this truth has none.

    Args:
        path: A compact file of the uniform policy (`random_all.csv.gz`).

    Raises:
        RecordError: There is no such file, or its policy was not uniform.
    """

    about = ABOUT

    def __init__(self, path: Path) -> None:
        if not path.is_file():
            raise RecordError(f"{path} is not there, must be a compact log of the uniform policy")
        columns = read_obd_columns(path)
        items, positions = columns["item_id"], columns["position"]
        k, places_n = int(items.max()) + 1, int(positions.max()) + 1
        if not np.allclose(columns["p"], 1.0 / k, rtol=0.05):
            raise RecordError(
                f"{path.name} has propensities {columns['p'].min():g} to {columns['p'].max():g}, "
                f"must all be near 1/{k}: only a uniform log shows every item alike"
            )
        shape = (places_n, k)
        shown, clicked = np.zeros(shape), np.zeros(shape)
        np.add.at(shown, (positions, items), 1.0)
        np.add.at(clicked, (positions, items), columns["click"])
        self.name = f"obd({path.name.split('.')[0]})"
        self.actions = tuple(Action.of(f"item-{item}") for item in range(k))
        self.features = tuple(f"position_{place}" for place in range(places_n))
        self._positions: Whole = positions
        self._items: Whole = items
        self._clicks: Floats = columns["click"]
        self._propensities: Floats = columns["p"]
        self._offered: Flags = shown > 0.0
        self._rates: Floats = clicked / np.maximum(shown, 1.0)

    def batches(self, rng: np.random.Generator, n: int) -> Iterator[Batch]:
        """Batches of n rounds without end."""
        for_rows, for_luck = streams(rng, 2)
        while True:
            rows: Whole = for_rows.integers(len(self._positions), size=n)
            places = self._positions[rows]
            expected = self._rates[places]
            rewards = (for_luck.random(expected.shape) < expected).astype(np.float64)
            contexts = np.eye(len(self.features))[places]
            batch = Batch.of(contexts, expected, rewards, rows)
            yield batch._replace(offered=self._offered[places])

    def log(self) -> Iterator[LoggedRound]:
        """The rows themselves, in their order, for `sims.replay`: every item is offered."""
        k = len(self.actions)
        unknown = (0.0,) * k
        places = np.eye(len(self.features)).tolist()
        for row, position in enumerate(self._positions.tolist()):
            context = dict(zip(self.features, places[position], strict=True))
            yield LoggedRound(
                Round(
                    unit_id=f"unit-{row}",
                    context=msgspec.json.encode(context),
                    actions=self.actions,
                    rewards=unknown,
                    expected=unknown,
                ),
                logged=int(self._items[row]),
                propensity=float(self._propensities[row]),
                reward=float(self._clicks[row]),
            )

    def rounds(self, rng: np.random.Generator) -> Iterator[Round]:
        """Rounds without end."""
        return rounds_of(self, rng)
