"""What was declared: whether surfaces get decisions and rewards, and policies learn from them."""

from collections.abc import Iterator, Mapping, Sequence

from bandit.service.findings import Finding, fine, problem, warning
from bandit.service.reporting_words import duration
from bandit.specs import BUCKETS, Experiment, PolicySpec, Surface
from bandit.stats import srm
from bandit.store.checkup import Checkup, Propensities, Traffic
from bandit.store.definitions import Definition
from bandit.store.reports import Members, Reports, SnapshotCounts

DAY_MS = 86_400_000
LAG_MS = 60_000
BAD_LAG_MS = 600_000
ODD_SHARE = 0.05
"""Of the rewards a policy has read, so many may be late, or for no decision that we know."""
NEED_N = 100
"""Of fewer decisions nothing is said."""
ALARM_Z = 6.0
NEED_SPREAD = 2_000.0
"""Of a sum that varied less nothing is said: a few rare draws would decide."""


def surface_findings(
    checkup: Checkup, definitions: Sequence[Definition], now_ms: int
) -> Iterator[Finding]:
    """Whether every surface gets decisions and rewards.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    surfaces = [d.spec for d in definitions if isinstance(d.spec, Surface)]
    if not surfaces:
        yield warning(
            "surfaces", "nothing_declared", "No surface is declared.", "one at least",
            "PUT /v1/policies/{key}, then PUT /v1/surfaces/{key}; api/README.md has examples.",
        )  # fmt: skip
        return
    windows_ms = {spec.key: max(1, round(spec.join_window_s * 1000)) for spec in surfaces}
    since_ms = now_ms - DAY_MS - max(windows_ms.values())
    found = {each.surface: each for each in checkup.traffic(windows_ms, since_ms, now_ms)}
    for spec in surfaces:
        yield _traffic(spec, found.get(spec.key))


def _traffic(spec: Surface, found: Traffic | None) -> Finding:
    area = f"surface {spec.key}"
    if spec.killed:
        return warning(
            area, "killed", "It is killed: it answers the offered order and learns nothing.",
            "killed only while something is wrong", "PUT it again without `killed`.",
        )  # fmt: skip
    if found is None:
        return warning(
            area, "no_traffic", "No decision of the last day is in the log.", "some",
            f"Ask POST /v1/rank with surface {spec.key!r}; if somebody does, look at its answers "
            "and at the drains.",
        )  # fmt: skip
    told = f"{found.decisions_n} decisions of the last day"
    if found.closed_n >= NEED_N and not found.rewarded_n:
        return problem(
            area, "no_rewards",
            f"None of {found.closed_n} decisions whose join window has ended got a reward.",
            "some: nothing can be learned from none",
            "Post POST /v1/rewards with the event_id of each answer, within "
            f"{duration(spec.join_window_s * 1000)}.",
        )  # fmt: skip
    if found.closed_n:
        return fine(area, f"{told}, {found.rewarded_n / found.closed_n:.1%} with a reward.")
    return fine(area, f"{told}, the join window of none has ended.")


def learner_findings(
    reports: Reports, checkup: Checkup, definitions: Sequence[Definition], now_ms: int
) -> Iterator[Finding]:
    """Whether every learning policy learns, and what of.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    surfaces = {d.spec.key: d.spec for d in definitions if isinstance(d.spec, Surface)}
    windows_ms = {key: max(1, round(s.join_window_s * 1000)) for key, s in surfaces.items()}
    since_ms = now_ms - DAY_MS - max(windows_ms.values(), default=0)
    traffic = {t.surface: t for t in checkup.traffic(windows_ms, since_ms, now_ms)}
    for definition in definitions:
        spec = definition.spec
        if not isinstance(spec, PolicySpec) or not spec.learns or spec.surface not in surfaces:
            continue
        newest = reports.snapshots(spec.key, now_ms, limit=1)
        yield from _learner(
            spec.key, newest, traffic.get(spec.surface), now_ms - windows_ms[spec.surface], now_ms
        )


def _learner(
    key: str,
    newest: Sequence[SnapshotCounts],
    traffic: Traffic | None,
    closed_ms: int,
    now_ms: int,
) -> Iterator[Finding]:
    area = f"policy {key}"
    if not newest:
        if traffic is not None and traffic.closed_n:
            yield problem(
                area, "not_learning",
                f"{traffic.closed_n} decisions are ready to be learned, and it has no snapshot.",
                "a snapshot a second or so after the first join window has ended",
                "Start `bandit learn`, or `bandit up`, which runs it, and look at its log.",
            )  # fmt: skip
        else:
            yield fine(area, "Nothing is ready to be learned yet.")
        return
    snapshot = newest[0]
    lag_ms = min(traffic.newest_ms, closed_ms) - snapshot.watermark_ms if traffic else 0
    if lag_ms > LAG_MS:
        make = problem if lag_ms > BAD_LAG_MS else warning
        yield make(
            area, "learner_behind",
            f"It has learned nothing of {duration(lag_ms)} of decisions that are ready.",
            "seconds",
            "Look at the learner's log, then at drains (silent or behind) and streams (holes).",
        )  # fmt: skip
    else:
        yield fine(
            area,
            f"Snapshot {snapshot.number}, {duration(now_ms - snapshot.created_ms)} old, learned "
            f"from {snapshot.trained} decisions with a reward and {snapshot.defaulted} without.",
        )
    yield from _odd_rewards(area, snapshot)


def _odd_rewards(area: str, snapshot: SnapshotCounts) -> Iterator[Finding]:
    rewards_n = snapshot.trained + snapshot.late + snapshot.orphan
    if rewards_n < NEED_N:
        return
    orphan, late = snapshot.orphan / rewards_n, snapshot.late / rewards_n
    if orphan > ODD_SHARE:
        yield warning(
            area, "many_orphans",
            f"{snapshot.orphan} rewards were for no decision or slot that it knows ({orphan:.0%}).",
            f"less than {ODD_SHARE:.0%}",
            "Check that rewards carry the event_id and a slot of the answer they are for.",
        )  # fmt: skip
    if late > ODD_SHARE:
        yield warning(
            area, "many_late",
            f"{snapshot.late} rewards came after their join window ({late:.0%}).",
            f"less than {ODD_SHARE:.0%}",
            "Lengthen the surface's join_window_s, or send rewards earlier.",
        )  # fmt: skip


def propensity_findings(checkup: Checkup, now_ms: int) -> Iterator[Finding]:
    """Whether the propensities of the last day can be those that were drawn with.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    for found in checkup.propensities(now_ms - DAY_MS):
        yield _propensity(found)


def _propensity(found: Propensities) -> Finding:
    area = f"policy {found.policy}"
    must_be = "every propensity the probability that the action was drawn with"
    then = (
        "Believe no off-policy value of it, and stop its learners: `bandit replay` says which "
        "decisions do not come out as logged."
    )
    if found.mismatches_n:
        return problem(
            area, "propensity_mismatch",
            f"{found.mismatches_n} of {found.decisions_n} propensities are not what their own pmf "
            "says.",
            must_be, then,
        )  # fmt: skip
    if found.spread >= NEED_SPREAD and abs(found.inverse_z) > ALARM_Z:
        return problem(
            area, "propensity_alarm",
            f"Rare actions were drawn {'more' if found.inverse_z > 0 else 'less'} often than "
            f"logged (z = {found.inverse_z:+.1f} over {found.decisions_n} decisions).",
            must_be, then,
        )  # fmt: skip
    return fine(area, f"The propensities of {found.decisions_n} decisions agree with their draws.")


def split_findings(
    reports: Reports, definitions: Sequence[Definition], now_ms: int
) -> Iterator[Finding]:
    """Whether running experiments split units as they were told to.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    for definition in definitions:
        spec = definition.spec
        if not isinstance(spec, Experiment) or spec.status != "running":
            continue
        units = reports.variant_units(Members(spec.key, spec.surface or "", now_ms))
        split = srm(units.by_variant, _shares(spec))
        area = f"experiment {spec.key}"
        if split.verdict == "mismatch":
            yield problem(
                area, "srm",
                f"Units are not split as allocated (p = {split.p_value:.1g}): "
                f"{dict(sorted(split.observed.items()))}.",
                f"about {({key: round(n) for key, n in sorted(split.expected.items())})}",
                "Do not read its effects. Look for a variant whose decisions are lost: crashes, "
                "redirects, bots, a cache before it.",
            )  # fmt: skip
        else:
            yield fine(area, f"{sum(split.observed.values())} units, split as allocated.")


def _shares(spec: Experiment) -> Mapping[str, float]:
    return {
        variant.key: sum(high - low for low, high in variant.allocation) / BUCKETS
        for variant in spec.variants
    }
