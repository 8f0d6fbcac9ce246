"""Personalizer's "learning loop" as a surface and its policies: configuration, settings, model.

| Personalizer | here |
| --- | --- |
| reward wait time, default reward | the surface's join window, default reward |
| reward aggregation `earliest`, `sum` | aggregation `first`, `sum` (others under their own names) |
| exploration percentage | the learned policy's floor times the surface's `max_actions` |
| learning mode `Online` | the surface serves the learned policy |
| learning mode `Apprentice` | it serves a `fixed` one, the learned one is its first shadow |
| learning settings | the learned policy: its key and its arguments |
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Literal, NamedTuple

import msgspec

from bandit.errors import BadSpec, RecordError
from bandit.service.defining import DefinitionService
from bandit.service.durations import duration_s, iso_duration
from bandit.service.serving_state import Serving
from bandit.specs import AnySpec, PolicySpec, Surface
from bandit.store.definitions import Definition
from bandit.wire import Key

AUTHOR = "personalizer"
Aggregation = Literal["sum", "first", "last", "mean", "max", "min"]
_AGGREGATIONS: dict[str, Aggregation] = {
    "earliest": "first",
    "sum": "sum",
    "last": "last",
    "mean": "mean",
    "max": "max",
    "min": "min",
}
_NAMES = {ours: theirs for theirs, ours in _AGGREGATIONS.items()}


class ServiceConfiguration(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A learning loop's configuration.

    Attributes:
        exploration_percentage: In [0, 1].
        model_export_frequency, model_retrain_days, log_retention_days: Shown as they are here:
            snapshots serve within about a second, the whole log is kept and learned from.
    """

    reward_wait_time: str
    default_reward: float
    reward_aggregation: str
    exploration_percentage: float
    model_export_frequency: str = "PT1S"
    log_retention_days: int = -1
    model_retrain_days: int = 0
    last_configuration_edit_date: str | None = None
    learning_mode: str | None = "Online"
    is_auto_optimization_enabled: bool | None = False
    log_mirror_enabled: bool | None = False


class LearningSettings(msgspec.Struct, frozen=True, kw_only=True):
    """The learned policy: its key and Vowpal Wabbit's options."""

    name: Key
    arguments: str


class ModelProperties(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """When the learned policy was declared, and when what serves of it was learned."""

    creation_time: str
    last_modified_time: str


class _Loop(NamedTuple):
    """A surface and its learned policy, as declared now.

    Attributes:
        shadowing: The learned policy does not serve.
    """

    surface: Definition
    spec: Surface
    policy: Definition
    learned: PolicySpec
    shadowing: bool


class LoopService:
    """Shows and changes learning loops; every call may block."""

    def __init__(self, defining: DefinitionService, serving: Serving, author: str = AUTHOR) -> None:
        self._defining = defining
        self._serving = serving
        self._author = author

    def of(self, project: str | None, client: str) -> "LoopService":
        """The loops of one project, changed by a client; all of them, by nobody in particular."""
        if project is None:
            return self
        return LoopService(self._defining.of(project), self._serving, client)

    def configuration(self, surface: str) -> ServiceConfiguration:
        """The configuration of a loop.

        Raises:
            NotDeclared: No such surface.
            BadSpec: Nothing learns there.
        """
        loop = self._loop(surface)
        return ServiceConfiguration(
            reward_wait_time=iso_duration(loop.spec.join_window_s),
            default_reward=loop.spec.default_reward,
            reward_aggregation=_NAMES[loop.spec.aggregation],
            exploration_percentage=round(loop.learned.floor * loop.spec.max_actions, 12),
            last_configuration_edit_date=iso_time(
                max(loop.surface.created_ms, loop.policy.created_ms)
            ),
            learning_mode="Apprentice" if loop.shadowing else "Online",
        )

    def configure(self, surface: str, given: ServiceConfiguration) -> ServiceConfiguration:
        """Change a loop, and show what it is then.

        Raises:
            NotDeclared, BadSpec: As for `configuration`, or what is asked for can not be.
            VersionConflict: Somebody else changed it at the same time.
        """
        loop = self._loop(surface)
        _check_offered(given)
        share = given.exploration_percentage
        if not 0.0 <= share <= 1.0:
            raise RecordError(
                f"explorationPercentage is {share!r}, must be in [0, 1] - "
                "at `$.explorationPercentage`"
            )
        spec = msgspec.structs.replace(
            loop.spec,
            join_window_s=duration_s(given.reward_wait_time),
            default_reward=given.default_reward,
            aggregation=_aggregation(given.reward_aggregation),
        )
        if share != round(loop.learned.floor * loop.spec.max_actions, 12):
            floor = share / loop.spec.max_actions
            self._put(msgspec.structs.replace(loop.learned, floor=floor), loop.policy)
        self._serve(loop, spec, loop.learned.key, _shadowing(given, loop))
        return self.configuration(surface)

    def settings(self, surface: str) -> LearningSettings:
        """The learned policy; raises what `configuration` raises."""
        learned = self._loop(surface).learned
        return LearningSettings(name=learned.key, arguments=learned.arguments)

    def set_settings(self, surface: str, given: LearningSettings) -> LearningSettings:
        """Learn with other settings: under another key, for a policy never changes what it is.

        Raises:
            NotDeclared, BadSpec: As for `configuration`; or the name stands for other arguments.
            VersionConflict: Somebody else changed it at the same time.
        """
        loop = self._loop(surface)
        wanted = msgspec.structs.replace(
            loop.learned,
            key=given.name,
            type="vw",
            arguments=given.arguments,
            parameters={},
            parts=[],
            description="learning settings given by Personalizer's protocol",
        )
        there = self._current(wanted)
        if there is None:
            self._put(wanted, None)
        elif (there.spec.arguments, there.spec.surface) != (given.arguments, surface):  # type: ignore[union-attr]
            raise BadSpec(
                f"policy {given.name!r} is declared with other arguments, must keep them: "
                "give the settings another name"
            )
        self._serve(loop, loop.spec, given.name, loop.shadowing)
        return self.settings(surface)

    def reset_settings(self, surface: str) -> LearningSettings:
        """Learn with Vowpal Wabbit's defaults; raises what `set_settings` raises."""
        return self.set_settings(
            surface, LearningSettings(name=f"{surface[:92]}.default", arguments="")
        )

    def model(self, surface: str) -> ModelProperties:
        """When the learned policy was made; raises what `configuration` raises."""
        loop = self._loop(surface)
        serving = self._serving.state.policies.get(loop.learned.key)
        learned_ms = serving.created_ms if serving else 0
        return ModelProperties(
            creation_time=iso_time(loop.policy.created_ms),
            last_modified_time=iso_time(learned_ms or loop.policy.created_ms),
        )

    def _loop(self, surface: str) -> _Loop:
        """The surface and the policy that learns there: the one that serves, or else a shadow."""
        declared = self._defining.get(Surface.kind, surface)
        spec = declared.spec
        assert isinstance(spec, Surface)
        for place, key in enumerate((spec.policy, *spec.shadows)):
            policy = self._defining.get(PolicySpec.kind, key)
            assert isinstance(policy.spec, PolicySpec)
            if policy.spec.learns:
                return _Loop(declared, spec, policy, policy.spec, shadowing=place > 0)
        raise BadSpec(
            f"surface {surface!r} serves {spec.policy!r}, and nothing that learns is there: "
            "it must serve or shadow a policy that learns"
        )

    def _serve(self, loop: _Loop, spec: Surface, learned: str, shadowing: bool) -> None:
        """Put `learned` in the place of the loop's learned policy, in that mode."""
        others = [key for key in spec.shadows if key not in (loop.learned.key, learned)]
        if not shadowing:
            policy, shadows = learned, others
        else:
            policy = spec.policy if loop.shadowing else self._baseline(spec)
            shadows = [learned, *others]
        wanted = msgspec.structs.replace(spec, policy=policy, shadows=shadows)
        if wanted != loop.spec:
            self._put(wanted, loop.surface)

    def _baseline(self, surface: Surface) -> str:
        """A policy that keeps the offered order."""
        spec = PolicySpec(key=f"{surface.key[:91]}.baseline", type="fixed", project=surface.project)
        if self._current(spec) is None:
            self._put(spec, None)
        return spec.key

    def _current(self, spec: AnySpec) -> Definition | None:
        return self._defining.current(spec)

    def _put(self, spec: AnySpec, before: Definition | None) -> None:
        self._defining.put(spec, expected=before.version if before else None, author=self._author)


def iso_time(ms: int) -> str:
    """A time as ISO 8601 in UTC.

    >>> iso_time(0)
    '1970-01-01T00:00:00.000Z'
    """
    text = datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    return text.replace("+00:00", "Z")


def _aggregation(given: str) -> Aggregation:
    found = _AGGREGATIONS.get(given.lower())
    if found is None:
        raise RecordError(
            f"rewardAggregation is {given[:64]!r}, must be one of {sorted(_AGGREGATIONS)} - "
            "at `$.rewardAggregation`"
        )
    return found


def _shadowing(given: ServiceConfiguration, loop: _Loop) -> bool:
    if given.learning_mode is None:
        return loop.shadowing
    modes = {"online": False, "apprentice": True}
    if given.learning_mode.lower() not in modes:
        raise RecordError(
            f"learningMode is {given.learning_mode[:64]!r}, must be 'Online' or 'Apprentice': what "
            "only logs is a surface that serves a fixed policy - at `$.learningMode`"
        )
    return modes[given.learning_mode.lower()]


def _check_offered(given: ServiceConfiguration) -> None:
    refused: Sequence[tuple[bool | None, str, str]] = (
        (given.log_mirror_enabled, "logMirrorEnabled", "the log is your own: `bandit export`"),
        (
            given.is_auto_optimization_enabled,
            "isAutoOptimizationEnabled",
            "name other policies as shadows, and compare them in the surface's report",
        ),
    )
    for asked, name, instead in refused:
        if asked:
            raise RecordError(f"{name} is true, must be false here: {instead} - at `$.{name}`")
