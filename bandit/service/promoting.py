"""Promotions: a challenger's way to live, through a gate and a ramp, and back.

A promotion is a row of steps. A step says what shall be; whoever passes by (`advance`, on any host)
makes the definitions so, and only then is the next step made. So a process that is killed anywhere
leaves a step that the next pass carries out, and of two hosts that make one step the first won.
"""

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
from bandit.service.promoting_carrying import AUTHOR, Carrying, plan_of
from bandit.service.promoting_ramp import experiment_key, look_at
from bandit.service.promoting_records import (
    Gate,
    Promotion,
    PromotionPlan,
    RampLook,
    StepShown,
)
from bandit.service.reporting import ExperimentReport, ReportService
from bandit.specs import Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.promotions import UNDER_WAY, Promotions, PromotionStep, State

log = logging.getLogger(__name__)

ReportOf = Callable[[PromotionStep, float], ExperimentReport]
"""A step of a ramp and 1 − the level → the report of its experiment."""


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
        self._promotions = Promotions(store)
        defining = DefinitionService(lambda: definitions, now_ms=now_ms, new_id=new_id)
        self._declared = Carrying(self._seen, defining, self._promotions)
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
        self._declared.surface(surface)
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
        spec = self._declared.surface(surface).spec
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
        self._declared.surface(surface)
        newest = self._promotions.newest(surface, limit=limit)
        return [msgspec.structs.replace(_shown([step]), gate=None, steps=()) for step in newest]

    def get(self, surface: str, promotion_id: int) -> Promotion:
        """A promotion with all its steps, and what its ramp waits for.

        Raises:
            NotDeclared: No such surface.
            NotFound: No such promotion.
        """
        self._declared.surface(surface)
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
        declared = self._declared.surface(surface).spec
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

    def _moved(self, step: PromotionStep) -> PromotionStep:
        """The step after this one, if it is due; else this one."""
        if step.state != "ramping":
            return step
        overtaken = self._declared.overtaken(step)
        if overtaken:
            return self._abandoned(step, overtaken)
        if self._declared.experiment(step) is None:
            return step  # nothing to look at: it is made first
        plan = plan_of(step)
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
        surface = self._declared.surface(step.surface).spec
        assert isinstance(surface, Surface)
        return look_at(step, plan, surface, self._report_of(step, plan.alpha))

    def _report(self, step: PromotionStep, alpha: float) -> ExperimentReport:
        reports = ReportService(self._store, self._now_ms, step.project)
        return reports.experiment(step.experiment, alpha)

    def _carried_out(self, step: PromotionStep) -> Promotion:
        """Make the definitions what a step says; make the step that says that it is done."""
        if step.state == "ramping":
            try:
                self._declared.ramp(step)
            except BadSpec as exc:
                step = self._abandoned(step, f"The ramp can not go on: {exc}.")
        if step.state == "landing":
            step = self._land(step)
        if step.state == "reverting":
            self._declared.stop(step)
            self._declared.serve(step, step.live, instead_of=step.challenger, anew=True)
            step = self._next(step, "reverted", step.reason, author=step.author)
        return _shown(self._promotions.steps(step.surface, step.promotion_id))

    def _land(self, step: PromotionStep) -> PromotionStep:
        """Let the surface's policy be the challenger, then stop the experiment."""
        first = self._promotions.steps(step.surface, step.promotion_id)[0]
        if not msgspec.json.decode(first.evidence, type=Gate).passed:
            return self._abandoned(step, "Its gate was not passed, so it serves nobody.")
        if not self._declared.serve(step, step.challenger, instead_of=step.live):
            return self._abandoned(step, "The surface's policy was changed by hand.")
        self._declared.stop(step)
        return self._next(step, "live", f"{step.challenger} serves everybody.")

    def _abandoned(self, step: PromotionStep, reason: str) -> PromotionStep:
        """Stop first: nobody comes back to a promotion that is abandoned."""
        self._declared.stop(step)
        return self._next(step, "abandoned", reason)

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
            share=0.0 if ends else plan_of(step).ramp[stage] / 100.0,
            reason=reason,
            evidence=msgspec.Raw(msgspec.json.encode(look)),
            author=author,
            at_ms=self._now_ms(),
        )
        self._promotions.add(made)
        return made


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
        plan=plan_of(last),
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
