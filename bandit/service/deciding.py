"""The decision: event id → variant → policy → pmf → draw → journal → answer.

`DecisionService.rank` runs on the event loop from its first to its last line: nothing in it waits,
and it uses plain lists, because at tens of microseconds a decision every conversion shows.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from bandit.errors import JournalUnavailable, RecordError
from bandit.event_id import make_event_id, read_event_id, unlogged_id
from bandit.journal import Journal
from bandit.journal.pressure import kept
from bandit.policies import check_features, draw_ranking, seed_of
from bandit.policies.features import features_of
from bandit.records import Action, Decision
from bandit.service.choosing import Chosen, choose
from bandit.service.contexts import MOST_BYTES, check_context
from bandit.service.drawing import Drawn, draw_in_pools, judge, pins_of, placed, top_of
from bandit.service.eligibility import EVERY, DenyLists, Eligible, eligible
from bandit.service.event_ids import given_event_id
from bandit.service.offering import Offer, offer_of
from bandit.service.probabilities import Asked, pack, spread
from bandit.service.repeats import IN_FLIGHT_MS, PastDecisions, RecentAnswers, answer_of
from bandit.service.serving_state import RunnablePolicy, Serving, ServingSurface
from bandit.service.tokens import Tokens
from bandit.service.work import MOST_INTERACTIONS, check_work
from bandit.specs import Surface
from bandit.wire import RankAnswer, RankedAction, RankRequest

OLDEST_MS = 3_600_000
"""How old a client's own event id may be when it is ranked."""


class Decided(NamedTuple):
    """A decision and what the client is told of it."""

    decision: Decision
    answer: RankAnswer


class DecisionService:
    """Decides; one per worker, called from its event loop only."""

    def __init__(
        self,
        serving: Serving,
        journal: Journal,
        *,
        salt: bytes,
        now_ms: Callable[[], int],
        entropy: Callable[[int], bytes],
        past: PastDecisions,
        recent: RecentAnswers | None = None,
        tokens: Tokens | None = None,
        most_interactions: int = MOST_INTERACTIONS,
    ) -> None:
        """Make the service.

        Args:
            serving: The worker's state.
            journal: Where decisions go.
            salt: The project's secret.
            now_ms: The clock.
            entropy: Random bytes.
            past: Looks decisions up that other workers made.
            recent: Remembers what was answered.
            tokens: Signs answers of signed surfaces; without them none gets a token.
            most_interactions: Products of features that a request may have a policy look at.
        """
        self._serving = serving
        self._journal = journal
        self._salt = salt
        self._now_ms = now_ms
        self._entropy = entropy
        self._past = past
        self._recent = recent or RecentAnswers()
        self._tokens = tokens
        self._most = most_interactions
        self._denied = DenyLists()
        self.shadows_failed = 0
        """Shadow policies that gave no distribution; the decision itself went on without them."""

    async def recall(self, event_id: str, project: str | None = None) -> None:
        """Fetch what `event_id` was answered elsewhere, so that `rank` answers it again.

        Only for an id that the client brought; costs nothing for a fresh one. What was decided for
        another project is not there.

        Raises:
            RecordError: It is no UUIDv7, or not of the last hour.
        """
        remembered = _remembered(event_id, project)
        if self._recent.get(remembered) is not None:
            return
        now_ms = self._now_ms()
        read = given_event_id(event_id, self._salt, now_ms=now_ms, oldest_ms=OLDEST_MS)
        if now_ms - read.ts_ms <= IN_FLIGHT_MS or not read.logged:
            return
        found = await self._past.find(event_id)
        # Another request may have decided it while this one was waiting.
        if found is None or self._recent.get(remembered) is not None:
            return
        if project is None or found.surface in self._serving.state.of(project).surfaces:
            token = self._token(event_id, found.surface, found.unit_id, now_ms)
            self._recent.put(remembered, answer_of(found, token))

    def rank(self, request: RankRequest, body: bytes, project: str | None = None) -> RankAnswer:
        """Decide, journal, answer; again what was answered before.

        The answer is `logged: false`, under an id that tells so, if the decision is one of those
        that are not kept at present, or if the journal does not take it.

        Args:
            request: What the client asked.
            body: The bytes it came in; they go into the log as they are, unless the surface
                withholds something of contexts.
            project: Whose surfaces there are; None: everybody's.

        Raises:
            NotDeclared: No such surface.
            RecordError: The request breaks a rule; nothing was journaled.
        """
        if request.event_id is not None:
            repeated = self._recent.get(_remembered(request.event_id, project))
            if repeated is not None:
                return repeated if repeated.token is None else self._again(repeated, request)
        return self.decide(request, body, project).answer

    def decide(self, request: RankRequest, body: bytes, project: str | None = None) -> Decided:
        """As `rank`, but never what was answered before; raises what it raises."""
        now_ms = self._now_ms()
        surface = self._serving.state.of(project).surface(request.surface)
        event_id, share = self._event_id(request, surface, now_ms)
        if len(request.context) > MOST_BYTES:
            check_context(bytes(request.context))
        if surface.withholding is not None:
            request, body = surface.withholding.request(request, self._salt)
        offer = offer_of(request, surface)
        if surface.interactions:
            self._check_work(request, surface, offer, body)
        chosen = choose(surface, request.unit_id, bytes(request.context))
        decision = self._decide(request, body, surface, chosen, offer, event_id, now_ms, share)
        logged = self._log(decision, share)
        if not logged:
            event_id = self._unlogged(request, event_id, surface)
        token = None
        if surface.spec.signed:
            token = self._token(event_id, surface.spec.key, request.unit_id, now_ms)
        answer = _answer(offer.actions, decision, chosen, event_id, logged, token)
        self._recent.put(_remembered(event_id, project), answer)
        if request.event_id is not None and not logged:
            self._recent.put(_remembered(request.event_id, project), answer)
        return Decided(decision, answer)

    def _check_work(
        self, request: RankRequest, surface: ServingSurface, offer: Offer, body: bytes
    ) -> None:
        features_n = 1 + len(body) // 2
        if offer.catalogue and surface.catalogue is not None:
            features_n = len(offer.actions) * surface.catalogue.widest
        check_work(surface.interactions, request, offer.actions, features_n, self._most)

    def not_durable(self, answer: RankAnswer, project: str | None = None) -> RankAnswer:
        """The answer if the disk did not confirm its decision.

        Nobody knows whether the log will hold it; so its id stays, and what comes back is kept.
        """
        answer = msgspec.structs.replace(answer, logged=False)
        self._recent.put(_remembered(answer.event_id, project), answer)
        return answer

    def _log(self, decision: Decision, share: float) -> bool:
        if share == 0.0:
            return False
        try:
            self._journal.append(decision)
        except JournalUnavailable:
            return False
        return True

    def _unlogged(self, request: RankRequest, event_id: str, surface: ServingSurface) -> str:
        """Under which id a decision is answered that the log does not hold."""
        if request.event_id is not None and not read_event_id(event_id, self._salt).logged:
            return event_id
        return unlogged_id(event_id, surface.tag, self._salt)

    def _token(self, event_id: str, surface: str, unit_id: str, now_ms: int) -> str | None:
        """The token of a decision; None where nobody asks for one."""
        serving = self._serving.state.surfaces.get(surface)
        if self._tokens is None or serving is None or not serving.spec.signed:
            return None
        return self._tokens.sign(event_id, surface, unit_id, now_ms)

    def _again(self, answer: RankAnswer, request: RankRequest) -> RankAnswer:
        """A signed answer for whoever asks again: without its token for another unit."""
        if self._tokens is not None and self._tokens.is_of(answer.token or "", request.unit_id):
            return answer
        return msgspec.structs.replace(answer, token=None)

    def _event_id(
        self, request: RankRequest, surface: ServingSurface, now_ms: int
    ) -> tuple[str, float]:
        """The id to decide under, and which share of decisions is logged; 0: this one is not."""
        event_id, share = request.event_id, self._journal.keep_share
        if event_id is None:
            event_id = make_event_id(now_ms, surface.tag, self._entropy(6), self._salt)
        else:
            read = given_event_id(event_id, self._salt, now_ms=now_ms, oldest_ms=OLDEST_MS)
            if read.surface_tag is not None and read.surface_tag != surface.tag:
                raise RecordError(
                    f"event_id {event_id!r} belongs to a decision of another surface, "
                    f"must be one of {surface.spec.key!r} or the client's own - at `$.event_id`"
                )
            if not read.logged:
                share = 0.0
        if 0.0 < share < 1.0 and not kept(event_id, share):
            share = 0.0
        return event_id, share

    def _decide(
        self,
        request: RankRequest,
        body: bytes,
        surface: ServingSurface,
        chosen: Chosen,
        offer: Offer,
        event_id: str,
        now_ms: int,
        share: float,
    ) -> Decision:
        actions, policy, assigned = offer.actions, chosen.policy, chosen.assigned
        indices, excluded = self._eligible(request, surface.spec, offer)
        offered = actions if indices is None else [actions[index] for index in indices]
        seed = seed_of(event_id, self._salt)
        pmf, drawn, asked = _draw(request, surface, policy, actions, offered, seed)
        shadows, tops = _NO_SHADOWS
        if surface.shadows and share:
            shadows, tops = self._shadows(surface, asked, offered, drawn)
        if indices is not None:
            drawn, pmf = placed(drawn, indices), spread(pmf, indices, len(actions))
            tops = {key: indices[top] for key, top in tops.items()}
        return Decision(
            ts_ms=now_ms,
            surface=surface.spec.key,
            event_id=event_id,
            unit_id=request.unit_id,
            experiment=assigned.key if assigned else "",
            experiment_version=chosen.experiment_version,
            variant=assigned.variant if assigned else "",
            policy=policy.spec.key,
            snapshot=policy.snapshot,
            request=body,
            pmf=pack(pmf),
            ranking=tuple(drawn.ranking),
            propensities=tuple(drawn.propensities),
            floor=policy.spec.floor,
            seed=seed,
            deferred=request.defer,
            shadows=shadows,
            shadow_tops=tops,
            surface_version=surface.version,
            excluded=excluded,
            blocked=drawn.blocked,
            pinned=drawn.pinned,
            catalogue=offer.catalogue,
            offered=offer.ids,
            forced=chosen.forced,
            keep_share=share or 1.0,
        )

    def _eligible(self, request: RankRequest, spec: Surface, offer: Offer) -> Eligible:
        if not (request.exclude or request.seen or spec.rules.denied):
            return EVERY
        found = eligible(request, self._denied.of(spec.key, spec.rules), offer.actions)
        # The policy checks what it sees; the log gets the others too. A catalogue was checked.
        if found.indices is not None and not offer.catalogue:
            for indices in found.excluded.values():
                check_features(bytes(request.context), offer.actions, indices)
        return found

    def _shadows(
        self,
        surface: ServingSurface,
        asked: Asked,
        offered: Sequence[Action],
        drawn: Drawn,
    ) -> tuple[dict[str, tuple[float, ...]], dict[str, int]]:
        """What each shadow says of the drawn actions, and its own choice for the top."""
        found: dict[str, tuple[float, ...]] = {}
        tops: dict[str, int] = {}
        for shadow in surface.shadows:
            asked = asked.of(shadow.policy, shadow.spec)
            try:
                pmf = asked.pmf(offered)
                found[shadow.spec.key] = judge(asked, pmf, offered, drawn)
                tops[shadow.spec.key] = top_of(pmf, drawn)
            except ValueError:  # a shadow must never cost a client its answer
                self.shadows_failed += 1
        return found, tops


def _remembered(event_id: str, project: str | None) -> str:
    """What an answer is remembered by: nobody is given that of another project."""
    return event_id if project is None else f"{project}/{event_id}"


_NO_SHADOWS: tuple[dict[str, tuple[float, ...]], dict[str, int]] = {}, {}


def _draw(
    request: RankRequest,
    surface: ServingSurface,
    policy: RunnablePolicy,
    actions: Sequence[Action],
    offered: Sequence[Action],
    seed: int,
) -> tuple[Sequence[float], Drawn, Asked]:
    """The pmf over the eligible actions, what was drawn from it, and who was asked."""
    context, rules = bytes(request.context), surface.spec.rules
    if request.slot_features:
        _check_slot_features(request)
    asked = Asked(
        policy.policy, policy.spec, policy.spec.floor, context, rules, request.slot_features
    )
    try:
        pmf = asked.pmf(offered)
    except RecordError:
        check_features(context, actions)  # names the place as the client knows it
        raise
    alike = rules.diversity if request.slots > 1 else ()  # one slot is like no other
    if not (request.pins or rules.pins or alike or asked.by_slot):
        return pmf, Drawn(*draw_ranking(pmf, _slots(request.slots, pmf), seed)), asked
    drawn = draw_in_pools(
        asked,
        pmf,
        offered,
        slots=request.slots,
        seed=seed,
        pins=pins_of(request, rules, offered),
        diversity=rules.diversity,
    )
    return pmf, drawn, asked


def _check_slot_features(request: RankRequest) -> None:
    """Refuse what no policy may see as features of a slot, also if this one does not look."""
    for slot, raw in enumerate(request.slot_features):
        features_of(bytes(raw), f"$.slot_features[{slot}]")
        features_of(b'{"given":%b}' % bytes(raw), f"$.slot_features[{slot}]")


def _slots(asked: int, pmf: Sequence[float]) -> int:
    """How many slots can be drawn: a policy may give some actions no probability at all.

    One with all mass on one action fixes the whole order, so that has no end.
    """
    if asked == 1 or min(pmf) > 0.0:
        return min(asked, len(pmf))
    drawable = sum(p > 0.0 for p in pmf)
    return min(asked, drawable if drawable > 1 else len(pmf))


def _answer(
    actions: Sequence[Action],
    decision: Decision,
    chosen: Chosen,
    event_id: str,
    logged: bool,
    token: str | None,
) -> RankAnswer:
    return RankAnswer(
        event_id=event_id,
        ranking=[
            RankedAction(id=actions[index].id, slot=slot, propensity=propensity)
            for slot, (index, propensity) in enumerate(
                zip(decision.ranking, decision.propensities, strict=True)
            )
        ],
        experiment=chosen.assigned,
        policy=decision.policy,
        snapshot=chosen.policy.label,
        logged=logged,
        token=token,
    )
