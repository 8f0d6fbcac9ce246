"""Carries out steps of promotions: makes the definitions what a step says, and says who else did.

Whatever is declared here is declared against the version that was read, after a look that the step
is still the newest of its promotion: a host that is late changes nothing.
"""

import contextlib

import msgspec

from bandit.errors import BadSpec, NotDeclared, VersionConflict
from bandit.service.defining import DefinitionService
from bandit.service.promoting_ramp import ramp_experiment
from bandit.service.promoting_records import PromotionPlan
from bandit.specs import AnySpec, Experiment, Surface
from bandit.store.definitions import Definition, Definitions
from bandit.store.promotions import Promotions, PromotionStep

AUTHOR = "promotion"
"""Who makes the steps that nobody asks for, and begins the name of who declares for them."""


class Carrying:
    """The definitions of promotions."""

    def __init__(
        self, seen: Definitions, defining: DefinitionService, promotions: Promotions
    ) -> None:
        """Carry out.

        Args:
            seen: What may be looked at.
            defining: Declares.
            promotions: Says which step is the newest.
        """
        self._seen = seen
        self._defining = defining
        self._promotions = promotions

    def surface(self, key: str) -> Definition:
        """A surface as it is declared now.

        Raises:
            NotDeclared: There is none.
        """
        return self._seen.get(Surface.kind, key)

    def experiment(self, step: PromotionStep) -> Definition | None:
        """The experiment of a ramp; None if there is none."""
        if not step.experiment:
            return None
        try:
            return self._seen.get(Experiment.kind, step.experiment)
        except NotDeclared:
            return None

    def overtaken(self, step: PromotionStep) -> str:
        """Who changed the surface or the experiment meanwhile; empty if nobody did."""
        surface = self.surface(step.surface)
        assert isinstance(surface.spec, Surface)
        if surface.spec.policy != step.live:
            return (
                f"{surface.author} gave the surface policy {surface.spec.policy!r} at version "
                f"{surface.version}, so it is not {step.live!r} any more that is to be replaced."
            )
        found = self.experiment(step)
        if found is not None:
            assert isinstance(found.spec, Experiment)
            if not _serves(found.spec, step):
                return f"Experiment {found.key!r} is another one, declared by {found.author}."
            if found.spec.status != "running":
                return f"{found.author} has {found.spec.status} experiment {found.key!r}."
        return ""

    def ramp(self, step: PromotionStep) -> None:
        """Let the experiment serve the challenger to the stage's share."""
        wanted = self._wanted(step)
        found = self.experiment(step)
        if found is not None and found.spec == wanted:
            return
        if found is not None and self.overtaken(step):
            return  # the next pass abandons it
        self._put(step, wanted, expected=found.version if found else None)

    def serve(
        self, step: PromotionStep, policy: str, *, instead_of: str, anew: bool = False
    ) -> bool:
        """Give the surface a policy in place of the one it has; whether it has it then.

        The one that goes stays as a shadow, so that the log goes on telling what it would do.

        Args:
            step: Why.
            policy: That it is to have.
            instead_of: That it may have; any other was given by hand, and stays.
            anew: Make a version even if the surface has the policy: a host that is still about to
                land what is being taken back holds the version before, and is refused.
        """
        current = self.surface(step.surface)
        surface = current.spec
        assert isinstance(surface, Surface)
        if surface.policy == policy and not anew:
            return True
        if surface.policy not in (policy, instead_of):
            return False
        shadows = [key for key in surface.shadows if key not in (policy, instead_of)]
        changed = msgspec.structs.replace(surface, policy=policy, shadows=[*shadows, instead_of])
        self._put(step, changed, expected=current.version)
        return True

    def stop(self, step: PromotionStep) -> None:
        """Let the experiment of a ramp serve nobody any more."""
        if not step.experiment:
            return
        found = self.experiment(step)
        if found is None:
            # Whoever is still about to declare it, for a step before, is refused.
            draft = msgspec.structs.replace(self._wanted(step), status="draft")
            with contextlib.suppress(BadSpec):  # then nobody can declare it
                self._put(step, draft, expected=None)
            return
        assert isinstance(found.spec, Experiment)
        # Whoever touched it last: what serves the challenger for us ends with us.
        if found.spec.status == "running" and _serves(found.spec, step):
            self._put(
                step,
                msgspec.structs.replace(found.spec, status="stopped"),
                expected=found.version,
            )

    def _put(self, step: PromotionStep, spec: AnySpec, *, expected: int | None) -> None:
        """Declare something for a step, unless another step was made meanwhile."""
        newest = self._promotions.steps(step.surface, step.promotion_id)[-1]
        if newest.change_id != step.change_id:
            raise VersionConflict(
                "promotion",
                f"{step.surface}/{step.promotion_id}",
                have=newest.seq,
                given=step.seq,
            )
        author = f"{AUTHOR} {step.promotion_id} ({step.author})"
        self._defining.put(spec, expected=expected, author=author)

    def _wanted(self, step: PromotionStep) -> Experiment:
        """The experiment of a step's ramp, as it is to be."""
        surface = self.surface(step.surface).spec
        assert isinstance(surface, Surface)
        return ramp_experiment(
            surface,
            plan_of(step),
            promotion_id=step.promotion_id,
            live=step.live,
            challenger=step.challenger,
            stage=step.stage,
            author=self._promotions.steps(step.surface, step.promotion_id)[0].author,
        )


def _serves(experiment: Experiment, step: PromotionStep) -> bool:
    return {v.policy for v in experiment.variants} == {step.live, step.challenger}


def plan_of(step: PromotionStep) -> PromotionPlan:
    """How a promotion was asked for."""
    return msgspec.json.decode(step.plan, type=PromotionPlan)
