"""What the gate asks before it looks at the log, and where its evidence comes from."""

from collections.abc import Sequence

import msgspec

from bandit.errors import BadSpec, NotDeclared, NotFound, RecordError
from bandit.service.declared import Declared
from bandit.service.defining import check as check_spec
from bandit.service.defining_experiments import running
from bandit.service.evaluation_artefact import Artefact, read
from bandit.service.promoting_gate import BARRING, judge_shadow
from bandit.service.promoting_ramp import ramp_experiment
from bandit.service.promoting_records import Gate, GateCheck, GateSegment, PromotionPlan
from bandit.service.reporting_words import duration, number
from bandit.specs import BUILT_IN, PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.evaluations import Evaluations
from bandit.store.numbers_surface import RULES
from bandit.store.promotions import UNDER_WAY, Promotions
from bandit.store.reports import Scope

OLDEST_EVALUATION_MS = 7 * 86_400_000
"""An evaluation that is older tells of a surface that may be another one by now."""


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
            return self._by_evaluation(found, policy, plan, scope, checks)
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
        found: Definition,
        policy: Definition,
        plan: PromotionPlan,
        scope: Scope,
        checks: Sequence[GateCheck],
    ) -> Gate:
        """The gate over a saved evaluation."""
        assert plan.evaluation is not None
        try:
            artefact = read(Evaluations(self._store).get(plan.evaluation).artefact)
        except (NotFound, RecordError) as exc:
            check = GateCheck(code="evaluated", passed=False, text=f"{str(exc).capitalize()}.")
            return _refused(scope, policy.key, plan, [*checks, check])
        text = self._unfit(artefact, found, policy, scope)
        check = GateCheck(
            code="evaluated",
            passed=not text,
            text=text or f"Evaluation {plan.evaluation} is of this challenger on this surface.",
        )
        if text:
            return _refused(scope, policy.key, plan, [*checks, check])
        return judge_evaluation(artefact, scope, policy.key, plan, [*checks, check])

    def _unfit(
        self, artefact: Artefact, found: Definition, policy: Definition, scope: Scope
    ) -> str:
        """Why an evaluation tells nothing of this challenger here; empty if it does."""
        run, surface = artefact.run, found.spec
        assert isinstance(surface, Surface)
        if run.surface != surface.key:
            return f"The evaluation is of surface {run.surface}, must be of {surface.key}."
        if policy.key not in {candidate.name for candidate in run.candidates}:
            return f"The evaluation has no candidate {policy.key}."
        evaluated, declared = run[policy.key].spec, policy.spec
        assert isinstance(declared, PolicySpec)
        differing = [
            name
            for name in ("type", "arguments", "parameters", "parts", "floor", "slot_model",
                         "numeric", "window")
            if getattr(evaluated, name) != getattr(declared, name)
        ]  # fmt: skip
        if differing:
            return f"The evaluated {policy.key} differs from the declared one in {differing}."
        drew = sorted(run.snapshots)
        if drew != [surface.policy]:
            return (
                f"The evaluated decisions were drawn by {', '.join(drew)}, must be by "
                f"{surface.policy} alone: the gain is over what serves now."
            )
        age_ms = scope.at_ms - run.made_at_ms
        if age_ms > OLDEST_EVALUATION_MS or run.until_ms <= scope.from_ms:
            return (
                f"The evaluation is {duration(age_ms)} old, must be of the last "
                f"{duration(OLDEST_EVALUATION_MS)}, and newer than the challenger's last revert."
            )
        try:
            old = self._seen.get(Surface.kind, surface.key, run.surface_version).spec
        except NotDeclared:
            return f"The evaluation is of version {run.surface_version} of the surface."
        changed = [n for n in RULES if getattr(old, n) != getattr(surface, n)]
        return f"The surface's {changed} changed since the evaluation." if changed else ""


def judge_evaluation(
    artefact: Artefact,
    scope: Scope,
    challenger: str,
    plan: PromotionPlan,
    before: Sequence[GateCheck],
) -> Gate:
    """The gate over an evaluation; pure."""
    run = artefact.run
    result = run[challenger]
    evaluation, interval = result.evaluation, result.anytime_gain
    barring = [code for code in evaluation.reasons if code in BARRING]
    refused = evaluation.verdict == "refuse"
    told = "; ".join(
        artefact.reasons.get(c, c) for c in (evaluation.reasons if refused else barring)
    )
    segments = () if refused else _segments(artefact, challenger)
    worse = [segment for segment in segments if segment.is_worse]
    level = f"{100 * (1 - run.settings.alpha):g} %"
    checks = [
        GateCheck(
            code="support",
            passed=not refused and not barring,
            text=f"The log can not tell: {told}."
            if refused or barring
            else f"The log can tell: {run.n:,} decisions of {run.units_n:,} units.",
        )
    ]
    if checks[0].passed and interval is None:
        text = "The evaluation has no interval of candidate − logging that holds at any look."
        checks.append(GateCheck(code="gain", passed=False, text=text))
    elif checks[0].passed and interval is not None:
        where = f"[{number(interval.low, '+')}, {number(interval.high, '+')}]"
        is_better = interval.low > 0.0 and run.settings.alpha <= plan.alpha
        checks.append(
            GateCheck(
                code="gain",
                passed=is_better,
                text=f"Challenger − live is in {where} per decision ({level}, at any look)"
                + (": better." if is_better else ", must be above 0 at the plan's level."),
            )
        )
    if checks[-1].passed:
        untold = not segments and plan.segments is None
        text = f"None of {len(segments)} segments is worse."
        if untold:
            text = "The evaluation tells no segments apart: make it with --segment."
        elif worse:
            text = f"The challenger is worse in {', '.join(s.value for s in worse)}."
        checks.append(GateCheck(code="segments", passed=not (worse or untold), text=text))
    checks = [*before, *checks]
    return Gate(
        surface=scope.surface.key,
        challenger=challenger,
        live=scope.surface.policy,
        as_of_ms=scope.at_ms,
        from_ms=run.since_ms,
        alpha=plan.alpha,
        source=artefact.id,
        passed=all(check.passed for check in checks),
        checks=tuple(checks),
        n=run.n,
        units_n=run.units_n,
        excluded=run.excluded,
        gain=result.gain.gain if result.gain and not refused else None,
        gain_low=interval.low if interval and not refused else None,
        gain_high=interval.high if interval and not refused else None,
        ess=evaluation.diagnostics.ess,
        mean_weight=evaluation.diagnostics.mean_weight,
        weight_bound=evaluation.diagnostics.weight_bound,
        verdict=evaluation.verdict,
        reasons=evaluation.reasons,
        segments=segments,
        queries=run.queries,
    )


def _segments(artefact: Artefact, challenger: str) -> tuple[GateSegment, ...]:
    return tuple(
        GateSegment(
            by=segment.name.partition("=")[0],
            value=segment.name,
            n=segment.n,
            low=segment.anytime.low,
            high=segment.anytime.high,
            is_worse=segment.anytime.high < 0.0,
        )
        for segment in artefact.run[challenger].segments
        if segment.anytime is not None
    )


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
    """A gate that was closed before any evidence was looked at; no check after the first failed."""
    failed = next(place for place, check in enumerate(checks) if not check.passed)
    return Gate(
        surface=scope.surface.key,
        challenger=challenger,
        live=scope.surface.policy,
        as_of_ms=scope.at_ms,
        from_ms=scope.from_ms,
        alpha=plan.alpha,
        source=plan.evaluation or "shadow",
        passed=False,
        checks=tuple(checks[: failed + 1]),
    )
