"""Worlds with several slots: where users look, what they click, and what that is worth exactly."""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

import msgspec
import numpy as np
from scipy.optimize import linear_sum_assignment

from bandit.records import Action

SEGMENTS = ("student", "engineer", "artist", "retired")
TOPICS = ("go", "chess", "film", "travel", "food", "music")
FORMATS = ("banner", "text")


class ClickModel(Protocol):
    """From the appeal of what each slot shows to clicks."""

    def expected(self, appeals: Sequence[float]) -> list[float]:
        """Probability of a click on each slot."""
        ...

    def clicks(self, appeals: Sequence[float], rng: np.random.Generator) -> list[float]:
        """Clicks drawn from it, 1 or 0 per slot."""
        ...


class ByPosition(NamedTuple):
    """Each slot is looked at by itself, the lower the less: P(click) = look[slot] · appeal.

    Source: Craswell et al. (2008), "An experimental comparison of click position-bias models",
    the examination hypothesis.
    """

    look: tuple[float, ...] = (1.0, 0.6, 0.4, 0.25)

    def expected(self, appeals: Sequence[float]) -> list[float]:
        """Probability of a click on each slot."""
        return [look * appeal for look, appeal in zip(self.look, appeals, strict=False)]

    def clicks(self, appeals: Sequence[float], rng: np.random.Generator) -> list[float]:
        """Clicks of each slot for itself."""
        return [float(rng.random() < p) for p in self.expected(appeals)]


class Cascade(NamedTuple):
    """Users look from the top, stop at their first click, and lose interest on the way.

    Source: Craswell et al. (2008), the cascade model, with `goes_on` as in Guo et al. (2009),
    "Efficient multiple-click models in web search".
    """

    goes_on: float = 0.85

    def expected(self, appeals: Sequence[float]) -> list[float]:
        """Probability of the one click on each slot."""
        looks, found = 1.0, []
        for appeal in appeals:
            found.append(looks * appeal)
            looks *= (1.0 - appeal) * self.goes_on
        return found

    def clicks(self, appeals: Sequence[float], rng: np.random.Generator) -> list[float]:
        """At most one click."""
        clicks = [0.0] * len(appeals)
        for slot, appeal in enumerate(appeals):
            if rng.random() < appeal:
                clicks[slot] = 1.0
                break
            if rng.random() >= self.goes_on:
                break
        return clicks


class SlotRound(NamedTuple):
    """One request with its whole truth.

    Attributes:
        appeal: Per slot, `(k,)` the probability that an action is clicked there if looked at.
    """

    context: bytes
    actions: tuple[Action, ...]
    slot_features: tuple[bytes, ...]
    appeal: tuple[tuple[float, ...], ...]
    model: ClickModel

    def appeals(self, ranking: Sequence[int]) -> list[float]:
        """Appeal of each slot's action."""
        return [self.appeal[slot][index] for slot, index in enumerate(ranking)]

    def expected(self, ranking: Sequence[int]) -> list[float]:
        """Probability of a click on each slot of a ranking."""
        return self.model.expected(self.appeals(ranking))

    def best(self) -> float:
        """Clicks that the best ranking gets on average."""
        appeal = np.array(self.appeal)
        if isinstance(self.model, ByPosition):
            value = appeal * np.array(self.model.look[: len(appeal)])[:, None]
            return float(value[linear_sum_assignment(value, maximize=True)].sum())
        order = np.argsort(-appeal[0], kind="stable")[: len(appeal)]
        return float(sum(self.expected(order.tolist())))


class SlotWorld:
    """Segments of users with tastes, items of topics and formats, slots of formats.

    `appeal = highest / (1 + exp(−quality[item] − taste[segment, topic of the item]))`, times
    `misfit` where the slot's format is not the item's.

    Args:
        name: What tables call it.
        model: How users look and click.
        formats: Format of each slot.
        misfit: 1 for slots that do not differ.
        seed: Makes tastes and items; rounds have a generator of their own.
        items_n, offered_n: How many items there are, and candidates in a round.
    """

    def __init__(
        self,
        name: str,
        model: ClickModel,
        *,
        formats: Sequence[str] = ("text",) * 4,
        misfit: float = 1.0,
        seed: int = 1,
        items_n: int = 24,
        offered_n: int = 8,
    ) -> None:
        rng = np.random.default_rng(seed)
        self.name = name
        self.slots_n = len(formats)
        self._model = model
        self._offered_n = offered_n
        topics = rng.integers(len(TOPICS), size=items_n)
        format_of = np.arange(items_n) % len(FORMATS)
        taste = rng.normal(0.0, 1.5, size=(len(SEGMENTS), len(TOPICS)))
        quality = rng.normal(-1.0, 0.7, size=items_n)
        appeal = 0.7 / (1.0 + np.exp(-(quality + taste[:, topics])))
        wanted = np.array([FORMATS.index(name) for name in formats])
        fits = np.where(wanted[:, None] == format_of[None, :], 1.0, misfit)
        self._appeal = appeal[:, None, :] * fits[None, :, :]  # (segments, slots, items)
        self._items = [
            Action.of(f"item-{n}", topic=TOPICS[topics[n]], format=FORMATS[format_of[n]])
            for n in range(items_n)
        ]
        self._contexts = [msgspec.json.encode({"segment": segment}) for segment in SEGMENTS]
        self._slot_features = tuple(msgspec.json.encode({"format": name}) for name in formats)

    def round_of(self, segment: int, offered: Sequence[int]) -> SlotRound:
        """The round in which a segment is offered some items."""
        return SlotRound(
            context=self._contexts[segment],
            actions=tuple(self._items[item] for item in offered),
            slot_features=self._slot_features,
            appeal=tuple(
                tuple(self._appeal[segment, slot, list(offered)].tolist())
                for slot in range(self.slots_n)
            ),
            model=self._model,
        )

    def rounds(self, rng: np.random.Generator) -> Iterator[SlotRound]:
        """Rounds without end: a random segment, random items."""
        while True:
            segment = int(rng.integers(len(SEGMENTS)))
            items = rng.choice(len(self._items), size=self._offered_n, replace=False)
            yield self.round_of(segment, items.tolist())

    def every_round(self) -> list[SlotRound]:
        """Each segment once, offered the first items: a world small enough to add up."""
        return [self.round_of(s, range(self._offered_n)) for s in range(len(SEGMENTS))]


def slot_worlds() -> list[SlotWorld]:
    """The worlds that the slot models are compared in."""
    return [
        SlotWorld("position bias", ByPosition()),
        SlotWorld("cascade", Cascade()),
        SlotWorld(
            "slots differ",
            ByPosition((1.0, 0.8, 0.6, 0.5)),
            formats=("banner", "text", "text", "banner"),
            misfit=0.3,
        ),
    ]
