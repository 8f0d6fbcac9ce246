"""What a report asks of each unit of an experiment, compiled to parameters of named SQL.

A plan is a table of *entries*. An entry adds up the events of one stream (a name of rewards, or of
outcomes; '' is all of them) in a range of values and of time since the unit's first decision or
assignment; what a unit has of it are three numbers that add: the sum, how many, and what it divides
by. Entries come in blocks of one per metric, so that the store's arrays line up:

| block | holds | there if |
| --- | --- | --- |
| 0 | the metrics themselves | always |
| 1 | the same before the first decision: their own covariates | any metric has some |
| 2, 3 … | other metrics before it | a metric names as many |

A metric that has nothing in a block has an entry there that takes no event.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from bandit.errors import NotDeclared, RecordError
from bandit.specs import Experiment, Metric, Surface
from bandit.store.numbers import FORMAT, Column
from bandit.store.reports import Scope, joining

ANY = 1e300
"""Wider than any value that is accepted."""
EVER_MS = 1 << 60
"""Longer than any experiment."""
NO_STREAM = 0
REPEATED_MS = 2 * 3_600_000
"""Two rows of one event are at most so far apart: the time in its id is within the hour of both."""
_WORDS_ONLY = ("description", "better", "margin", "margin_scale")
_KINDS = {
    "sum": "sum",
    "count": "count",
    "mean": "mean",
    "proportion": "any",
    "retention": "any",
    "ratio": "sum",
    "quantile": "sum",
}
_NUMBERED = {"sum": 0, "count": 1, "any": 2, "mean": 3, "share": 4}


class Events(NamedTuple):
    """Which events are added up: a stream by its source and name, in a range of values."""

    source: str
    name: str
    low: float = -ANY
    high: float = ANY


class Entry(NamedTuple):
    """One thing that is added up for every unit.

    Attributes:
        events: Which; None: none.
        since_ms, until_ms: When, after the unit's first decision or assignment; half-open.
        kind: What its value is: `sum`, `count`, `any` (1 or 0), `mean` (of the events), `share`
            (the sum over the divisor).
        over: What the divisor adds up, over the same time.
        over_counts: Whether the divisor counts these, and does not add up their values.
    """

    events: Events | None
    since_ms: int = 0
    until_ms: int = EVER_MS
    kind: str = "sum"
    over: Events | None = None
    over_counts: bool = True


_DECISIONS = Events("reward", "")
_NOTHING = Entry(None)


class UnitPlan(NamedTuple):
    """What is added up for the units of one experiment.

    Attributes:
        experiment, surface: As they were declared.
        metrics: Whose numbers come out, in order.
        blocks: Entries, one per metric each.
        generation: Digest of everything the numbers depend on.
    """

    experiment: Experiment
    surface: Surface | None
    metrics: tuple[Metric, ...]
    blocks: tuple[tuple[Entry, ...], ...]
    generation: str

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        surface: Surface | None,
        metrics: Sequence[Metric],
        covariate_metrics: Mapping[str, Metric],
    ) -> "UnitPlan":
        """Compile an experiment's metrics.

        Args:
            experiment: Whose units.
            surface: The experiment's, with the reward rules that hold; None if it has none.
            metrics: Those to report, in order: primary, secondary, guardrails.
            covariate_metrics: By key, those that any of them names in `covariates`.

        Raises:
            RecordError: A metric of rewards, of an experiment without a surface; or the surface is
                another one than the experiment's.
            NotDeclared: A covariate is not in `covariate_metrics`.
        """
        if (surface.key if surface else None) != experiment.surface:
            raise RecordError(
                f"surface is {surface.key if surface else None!r}, must be the experiment's: "
                f"{experiment.surface!r}"
            )
        others = [_others(metric, covariate_metrics) for metric in metrics]
        for metric in (*metrics, *(other for found in others for other in found)):
            _check(metric, surface)
        blocks = [tuple(_main(metric) for metric in metrics)]
        depth = max(map(len, others), default=0)
        if depth or any(metric.covariate_window_s is not None for metric in metrics):
            blocks.append(tuple(_before(metric, metric, own=True) for metric in metrics))
        blocks += [
            tuple(
                _before(found[at], metric, own=False) if at < len(found) else _NOTHING
                for metric, found in zip(metrics, others, strict=True)
            )
            for at in range(depth)
        ]
        generation = _digest(experiment, surface, metrics, others)
        return cls(experiment, surface, tuple(metrics), tuple(blocks), generation)

    @property
    def reach_ms(self) -> int:
        """How long before a unit's first decision anything of it may count."""
        return max((-e.since_ms for e in self._entries if e.since_ms < 0), default=0)

    @property
    def has_caps(self) -> bool:
        """Whether any metric has a cap, given or to be found."""
        return any(m.cap is not None or m.cap_quantile is not None for m in self.metrics)

    @property
    def finds_caps(self) -> bool:
        """Whether any metric has a cap that is to be found."""
        return any(metric.cap_quantile is not None for metric in self.metrics)

    @property
    def has_divisors(self) -> bool:
        """Whether any metric is a ratio."""
        return any(metric.type == "ratio" for metric in self.metrics)

    @property
    def has_covariate_divisors(self) -> bool:
        """Whether any of those has a covariate of its own."""
        return any(
            metric.type == "ratio" and metric.covariate_window_s is not None
            for metric in self.metrics
        )

    def columns(self, metric: Metric) -> tuple[tuple[Column, int], ...]:
        """Columns of a metric's joint moments, and which block of the answer each is from."""
        blocks = self._answered()
        own: list[tuple[Column, str]] = [("value", "value")]
        if metric.cap is not None or metric.cap_quantile is not None:
            own.append(("uncapped", "uncapped"))
        if metric.type == "ratio":
            own.append(("denominator", "denominator"))
        if metric.covariate_window_s is not None:
            own.append(("covariate", "covariate"))
            if metric.type == "ratio":
                own.append(("covariate_denominator", "covariate_denominator"))
        own += [(f"covariate:{key}", f"other {at}") for at, key in enumerate(metric.covariates)]
        return tuple((column, blocks.index(block)) for column, block in own)

    def _answered(self) -> list[str]:
        """The blocks of columns that the store answers, in its order."""
        return [
            "value",
            *(["uncapped"] if self.has_caps else []),
            *(["denominator"] if self.has_divisors else []),
            *(["covariate"] if len(self.blocks) > 1 else []),
            *(f"other {at}" for at in range(len(self.blocks) - 2)),
            *(["covariate_denominator"] if self.has_covariate_divisors else []),
        ]

    @property
    def blocks_n(self) -> int:
        """How many blocks of columns the store answers."""
        return len(self._answered())

    @property
    def _entries(self) -> list[Entry]:
        return [entry for block in self.blocks for entry in block]

    @property
    def _streams(self) -> tuple[list[str], list[str]]:
        """Names of rewards, and of outcomes, that anything is added up of."""
        events = {e for entry in self._entries for e in (entry.events, entry.over) if e is not None}
        return (
            sorted({e.name for e in events if e.source == "reward"}),
            sorted({e.name for e in events if e.source == "outcome"}),
        )

    def joined(self) -> dict[str, object]:
        """Parameters of whose decisions these are, and of how rewards join them."""
        surface = self.surface or Surface(key=" ", policy=" ")
        rules = joining(Scope(surface, 0))
        del rules["from_ms"], rules["through_ms"]
        key = self.surface.key if self.surface else ""
        return rules | {"surface": key, "experiment": self.experiment.key}

    def added(self) -> dict[str, object]:
        """Parameters of what is added up."""
        rewards, outcomes = self._streams
        numbered = {("reward", name): at for at, name in enumerate(rewards, 1)}
        numbered |= {("outcome", name): at for at, name in enumerate(outcomes, len(rewards) + 1)}
        entries = self._entries
        taken = [entry.events or Events("", "") for entry in entries]
        over = [entry.over or Events("", "") for entry in entries]
        return self.joined() | {
            "project": self.experiment.project,
            "reward_names": rewards,
            "outcome_names": outcomes,
            "streams": [numbered.get((e.source, e.name), NO_STREAM) for e in taken],
            "lows": [e.low for e in taken],
            "highs": [e.high for e in taken],
            "sinces": [entry.since_ms for entry in entries],
            "untils": [entry.until_ms for entry in entries],
            "over_streams": [numbered.get((e.source, e.name), NO_STREAM) for e in over],
            "over_lows": [e.low for e in over],
            "over_highs": [e.high for e in over],
            "over_counts": [int(entry.over_counts) for entry in entries],
            "with_counts": any(entry.kind in ("count", "any", "mean") for entry in entries),
            "with_overs": any(entry.over is not None for entry in entries),
            "paths": [name.split(".") for name in self.experiment.segments],
        }

    def judged(self) -> dict[str, object]:
        """Parameters of who counts for which metric."""
        ends = [0 if m.window_s is None else _ms(m.from_s) + _ms(m.window_s) for m in self.metrics]
        bots = self.experiment.bot_decisions
        return self.added() | {
            "kinds": [_NUMBERED[entry.kind] for entry in self._entries],
            "ends": ends,
            "of_rewards": [int(metric.source == "reward") for metric in self.metrics],
            "bot_decisions": (1 << 63) if bots is None else bots,
        }


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _check(metric: Metric, surface: Surface | None) -> None:
    over = "outcome" if metric.denominator is None else metric.denominator.source
    for source in (metric.source, over):
        if surface is None and source != "outcome":
            raise RecordError(
                f"metric {metric.key!r} is of {source}s, must be of outcomes: the experiment has "
                "no surface"
            )


def _others(metric: Metric, declared: Mapping[str, Metric]) -> list[Metric]:
    missing = [key for key in metric.covariates if key not in declared]
    if missing:
        raise NotDeclared("metric", missing[0])
    return [declared[key] for key in metric.covariates]


def _events(metric: Metric) -> Events:
    low = -ANY if metric.at_least is None else metric.at_least
    high = ANY if metric.at_most is None else metric.at_most
    return Events(metric.source, metric.name, low, high)


def _over(metric: Metric) -> tuple[Events | None, bool]:
    """What a metric divides by, and whether it is counted."""
    if metric.per == "decision":
        return _DECISIONS, True
    given = metric.denominator
    if given is None:
        return None, True
    if given.source == "decision":
        return _DECISIONS, True
    low = -ANY if given.at_least is None else given.at_least
    high = ANY if given.at_most is None else given.at_most
    return Events(given.source, given.name, low, high), given.type == "count"


def _main(metric: Metric) -> Entry:
    since_ms = _ms(metric.from_s)
    until_ms = EVER_MS if metric.window_s is None else since_ms + _ms(metric.window_s)
    over, counts = _over(metric)
    kind = "share" if metric.per == "decision" else _KINDS[metric.type]
    return Entry(_events(metric), since_ms, until_ms, kind, over, counts)


def _before(metric: Metric, of: Metric, *, own: bool) -> Entry:
    """A metric before the first decision, as a covariate of a metric (itself, if `own`)."""
    if of.covariate_window_s is None:
        return _NOTHING
    over, counts = _over(metric)
    is_share = metric.per == "decision" or (metric.type == "ratio" and not own)
    kind = "share" if is_share else _KINDS[metric.type]
    return Entry(_events(metric), -_ms(of.covariate_window_s), 0, kind, over, counts)


def _digest(
    experiment: Experiment,
    surface: Surface | None,
    metrics: Sequence[Metric],
    others: Iterable[Sequence[Metric]],
) -> str:
    """Of all definitions that numbers depend on."""
    of_metrics = [
        [{k: v for k, v in msgspec.to_builtins(m).items() if k not in _WORDS_ONLY} for m in found]
        for found in (metrics, *others)
    ]
    rules = None if surface is None else joining(Scope(surface, 0))
    told = msgspec.json.encode(
        {
            "format": FORMAT,
            "experiment": [experiment.key, experiment.project, experiment.surface],
            "segments": experiment.segments,
            "bot_decisions": experiment.bot_decisions,
            "metrics": of_metrics,
            "rules": rules,
        },
        order="sorted",
    )
    return hashlib.sha256(told).hexdigest()[:32]
