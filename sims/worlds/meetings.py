"""Users recommended to users: both sides must like each other, and nobody has time for everyone."""

from collections import deque
from collections.abc import Generator

import msgspec
import numpy as np

from bandit.errors import RecordError
from bandit.records import Action
from sims.worlds.base import Round, streams

CITIES = ("north", "south", "east", "west")
INTERESTS = ("chess", "film", "food", "go", "music", "travel")


class MeetingWorld:
    """A round: a user asks whom to write to, out of some others; it pays 1 if they meet.

    `expected = likes[asker, asked] · likes[asked, asker]`, times 0 if the asked one was already
    shown `capacity` times in the last `period_n` rounds: who is popular with all is soon of no use
    to any. Likes are logistic in a quality, an interest in common and the same city. An action's
    features say what the service can know: interest, city, and how often it was shown lately.

    Args:
        seed: Makes the users; rounds have a generator of their own.
        users_n: How many there are.
        offered_n: Candidates in a round, never the asker.
        capacity: Showings that a user answers in a period.
        period_n: Rounds of that period.
    """

    name: str
    about = "Synthetic: users recommended to users, who must both like it and have time."

    def __init__(
        self,
        seed: int = 1,
        *,
        users_n: int = 100,
        offered_n: int = 10,
        capacity: int = 3,
        period_n: int = 200,
    ) -> None:
        if not 1 <= offered_n < users_n or capacity < 1 or period_n < 1:
            raise RecordError(
                f"{offered_n} of {users_n} users are offered, with capacity {capacity} in "
                f"{period_n} rounds; must be at least 1 and fewer than all, and at least 1 each"
            )
        rng = np.random.default_rng(seed)
        given = (seed, users_n, offered_n, capacity, period_n)
        self.name = "meetings" if given == (1, 100, 10, 3, 200) else f"meetings{given}"
        self._users_n, self._offered_n = users_n, offered_n
        self._capacity, self._period_n = capacity, period_n
        interests = rng.integers(len(INTERESTS), size=users_n)
        cities = rng.integers(len(CITIES), size=users_n)
        self._interests = [INTERESTS[n] for n in interests]
        self._cities = [CITIES[n] for n in cities]
        quality = rng.normal(-1.0, 1.0, size=users_n)
        alike = 2.5 * (interests[:, None] == interests) + 1.5 * (cities[:, None] == cities)
        self._likes = 1.0 / (1.0 + np.exp(-(quality[None, :] + alike)))
        self._mutual = self._likes * self._likes.T
        self._contexts = [
            msgspec.json.encode({"interest": interest, "city": city})
            for interest, city in zip(self._interests, self._cities, strict=True)
        ]

    def rounds(self, rng: np.random.Generator) -> Generator[Round, int | None, None]:
        """Rounds without end; send the index of who was drawn."""
        for_users, for_luck = streams(rng, 2)
        shown: deque[int] = deque([-1] * self._period_n, maxlen=self._period_n)
        load = np.zeros(self._users_n, dtype=np.int64)
        while True:
            asker = int(for_users.integers(self._users_n))
            others = for_users.choice(self._users_n - 1, size=self._offered_n, replace=False)
            asked = others + (others >= asker)
            expected = self._mutual[asker, asked] * (load[asked] < self._capacity)
            rewards = for_luck.random(self._offered_n) < expected
            drawn = yield Round(
                unit_id=f"user-{asker}",
                context=self._contexts[asker],
                actions=tuple(self._action(user, int(load[user])) for user in asked.tolist()),
                rewards=tuple(map(float, rewards)),
                expected=tuple(map(float, expected)),
            )
            if shown[0] >= 0:
                load[shown[0]] -= 1
            shown.append(-1 if drawn is None else int(asked[drawn]))
            if shown[-1] >= 0:
                load[shown[-1]] += 1

    def _action(self, user: int, load: int) -> Action:
        interest, city = self._interests[user], self._cities[user]
        busy = "full" if load >= self._capacity else "free"
        return Action.of(f"user-{user}", interest=interest, city=city, time=busy)
