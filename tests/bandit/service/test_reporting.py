"""Reports over a real store, against numbers by hand."""

import functools
import random
from collections.abc import Iterator

import msgspec
import pytest

from bandit.errors import NotDeclared, RecordError
from bandit.ope import WeightMoments, snips
from bandit.service.reporting import ExperimentReport
from bandit.stats import JointMoments, Moments, mean_of, welch
from bandit.stats.sequential import compare_anytime
from bandit.store.client import Store
from tests.bandit.logs import T0, LogMaker
from tests.bandit.service.making_reports import (
    EXPERIMENT,
    LATER,
    SPECS,
    SURFACE,
    declare,
    redeclare,
    service,
    two_variants,
)
from tests.conftest import lent
from tests.databases import Databases


class Filled:
    """A log of `two_variants` that tests only read, and its reports as of `LATER`, made once."""

    def __init__(self, store: Store, units_n: int) -> None:
        declare(store, *SPECS)
        self.store = store
        self.told = two_variants(LogMaker(store), units_n)
        self.experiment = functools.cache(functools.partial(service(store).experiment, "e"))
        self.surface = functools.cache(functools.partial(service(store).surface, "home"))


@pytest.fixture(scope="module")
def forty(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Filled]:
    for store in lent(databases, request):
        yield Filled(store, units_n=40)


@pytest.fixture(scope="module")
def many(databases: Databases, request: pytest.FixtureRequest) -> Iterator[Filled]:
    for store in lent(databases, request):
        yield Filled(store, units_n=160)


def test_experiment_report_has_the_effects_of_its_metrics(forty: Filled):
    told = forty.told
    got = forty.experiment()
    expected = welch(Moments.of(told["c"]), Moments.of(told["t"]))
    first, second = got.effects
    assert (first.metric, first.is_primary, first.treatment) == ("reward-per-unit", True, "t")
    assert first.effect.control_n == first.effect.treatment_n == 20
    for name in ("effect", "effect_ci_low", "effect_ci_high", "p_value", "relative_ci_high"):
        assert getattr(first.effect, name) == pytest.approx(getattr(expected, name), rel=1e-9)
    assert first.anytime.reason == "few_units"
    assert (second.metric, second.better, second.is_primary) == ("revenue", "lower", False)
    assert (got.as_of_ms, got.alpha, got.srm.verdict) == (LATER, 0.05, "fine")


def test_every_effect_is_judged_as_at_any_look_too(many: Filled):
    told = many.told
    got = many.experiment(alpha=0.1).effects[0].anytime
    moments = [JointMoments.of_columns(told[variant]) for variant in "ct"]
    expected = compare_anytime(mean_of().estimate(*moments), alpha=0.1, tuned_for=5000.0)
    for name in ("effect", "effect_ci_low", "effect_ci_high", "p_value", "relative_ci_high"):
        assert getattr(got, name) == pytest.approx(getattr(expected, name), rel=1e-9)
    assert (got.control_n, got.treatment_n, got.alpha) == (80, 80, 0.1)
    assert got.sequential == expected.sequential


def test_verdict_says_what_was_found_in_plain_words(many: Filled):
    got = many.experiment()
    anytime = got.effects[0].anytime
    assert got.verdict.state == "better"
    assert got.verdict.headline.startswith("Ship t: reward-per-unit +")
    assert f"{anytime.effect:+.4g} per unit [{anytime.effect_ci_low:.4g}, " in got.verdict.headline
    assert "SRM fine" in got.verdict.reason


def test_a_few_units_are_not_yet_enough_for_a_verdict(forty: Filled):
    got = forty.experiment()
    assert got.effects[0].effect.effect_ci_low > 0.0
    assert got.verdict.state == "not_yet"
    assert "it starts at 100 units" in got.verdict.reason


def test_an_experiment_without_metrics_is_judged_by_the_reward_per_decision(store: Store):
    declare(store, *SPECS[:2], SURFACE, msgspec.structs.replace(EXPERIMENT, metrics=[]))
    told = two_variants(LogMaker(store))
    [found] = service(store).experiment("e").effects
    assert (found.metric, found.per, found.is_primary) == ("reward", "decision", True)
    assert found.effect.control == pytest.approx(sum(told["c"]) / 60)


def test_variants_report_their_counts(forty: Filled):
    told = forty.told
    control, treatment = forty.experiment().variants
    assert (control.label, control.policy, control.share) == ("c", "random", 0.5)
    assert (control.units_n, control.decisions_n, control.counted_n) == (20, 60, 60)
    assert treatment.reward_sum == sum(told["t"])
    assert treatment.reward_mean == pytest.approx(sum(told["t"]) / 60)


def test_a_policy_is_valued_from_its_own_log_and_from_the_others(forty: Filled):
    told = forty.told
    values = {(v.policy, v.log): v for v in forty.experiment().values}
    assert set(values) == {(p, log) for p in ("random", "vw") for log in ("all", "others")}
    others = values["vw", "others"]
    expected = snips(WeightMoments.of(*zip(*told["others"], strict=True)), policy="vw")
    assert others.snips.value == pytest.approx(expected.value, rel=1e-9)
    assert others.snips.std_error == pytest.approx(expected.std_error, rel=1e-9)
    assert (others.own_n, others.barred_n, others.absent_n) == (0, 0, 0)
    assert (values["vw", "all"].own_n, values["vw", "all"].snips.n) == (60, 120)
    # Nobody logged what `random` would have done to vw's decisions: its own log is all there is.
    own = values["random", "all"]
    assert own.snips.value == pytest.approx(sum(told["c"]) / 60)
    assert (own.snips.n, own.absent_n) == (60, 60)
    assert values["random", "others"].snips.reasons == ("no_decisions",)


def test_surface_report_has_the_policies_that_decided_there(forty: Filled):
    told = forty.told
    got = forty.surface()
    assert [p.label for p in got.policies] == ["random", "vw"]
    assert got.policies[1].reward_sum == sum(told["t"])
    assert got.experiments == ("e",)
    assert {p.label for p in got.series.running} == {"random", "vw"}


def test_running_reward_ends_where_the_counts_are(forty: Filled):
    got = forty.experiment()
    for variant in got.variants:
        points = [p for p in got.series.running if p.label == variant.label]
        assert points[-1].total_n == variant.counted_n
        assert points[-1].total_reward == pytest.approx(variant.reward_sum)
        assert points[-1].running_mean == pytest.approx(variant.reward_mean)
        assert [p.at_ms for p in points] == sorted(p.at_ms for p in points)
    seconds = sum(p.per_s for p in got.series.rate) * got.series.bucket_ms / 1000
    assert seconds == pytest.approx(120)


def test_a_bucket_that_is_still_filling_does_not_read_as_a_drop(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    for at_ms in (*range(0, 2000, 100), 2000):  # ten a second, and one of the third second
        log.decide(at_ms)
    log.deliver()
    rates = [p.per_s for p in service(store, now_ms=T0 + 2100).surface("home").series.rate]
    assert rates == [10.0, 10.0]


def test_overview_agrees_with_the_reports(forty: Filled):
    overview, experiment = service(forty.store).overview(), forty.experiment()
    [headline] = overview.experiments
    assert headline.verdict == experiment.verdict
    assert headline.primary == experiment.effects[:1]
    assert headline.units_n == 40
    [surface] = overview.surfaces
    assert (surface.key, surface.decisions_n, surface.experiments) == ("home", 120, ("e",))
    assert overview.next_step == ""


def test_speed_in_the_overview_is_of_the_last_minute(forty: Filled):
    [surface] = service(forty.store, now_ms=T0 + 4000).overview().surfaces
    assert surface.per_s == 120 / 60


def test_an_empty_store_says_the_next_step(store: Store):
    got = service(store).overview()
    assert (got.surfaces, got.experiments) == ((), ())
    assert "PUT /v1/policies" in got.next_step


def test_an_experiment_without_decisions_says_why_and_what_to_do(store: Store):
    declare(store, *SPECS)
    got = service(store).experiment("e")
    assert got.verdict.state == "no_data"
    assert "POST /v1/rank for surface 'home'" in got.verdict.next_step
    assert [v.decisions_n for v in got.variants] == [0, 0]
    reasons = {judged.reason for e in got.effects for judged in (e.effect, e.anytime)}
    assert reasons == {"empty_variant"}
    assert {v.snips.verdict for v in got.values} == {"refuse"}
    assert (got.series.running, got.series.rate) == ((), ())
    assert [p.code for p in got.health.problems] == ["no_decisions", "no_drain"]


def test_decisions_whose_window_is_open_are_waited_for(forty: Filled):
    got = service(forty.store, now_ms=T0 + 500).experiment("e")
    assert got.verdict.state == "waiting"
    assert got.health.open_n == sum(v.decisions_n for v in got.variants) > 0


def test_a_broken_split_is_said_before_any_effect(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    for n in range(60):
        log.decide(n, unit=f"u{n}", experiment="e", variant="c" if n < 55 else "t")
    log.deliver()
    got = service(store).experiment("e")
    assert (got.verdict.state, got.srm.verdict) == ("broken", "mismatch")
    assert "c has 55 units where 30 were expected" in got.verdict.reason


def test_units_in_two_variants_are_left_out_and_counted(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    log.decide(90_000, unit="u0", experiment="e", variant="t", policy="vw")  # u0 is in c, too
    two_variants(log)
    got = service(store).experiment("e")
    assert got.crossed_units_n == 1
    assert got.variants[0].units_n == got.effects[0].effect.control_n == 19
    assert "1 units were seen in two variants" in got.verdict.reason


def test_a_report_as_of_a_past_time_is_the_one_of_then(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    two_variants(log)
    then = service(store, now_ms=LATER).experiment("e")
    for n in range(50):
        log.reward(log.decide(4_000_000 + n, unit=f"v{n}", experiment="e", variant="c"))
    log.deliver()
    later = service(store, now_ms=LATER + 3_600_000)
    again = later.experiment("e", at_ms=LATER)
    assert later.experiment("e").variants != then.variants
    assert msgspec.json.encode(again) == msgspec.json.encode(then)


@pytest.mark.parametrize("planned", [False, True])
def test_level_of_the_intervals_follows_alpha(many: Filled, planned: bool):
    narrow, wide = (
        many.experiment(alpha=alpha).effects[0].judged(planned=planned) for alpha in (0.5, 0.01)
    )
    assert wide.effect_ci_low < narrow.effect_ci_low < narrow.effect
    assert wide.effect == narrow.effect


@pytest.mark.parametrize("alpha", [0.0, 1.0, -3.0, float("nan")])
def test_an_impossible_level_is_refused(forty: Filled, alpha: float):
    for report in (service(forty.store).experiment, service(forty.store).surface):
        with pytest.raises(RecordError, match=r"must be in \(0, 1\)"):
            report("e", alpha=alpha)


def test_what_is_not_declared_is_said(store: Store):
    with pytest.raises(NotDeclared, match="experiment 'e' is not declared"):
        service(store).experiment("e")
    with pytest.raises(NotDeclared, match="surface 'home' is not declared"):
        service(store).surface("home")


def test_payload_travels_as_json_without_a_nan(forty: Filled):
    got = forty.experiment()
    assert msgspec.json.decode(msgspec.json.encode(got), type=ExperimentReport) == got


def test_forced_decisions_are_said_and_not_counted(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    two_variants(log)
    before = service(store).experiment("e")
    for n in range(3):
        decision = log.decide(
            5000 + n, unit="qa", experiment="e", variant="t", policy="vw", forced=True
        )
        log.reward(decision)
    log.deliver()
    after, surface = service(store).experiment("e"), service(store).surface("home")
    assert (after.forced_n, after.forced_units_n, surface.forced_n) == (3, 1, 3)
    assert after.variants == before.variants
    assert (after.effects, after.values, after.srm) == (before.effects, before.values, before.srm)
    assert "1 units were set by hand and are left out" in after.verdict.reason


def test_policy_is_measured_against_the_uniform_slice(store: Store):
    sliced = msgspec.structs.replace(SURFACE, policy="vw", uniform_share=0.5)
    declare(store, *SPECS[:4], SURFACE)
    redeclare(store, sliced, expected=1, now_ms=T0 + 1000)
    redeclare(store, msgspec.structs.replace(sliced, description="x"), 2, now_ms=T0 + 9000)
    log = LogMaker(store)
    log.reward(log.decide(500, unit="before", policy="vw"))
    rng = random.Random(5)
    earned: dict[str, list[float]] = {"uniform-slice": [], "vw": []}
    for n in range(200):
        policy = ("uniform-slice", "vw")[n % 2]
        value = float(rng.random() < (0.3 if n % 2 == 0 else 0.7))
        log.reward(log.decide(2000 + n, unit=f"u{n}", policy=policy), value)
        earned[policy].append(value)
    log.deliver()
    got = service(store).surface("home")
    assert got.uniform is not None
    assert (got.uniform.share, got.uniform.since_ms) == (0.5, T0 + 1000)
    assert (got.uniform.uniform_n, got.uniform.policy_n) == (100, 100)
    found = got.uniform.difference
    expected = welch(Moments.of(earned["uniform-slice"]), Moments.of(earned["vw"]))
    assert (found.control, found.treatment) == ("uniform-slice", "vw")
    assert found.effect.effect == pytest.approx(expected.effect)
    assert found.effect.effect_ci_low == pytest.approx(expected.effect_ci_low)
    assert found.anytime.effect_ci_low < found.effect.effect_ci_low
    own = next(v for v in got.values if (v.policy, v.log) == ("uniform-slice", "all"))
    assert own.snips.value == pytest.approx(sum(earned["uniform-slice"]) / 100)


def test_a_surface_without_a_uniform_slice_has_no_yardstick(store: Store):
    declare(store, *SPECS)
    assert service(store).surface("home").uniform is None


def test_a_uniform_slice_that_nobody_is_in_yet_says_so(store: Store):
    declare(store, *SPECS[:4], msgspec.structs.replace(SURFACE, uniform_share=0.01))
    got = service(store).surface("home").uniform
    assert got is not None
    assert (got.uniform_n, got.difference.effect.reason) == (0, "empty_variant")


def test_a_killed_surface_is_said_and_its_decisions_are_of_the_kill_switch(store: Store):
    declare(store, *SPECS[:4], msgspec.structs.replace(SURFACE, killed=True))
    log = LogMaker(store)
    log.reward(log.decide(0, policy="kill-switch", propensities=(1.0,)))
    log.deliver()
    got = service(store).surface("home")
    assert got.killed
    assert [p.label for p in got.policies] == ["random", "vw", "kill-switch"]
    assert service(store).overview().surfaces[0].killed


def test_agreement_of_a_challenger_is_beside_its_value(store: Store):
    declare(store, *SPECS)
    log = LogMaker(store)
    for n in range(4):
        log.decide(n, shadows={"vw": (0.25,)}, shadow_tops={"vw": 0 if n else 1})
    log.deliver()
    values = {(v.policy, v.log): v for v in service(store).surface("home").values}
    assert (values["vw", "others"].tops_n, values["vw", "others"].agreement) == (4, 0.75)
    assert values["random", "all"].agreement is None


def test_archived_experiments_are_shown_when_asked_for(store: Store):
    archived = msgspec.structs.replace(EXPERIMENT, key="old", status="archived")
    declare(store, *SPECS, archived)
    reports = service(store)
    hidden, shown = reports.overview(), reports.overview(archived=True)
    assert [e.key for e in hidden.experiments] == ["e"]
    assert {e.key for e in shown.experiments} == {"e", "old"}
    assert hidden.archived_n == shown.archived_n == 1
    assert hidden.surfaces[0].experiments == reports.surface("home").experiments == ("e",)
    assert reports.experiment("old").verdict.state == "no_data"


def test_experiments_of_several_layers_run_on_one_surface_and_keep_their_numbers_apart(
    store: Store,
):
    other = msgspec.structs.replace(EXPERIMENT, key="f", layer="second", layer_buckets=[(0, 5000)])
    declare(store, *SPECS, other)
    log = LogMaker(store)
    two_variants(log)
    for n in range(4):
        log.reward(log.decide(n, unit=f"v{n}", experiment="f", variant="ct"[n % 2]))
    log.deliver()
    reports = service(store)
    first, second = reports.experiment("e"), reports.experiment("f")
    assert [v.decisions_n for v in first.variants] == [60, 60]
    assert [v.decisions_n for v in second.variants] == [2, 2]
    assert (first.layer, second.layer) == (None, "second")
    assert first.values == second.values  # of the whole surface
    assert {e.key: e.units_n for e in reports.overview().experiments} == {"e": 40, "f": 4}
