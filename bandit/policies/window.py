"""A policy that forgets: two models in rotation.

The elder serves. From half a window on, the younger learns alongside; every half window they
change: the elder is dropped, the younger serves, and a new one begins. So what serves knows between
half and all of the window's lessons, and at first all there were. Learning costs twice as much,
asking nothing more.

On worlds that drift this is what helps (a learning rate that does not decay mostly makes it worse);
where nothing drifts it costs .02 to .16 of the reward, the more the shorter the window.

Source:
    Garivier & Moulines 2011, "On upper-confidence bound policies for switching bandit problems"
    (why a window); two models in place of one retrained at each lesson, so that state and cost do
    not grow with the window.
"""

import hashlib
from collections.abc import Callable, Sequence

import msgspec

from bandit.errors import SnapshotCorrupt
from bandit.policies.base import LearningPolicy, Lesson
from bandit.policies.framing import frame, unframe
from bandit.records import Action

_MAGIC = b"bandit-window\x00\x00\x00\x01"  # the last byte is the format's version


class _Saved(msgspec.Struct, frozen=True, array_like=True):
    """Both models, and how many lessons there were since the elder was born."""

    lessons_n: int
    elder: bytes
    younger: bytes | None


class Windowed:
    """A policy that knows no more than its last lessons; a function of the lessons alone."""

    def __init__(
        self,
        make: Callable[[bytes | None], LearningPolicy],
        window: int,
        weights: bytes | None = None,
    ) -> None:
        """An untrained policy, or one as it was saved.

        Args:
            make: A model, untrained or from what its `save` gave.
            window: Lessons, at least 2.
            weights: What `save` gave.

        Raises:
            BadSpec: The weights were learned with other arguments, or another window.
            SnapshotCorrupt: The weights are not what was saved.
        """
        self._make = make
        self._window = window
        self._half = window // 2
        self._lessons_n = 0
        self._younger: LearningPolicy | None = None
        if weights is None:
            self._elder = make(None)
            return
        state = unframe(_MAGIC, str(window), weights)
        try:
            saved = msgspec.msgpack.decode(state, type=_Saved)
        except msgspec.MsgspecError as exc:
            raise SnapshotCorrupt(f"snapshot is not as it was saved: {exc}") from exc
        self._lessons_n = saved.lessons_n
        self._elder = make(saved.elder)
        if saved.younger is not None:
            self._younger = make(saved.younger)

    @property
    def serving(self) -> LearningPolicy:
        """The elder."""
        return self._elder

    def pmf(self, context: bytes, actions: Sequence[Action], slot: bytes = b"") -> list[float]:
        """The elder's; see `bandit.policies.base.Policy`."""
        return self._elder.pmf(context, actions, slot)

    def learn(self, lesson: Lesson) -> None:
        """Learn from one slot, and change places if it is time."""
        self._elder.learn(lesson)
        if self._younger is not None:
            self._younger.learn(lesson)
        self._lessons_n += 1
        if self._younger is None:
            if self._lessons_n == self._half:
                self._younger = self._make(None)
        elif self._lessons_n == 2 * self._half:
            self._elder, self._younger = self._younger, self._make(None)
            self._lessons_n = self._half

    def save(self) -> bytes:
        """Both models and the counter, in one frame."""
        younger = None if self._younger is None else self._younger.save()
        saved = _Saved(self._lessons_n, self._elder.save(), younger)
        return frame(_MAGIC, str(self._window), msgspec.msgpack.encode(saved))

    def digest(self) -> str:
        """SHA-256, in hex, over both models' digests and the counter."""
        younger = "" if self._younger is None else self._younger.digest()
        parts = f"{self._lessons_n} {self._elder.digest()} {younger}"
        return hashlib.sha256(parts.encode()).hexdigest()
