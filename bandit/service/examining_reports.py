"""The numbers of reports: whether somebody keeps them, how old they are, what can not be kept."""

from collections.abc import Iterator, Sequence

from bandit.service.findings import Finding, fine, problem, warning
from bandit.service.reporting_health import REFRESHER_SILENT_MS
from bandit.service.reporting_words import duration
from bandit.specs import Surface
from bandit.store.definitions import Definition
from bandit.store.kept import REFRESHER, KeptNumbers
from bandit.store.numbers_surface import RefresherNumbers

AREA = "reports"
STALE_MS = 600_000
"""A report whose numbers nobody has looked at for longer is worth a look."""


def report_findings(
    kept: KeptNumbers, definitions: Sequence[Definition], now_ms: int
) -> Iterator[Finding]:
    """Whether reports are kept fresh.

    Args:
        kept: Of the store.
        definitions: The newest of everything.
        now_ms: The time now.

    Raises:
        StoreUnavailable: Nobody answers any more.
    """
    if not any(isinstance(definition.spec, Surface) for definition in definitions):
        yield fine(AREA, "Nothing is declared that could be reported.")
        return
    found = kept.newest("refresher", REFRESHER, now_ms)
    silent_ms = None if found is None else now_ms - found.as_of_ms
    if found is None or silent_ms is None or silent_ms > REFRESHER_SILENT_MS:
        since = "" if silent_ms is None else f" for {duration(silent_ms)}"
        yield problem(
            AREA, "no_refresh",
            f"Nobody has kept the numbers of reports{since}: they are old, or each is made from "
            "the whole log.",
            "one `bandit refresh` for all hosts",
            "Start `bandit refresh`, or `bandit up`, which runs it, and look at its log.",
        )  # fmt: skip
        return
    yield from _said(found.numbers, now_ms)


def _said(said: RefresherNumbers, now_ms: int) -> Iterator[Finding]:
    for name, why in said.failing.items():
        yield problem(
            AREA, "report_unkept",
            f"The numbers of {name.replace('/', ' ', 1)} can not be kept: {why}.",
            "numbers that can be made as it is declared",
            "Correct what it says. The report shows the last ones that were kept, and of when.",
        )  # fmt: skip
    behind_ms = now_ms - said.oldest_ms if said.oldest else 0
    if behind_ms > STALE_MS and said.oldest not in said.failing:
        yield warning(
            AREA, "reports_stale",
            f"The numbers of {said.oldest.replace('/', ' ', 1)} were made {duration(behind_ms)} "
            "ago.",
            f"less than {duration(STALE_MS)} ago",
            "It rests ten times as long as it took: see `took_ms` in table kept_numbers, and give "
            "ClickHouse more cores, or report fewer metrics and segments.",
        )  # fmt: skip
    elif not said.failing:
        yield fine(AREA, "Their numbers are kept fresh.")
