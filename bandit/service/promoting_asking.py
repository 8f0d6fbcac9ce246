"""What the gate asks of definitions before it looks at evidence, and which evidence that is."""

from collections.abc import Sequence

import msgspec

from bandit.errors import BadSpec, NotFound, RecordError
from bandit.service.declared import Declared
from bandit.service.defining import check as check_spec
from bandit.service.defining_experiments import running
from bandit.service.evaluation_artefact import read
from bandit.service.promoting_evaluated import judge_evaluation, unfit
from bandit.service.promoting_gate import gate_of, judge_shadow
from bandit.service.promoting_ramp import ramp_experiment
from bandit.service.promoting_records import Gate, GateCheck, PromotionPlan
from bandit.specs import BUILT_IN, AnySpec, PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.evaluations import Evaluations
from bandit.store.promotions import UNDER_WAY, Promotions
from bandit.store.reports import Scope


class Asking:
    """Asks the gate for one project."""

    def __init__(self, store: Store, seen: Definitions, promotions: Promotions) -> None:
        self._store = store
        self._seen = seen
        self._promotions = promotions

    def gate(self, surface: str, challenger: str, plan: PromotionPlan, at_ms: int) -> Gate:
        """All of it: what is declared, then the evidence.

        Raises:
            NotDeclared: No such surface or policy.
        """
        found = self._seen.get(Surface.kind, surface)
        policy = self._seen.get(PolicySpec.kind, challenger)
        spec = found.spec
        assert isinstance(spec, Surface)
        scope = Scope(spec, at_ms, from_ms=self._from_ms(surface, challenger, plan))
        checks = [*self._declared(spec, challenger, plan)]
        if not all(check.passed for check in checks):
            return _refused(scope, challenger, plan, checks)
        if plan.evaluation is not None:
            return self._by_evaluation(policy.spec, plan, scope, checks)
        return judge_shadow(
            self._store,
            scope,
            challenger,
            members=plan.segments,
            alpha=plan.alpha,
            before=checks,
        )

    def _from_ms(self, surface: str, challenger: str, plan: PromotionPlan) -> int:
        """Since when decisions are evidence: what a ramp disproved, no older log proves."""
        reverted = self._promotions.newest(surface, ["reverted"])
        ends = [step.at_ms for step in reverted if step.challenger == challenger]
        return max([plan.since_ms or 0, *ends])

    def _declared(self, surface: Surface, challenger: str, plan: PromotionPlan) -> list[GateCheck]:
        """Checks of definitions alone."""
        return [
            self._may_serve(surface, challenger, plan),
            self._is_free(surface),
            GateCheck(
                code="traffic",
                passed=not surface.killed,
                text="The kill switch is on, so nothing is tried until it is off."
                if surface.killed
                else "The surface is served.",
            ),
            *([] if plan.evaluation else [_shadowed(surface, challenger)]),
        ]

    def _may_serve(self, surface: Surface, challenger: str, plan: PromotionPlan) -> GateCheck:
        text = ""
        if challenger == surface.policy:
            text = f"{challenger} serves surface {surface.key} already."
        elif challenger in BUILT_IN:
            text = f"{challenger} is built in, and no challenger."
        else:
            text = self._unservable(surface, challenger, plan)
        return GateCheck(
            code="challenger",
            passed=not text,
            text=text or f"{challenger} would replace {surface.policy}.",
        )

    def _unservable(self, surface: Surface, challenger: str, plan: PromotionPlan) -> str:
        """What keeps the surface or the ramp from being declared; empty if nothing does."""
        every = Declared(d for d in self._seen.all() if d.spec.project == surface.project)
        try:
            check_spec(msgspec.structs.replace(surface, policy=challenger), every)
            ramp = ramp_experiment(
                surface,
                plan,
                promotion_id=self._promotions.newest_id(surface.key) + 1,
                live=surface.policy,
                challenger=challenger,
                stage=0,
                author="",
            )
            check_spec(msgspec.structs.replace(ramp, status="draft"), every)
        except BadSpec as exc:
            return f"It can not serve here: {exc}."
        return ""

    def _is_free(self, surface: Surface) -> GateCheck:
        under_way = self._promotions.newest(surface.key, UNDER_WAY)
        declared = Declared(self._seen.all())
        others = [experiment.key for experiment in running(declared, surface.key)]
        text = ""
        if under_way:
            step = under_way[0]
            text = (
                f"Promotion {step.promotion_id} of {step.challenger} is {step.state}, must end or "
                "be reverted first."
            )
        elif others:
            text = (
                f"Experiment {others[0]} is running on surface {surface.key}, must be stopped "
                "first: its units would be in the ramp, too."
            )
        return GateCheck(
            code="free", passed=not text, text=text or "Nothing else is tried on the surface."
        )

    def _by_evaluation(
        self,
        policy: AnySpec,
        plan: PromotionPlan,
        scope: Scope,
        checks: Sequence[GateCheck],
    ) -> Gate:
        """The gate over a saved evaluation."""
        assert isinstance(policy, PolicySpec)
        assert plan.evaluation is not None
        try:
            artefact = read(Evaluations(self._store).get(plan.evaluation).artefact)
        except (NotFound, RecordError) as exc:
            check = GateCheck(code="evaluated", passed=False, text=f"{str(exc).capitalize()}.")
            return _refused(scope, policy.key, plan, [*checks, check])
        text = unfit(artefact, scope, policy, self._seen)
        check = GateCheck(
            code="evaluated",
            passed=not text,
            text=text or f"Evaluation {plan.evaluation} is of this challenger on this surface.",
        )
        if text:
            return _refused(scope, policy.key, plan, [*checks, check])
        return judge_evaluation(artefact, scope, policy.key, plan, [*checks, check])


def _shadowed(surface: Surface, challenger: str) -> GateCheck:
    passed = challenger in surface.shadows
    return GateCheck(
        code="shadowed",
        passed=passed,
        text=f"{challenger} is a shadow of surface {surface.key}."
        if passed
        else f"{challenger} is no shadow of surface {surface.key}, so the log does not say what it "
        f"would have done: add it to `shadows`, or name a saved evaluation of it.",
    )


def _refused(
    scope: Scope, challenger: str, plan: PromotionPlan, checks: Sequence[GateCheck]
) -> Gate:
    """A gate that was closed before any evidence was looked at."""
    source = plan.evaluation or "shadow"
    return gate_of(
        scope, challenger, checks, alpha=plan.alpha, from_ms=scope.from_ms, source=source
    )
