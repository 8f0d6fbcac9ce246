"""Promotions: a challenger's way to live, through a gate and a ramp, and back.

A promotion is a row of steps. A step says what shall be; whoever passes by (`advance`, on any host)
makes the definitions so, and only then is the next step made. So a process that is killed anywhere
leaves a step that the next pass carries out, and of two hosts that make one step the first won.
"""

import contextlib
import logging
from collections.abc import Callable, Sequence

import msgspec

from bandit.errors import (
    BadSpec,
    BanditError,
    NotDeclared,
    RecordError,
    StoreUnavailable,
    VersionConflict,
)
from bandit.logs import tell
from bandit.service.defining import DefinitionService
from bandit.service.projects import seen_by
from bandit.service.promoting_asking import Asking
from bandit.service.promoting_ramp import experiment_key, look_at, ramp_experiment
from bandit.service.promoting_records import (
    Gate,
    Promotion,
    PromotionPlan,
    RampLook,
    StepShown,
)
from bandit.service.reporting import ExperimentReport, ReportService
from bandit.specs import AnySpec, Experiment, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definition, Definitions
from bandit.store.promotions import UNDER_WAY, Promotions, PromotionStep, State

log = logging.getLogger(__name__)

ReportOf = Callable[[PromotionStep, float], ExperimentReport]
"""A step of a ramp and 1 − the level → the report of its experiment."""
AUTHOR = "promotion"
"""Who makes the steps that nobody asks for."""


class PromotionService:
    """Promotes challengers of one project; every call may block."""

    def __init__(
        self,
        store: Store,
        *,
        now_ms: Callable[[], int],
        new_id: Callable[[], str],
        project: str | None = None,
        report_of: ReportOf | None = None,
    ) -> None:
        """Make the service.

        Args:
            store: Whose log, definitions and promotions.
            now_ms: The clock.
            new_id: Makes the id of a change.
            project: Only this one's surfaces; None: everybody's.
            report_of: Reports a ramp's experiment; None: `ReportService` does.
        """
        definitions = Definitions(store)
        self._store = store
        self._seen = seen_by(project, lambda: definitions)()
        self._defining = DefinitionService(lambda: definitions, now_ms=now_ms, new_id=new_id)
        self._promotions = Promotions(store)
        self._now_ms = now_ms
        self._new_id = new_id
        self._report_of = report_of or self._report

    def ask(self, surface: str, challenger: str, plan: PromotionPlan | None = None) -> Promotion:
        """What the gate says, without anything being kept or done.

        Raises:
            NotDeclared: No such surface or policy.
            StoreUnavailable: The store did not answer.
        """
        plan = plan or PromotionPlan()
        self._surface(surface)
        gate = self._gate(surface, challenger, plan)
        return Promotion(
            surface=surface,
            id=None,
            state="ready" if gate.passed else "refused",
            challenger=challenger,
            live=gate.live,
            experiment="",
            share=0.0,
            reason=gate.refusal or "It would be promoted.",
            author="",
            at_ms=gate.as_of_ms,
            plan=plan,
            gate=gate,
        )

    def start(
        self,
        surface: str,
        challenger: str,
        plan: PromotionPlan | None = None,
        *,
        author: str,
    ) -> Promotion:
        """Ask the gate; if it is passed, begin the ramp. Both are kept.

        A challenger whose ramp is under way is not asked for again: its promotion is the answer.

        Raises:
            NotDeclared: No such surface or policy.
            VersionConflict: Somebody else began a promotion of this surface at the same time.
            StoreUnavailable: The store did not answer; `all` tells what was begun.
        """
        plan = plan or PromotionPlan()
        spec = self._surface(surface).spec
        running = self._promotions.newest(surface, UNDER_WAY, limit=1)
        if running and running[0].challenger == challenger:
            return self._carried_out(running[0])
        number = self._promotions.newest_id(surface) + 1  # before the gate looks who is under way
        gate = self._gate(surface, challenger, plan)
        at_once = len(plan.ramp) == 1
        state: State = "refused"
        if gate.passed:
            state = "landing" if at_once else "ramping"
        step = PromotionStep(
            surface=surface,
            promotion_id=number,
            seq=1,
            change_id=self._new_id(),
            state=state,
            challenger=challenger,
            live=gate.live,
            experiment="" if at_once or not gate.passed else experiment_key(surface, number),
            stage=0,
            share=plan.ramp[0] / 100.0 if gate.passed else 0.0,
            reason=gate.refusal or "The gate was passed.",
            plan=msgspec.Raw(msgspec.json.encode(plan)),
            evidence=msgspec.Raw(msgspec.json.encode(gate)),
            project=spec.project,
            author=author,
            at_ms=self._now_ms(),
        )
        self._promotions.add(step)
        return self._carried_out(step)

    def all(self, surface: str, limit: int = 100) -> list[Promotion]:
        """Promotions of a surface, the newest first, without their gates and steps.

        Raises:
            NotDeclared: No such surface.
        """
        self._surface(surface)
        newest = self._promotions.newest(surface, limit=limit)
        return [msgspec.structs.replace(_shown([step]), gate=None, steps=()) for step in newest]

    def get(self, surface: str, promotion_id: int) -> Promotion:
        """A promotion with all its steps, and what its ramp waits for.

        Raises:
            NotDeclared: No such surface.
            NotFound: No such promotion.
        """
        self._surface(surface)
        steps = self._promotions.steps(surface, promotion_id)
        shown = _shown(steps)
        if steps[-1].state == "ramping":
            try:
                shown = msgspec.structs.replace(shown, look=self._look(steps[-1], shown.plan))
            except (NotDeclared, RecordError):
                return shown  # the next pass says what became of it
        return shown

    def revert(self, surface: str, promotion_id: int, reason: str, *, author: str) -> Promotion:
        """Take a challenger back, from its ramp or from live; the answer if that was done already.

        Raises:
            NotDeclared: No such surface.
            NotFound: No such promotion.
            RecordError: There is nothing to take back.
            VersionConflict: Another step was made at the same time.
        """
        declared = self._surface(surface).spec
        assert isinstance(declared, Surface)
        steps = self._promotions.steps(surface, promotion_id)
        last = steps[-1]
        if last.state in ("refused", "abandoned"):
            raise RecordError(
                f"promotion {promotion_id} of {surface!r} is {last.state}, must be ramping or live "
                "to be reverted"
            )
        if last.state == "live" and declared.policy != last.challenger:
            raise RecordError(
                f"surface {surface!r} has policy {declared.policy!r} by now, must have "
                f"{last.challenger!r} for promotion {promotion_id} to be reverted"
            )
        if last.state not in ("reverting", "reverted"):
            last = self._next(last, "reverting", reason or "Reverted by hand.", author=author)
        self._carried_out(last)
        return self.get(surface, promotion_id)

    def advance(self, surface: str = "") -> list[Promotion]:
        """Carry out every step that is under way, and make the next ones that are due.

        Safe from several hosts, however often; what one host is at, another finds done or not.

        Args:
            surface: Only of this one; '' for all.

        Returns:
            Promotions that are still under way or ended in this pass.

        Raises:
            StoreUnavailable: The store did not answer.
        """
        moved = []
        for step in self._promotions.newest(surface, UNDER_WAY):
            try:
                self._seen.get(Surface.kind, step.surface)
                moved.append(self._carried_out(self._moved(step)))
            except StoreUnavailable:
                raise
            except VersionConflict:
                continue  # somebody else is at it; the next pass sees what came of it
            except NotDeclared:
                continue  # another project's
            except BanditError as exc:
                tell(
                    log,
                    logging.WARNING,
                    "promotion_stuck",
                    "promotion %(id)d of %(surface)s did not go on",
                    id=step.promotion_id,
                    surface=step.surface,
                    error=exc,
                )
        return moved

    def _gate(self, surface: str, challenger: str, plan: PromotionPlan) -> Gate:
        asking = Asking(self._store, self._seen, self._promotions)
        return asking.gate(surface, challenger, plan, self._now_ms())

    def _surface(self, key: str) -> Definition:
        return self._seen.get(Surface.kind, key)

    def _moved(self, step: PromotionStep) -> PromotionStep:
        """The step after this one, if it is due; else this one."""
        if step.state != "ramping":
            return step
        overtaken = self._overtaken(step)
        if overtaken:
            return self._abandoned(step, overtaken)
        if self._experiment(step) is None:
            return step  # nothing to look at: it is made first
        plan = _plan(step)
        look = self._look(step, plan)
        if look.action == "revert":
            return self._next(step, "reverting", look.reason, look=look)
        if look.action == "hold":
            return step
        stage = step.stage + 1
        if plan.ramp[stage] < 100.0:
            return self._next(step, "ramping", look.reason, look=look, stage=stage)
        return self._next(step, "landing", look.reason, look=look, stage=stage)

    def _look(self, step: PromotionStep, plan: PromotionPlan) -> RampLook:
        surface = self._surface(step.surface).spec
        assert isinstance(surface, Surface)
        return look_at(step, plan, surface, self._report_of(step, plan.alpha))

    def _report(self, step: PromotionStep, alpha: float) -> ExperimentReport:
        reports = ReportService(self._store, self._now_ms, step.project)
        return reports.experiment(step.experiment, alpha)

    def _overtaken(self, step: PromotionStep) -> str:
        """Who changed the surface or the experiment meanwhile; empty if nobody did."""
        surface = self._surface(step.surface)
        assert isinstance(surface.spec, Surface)
        if surface.spec.policy != step.live:
            return (
                f"{surface.author} gave the surface policy {surface.spec.policy!r} at version "
                f"{surface.version}, so it is not {step.live!r} any more that is to be replaced."
            )
        found = self._experiment(step)
        if found is not None:
            assert isinstance(found.spec, Experiment)
            if {v.policy for v in found.spec.variants} != {step.live, step.challenger}:
                return f"Experiment {found.key!r} is another one, declared by {found.author}."
            if found.spec.status != "running":
                return f"{found.author} has {found.spec.status} experiment {found.key!r}."
        return ""

    def _carried_out(self, step: PromotionStep) -> Promotion:
        """Make the definitions what a step says; make the step that says that it is done."""
        if step.state == "ramping":
            try:
                self._ramp(step)
            except BadSpec as exc:
                step = self._abandoned(step, f"The ramp can not go on: {exc}.")
        if step.state == "landing":
            step = self._land(step)
        if step.state == "reverting":
            self._stop(step)
            self._serve(step, step.live, instead_of=step.challenger, anew=True)
            step = self._next(step, "reverted", step.reason, author=step.author)
        return _shown(self._promotions.steps(step.surface, step.promotion_id))

    def _ramp(self, step: PromotionStep) -> None:
        """Let the experiment serve the challenger to the stage's share."""
        wanted = self._wanted(step)
        found = self._experiment(step)
        if found is not None and found.spec == wanted:
            return
        if found is not None and self._overtaken(step):
            return  # the next pass abandons it
        self._put(step, wanted, expected=found.version if found else None)

    def _land(self, step: PromotionStep) -> PromotionStep:
        """Let the surface's policy be the challenger, then stop the experiment."""
        first = self._promotions.steps(step.surface, step.promotion_id)[0]
        if not msgspec.json.decode(first.evidence, type=Gate).passed:
            return self._abandoned(step, "Its gate was not passed, so it serves nobody.")
        if not self._serve(step, step.challenger, instead_of=step.live):
            return self._abandoned(step, "The surface's policy was changed by hand.")
        self._stop(step)
        return self._next(step, "live", f"{step.challenger} serves everybody.")

    def _abandoned(self, step: PromotionStep, reason: str) -> PromotionStep:
        """Stop first: nobody comes back to a promotion that is abandoned."""
        self._stop(step)
        return self._next(step, "abandoned", reason)

    def _serve(
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
        current = self._surface(step.surface)
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

    def _stop(self, step: PromotionStep) -> None:
        """Let the experiment of a ramp serve nobody any more."""
        if not step.experiment:
            return
        found = self._experiment(step)
        if found is None:
            # Whoever is still about to declare it, for a step before, is refused.
            draft = msgspec.structs.replace(self._wanted(step), status="draft")
            with contextlib.suppress(BadSpec):  # then nobody can declare it
                self._put(step, draft, expected=None)
            return
        assert isinstance(found.spec, Experiment)
        if found.spec.status == "running" and found.author.startswith(AUTHOR):
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
        surface = self._surface(step.surface).spec
        assert isinstance(surface, Surface)
        return ramp_experiment(
            surface,
            _plan(step),
            promotion_id=step.promotion_id,
            live=step.live,
            challenger=step.challenger,
            stage=step.stage,
            author=self._promotions.steps(step.surface, step.promotion_id)[0].author,
        )

    def _experiment(self, step: PromotionStep) -> Definition | None:
        if not step.experiment:
            return None
        try:
            return self._seen.get(Experiment.kind, step.experiment)
        except NotDeclared:
            return None

    def _next(
        self,
        step: PromotionStep,
        state: State,
        reason: str,
        *,
        author: str = AUTHOR,
        look: RampLook | None = None,
        stage: int | None = None,
    ) -> PromotionStep:
        stage = step.stage if stage is None else stage
        ends = state in ("reverting", "reverted", "abandoned")
        made = msgspec.structs.replace(
            step,
            seq=step.seq + 1,
            change_id=self._new_id(),
            state=state,
            stage=stage,
            share=0.0 if ends else _plan(step).ramp[stage] / 100.0,
            reason=reason,
            evidence=msgspec.Raw(msgspec.json.encode(look)),
            author=author,
            at_ms=self._now_ms(),
        )
        self._promotions.add(made)
        return made


def _plan(step: PromotionStep) -> PromotionPlan:
    return msgspec.json.decode(step.plan, type=PromotionPlan)


def _shown(steps: Sequence[PromotionStep]) -> Promotion:
    """A promotion as it is told, of its steps or of the newest alone."""
    first, last = steps[0], steps[-1]
    gate = msgspec.json.decode(first.evidence, type=Gate) if first.seq == 1 else None
    return Promotion(
        surface=last.surface,
        id=last.promotion_id,
        state=last.state,
        challenger=last.challenger,
        live=last.live,
        experiment=last.experiment,
        share=last.share,
        reason=last.reason,
        author=first.author,
        at_ms=last.at_ms,
        plan=_plan(last),
        gate=gate,
        steps=tuple(
            StepShown(
                seq=step.seq,
                state=step.state,
                at_ms=step.at_ms,
                share=step.share,
                reason=step.reason,
                author=step.author,
                look=None
                if step.seq == 1
                else msgspec.json.decode(step.evidence, type=RampLook | None),
            )
            for step in steps
        )
        if first.seq == 1
        else (),
    )
