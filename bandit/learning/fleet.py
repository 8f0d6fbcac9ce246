"""All learners of one process, found among the definitions."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping

from bandit.errors import BanditError, StoreUnavailable
from bandit.learning.learner import Learner, LearnStep, Task
from bandit.logs import event
from bandit.specs import PolicySpec
from bandit.store.definitions import Definition, Definitions

log = logging.getLogger(__name__)

LOOK_S = 1.0
"""How often to look for changed definitions."""
REST_S = 5.0
"""How long a learner that failed is left alone."""


class Fleet:
    """Gives every learning policy a learner, also those declared later; steps them in turn."""

    def __init__(
        self,
        policies: Collection[str],
        *,
        definitions: Definitions,
        hire: Callable[[Task], Learner],
        now_ms: Callable[[], int],
        erasures: Callable[[], Mapping[str, int]] = dict,
    ) -> None:
        """No learner yet.

        Args:
            policies: Only these; empty: every policy that learns.
            definitions: Looked at every second.
            hire: Makes a learner for a task.
            now_ms: The time now.
            erasures: How many erasures each policy underwent; looked at as often.
        """
        self._policies = frozenset(policies)
        self._definitions = definitions
        self._hire = hire
        self._now_ms = now_ms
        self._erasures = erasures
        self._revision: tuple[int, Mapping[str, int]] | None = None
        self._looked_ms = -int(LOOK_S * 1000)
        self._learners: dict[str, Learner] = {}
        self._said: dict[str, str] = {}  # by policy: what was last complained about
        self._rests_until_ms: dict[str, int] = {}

    @property
    def learners(self) -> dict[str, Learner]:
        """By policy."""
        return dict(self._learners)

    def step(self, *, finish: bool = False) -> dict[str, LearnStep]:
        """Step every learner once.

        A learner that fails for reasons of its own does not keep the others from theirs: what it
        says is logged, and it is stepped again after a rest.

        Args:
            finish: Publish whatever can be published now.

        Raises:
            StoreUnavailable: Try again later.
        """
        self._follow_definitions()
        done: dict[str, LearnStep] = {}
        for key, learner in self._learners.items():
            if self._now_ms() < self._rests_until_ms.get(key, 0):
                continue
            try:
                done[key] = learner.step(finish=finish)
            except StoreUnavailable:
                raise
            except BanditError as exc:
                self._say(key, f"can not learn: {exc}")
                self._rests_until_ms[key] = self._now_ms() + int(REST_S * 1000)
            else:
                self._said.pop(key, None)
        return done

    def _follow_definitions(self) -> None:
        now_ms = self._now_ms()
        if 0 <= now_ms - self._looked_ms < LOOK_S * 1000:
            return
        revision = (self._definitions.revision(), self._erasures())
        self._looked_ms = now_ms
        if revision == self._revision:
            return
        tasks = dict(self._tasks(self._definitions.all(), revision[1]))
        for key in self._learners.keys() - tasks.keys():
            del self._learners[key]
        for key, task in tasks.items():
            if key in self._learners:
                self._learners[key].redeclare(task)
            else:
                self._learners[key] = self._hire(task)
        self._revision = revision

    def _tasks(
        self, definitions: list[Definition], erasures: Mapping[str, int]
    ) -> Iterator[tuple[str, Task]]:
        surfaces = {d.key: d for d in definitions if d.kind == "surface"}
        policies = {d.key: d for d in definitions if isinstance(d.spec, PolicySpec)}
        for key in self._policies - policies.keys():
            self._say(key, "is not declared yet")
        for key, definition in policies.items():
            spec = definition.spec
            if not isinstance(spec, PolicySpec) or (self._policies and key not in self._policies):
                continue
            surface = surfaces.get(spec.surface or "")
            if not spec.learns:
                if key in self._policies:
                    self._say(key, f"is of type {spec.type}, which does not learn")
            elif surface is None:
                self._say(key, f"waits for surface {spec.surface!r} to be declared")
            else:
                yield key, Task.of(definition, surface, erasures.get(key, 0))

    def _say(self, policy: str, what: str) -> None:
        """Log a complaint unless it is the one that was logged last."""
        if self._said.get(policy) != what:
            self._said[policy] = what
            log.warning("policy=%s %s", policy, what, extra=event("learner_complains"))
