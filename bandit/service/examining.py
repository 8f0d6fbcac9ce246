"""All that can be looked at on a host and in its store: for `bandit doctor` and the dashboard."""

from collections.abc import Callable, Iterator, Mapping

from bandit.errors import BanditError
from bandit.journal.disk import Disk
from bandit.journal.pressure import Watermarks
from bandit.logs import scrubbed
from bandit.service import examining_host as host
from bandit.service import examining_store as stores
from bandit.service import examining_surfaces as surfaces
from bandit.service.examining_reports import report_findings
from bandit.service.findings import Finding, problem
from bandit.service.metering import FOLDER
from bandit.settings import Settings
from bandit.store.checkup import Checkup
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.kept import KeptNumbers
from bandit.store.reports import Reports


def host_findings(settings: Settings, environ: Mapping[str, str], now_ms: int) -> Iterator[Finding]:
    """This host: settings, disk, secrets, journal, processes.

    Args:
        settings: Of this process.
        environ: That they were read from.
        now_ms: The time now.
    """
    yield from host.settings_findings(settings, environ)
    space = Disk().space
    watermarks = Watermarks(
        settings.disk_warn_share,
        settings.disk_optional_share,
        settings.disk_full_share,
        settings.disk_headroom_bytes,
    )
    yield from looked_at(
        ("data directory", lambda: host.directory_findings(settings.data_dir, watermarks, space)),
        ("secrets", lambda: host.secrets_findings(settings)),
        ("journal", lambda: host.journal_findings(settings.journal_dir, now_ms)),
        ("processes", lambda: host.sheet_findings(settings.data_dir / FOLDER, now_ms)),
    )


def looked_at(*parts: tuple[str, Callable[[], Iterator[Finding]]]) -> Iterator[Finding]:
    """What parts find; one that can not be looked at is told, and the others are looked at."""
    for area, look in parts:
        try:
            yield from look()
        except (BanditError, OSError) as exc:
            yield problem(
                area, "not_looked_at", f"It could not be looked at: {scrubbed(str(exc))[:300]}.",
                "an answer in time, to the user that runs this",
                "Run it as the user that runs `bandit`; if it is ClickHouse, look at its own log.",
            )  # fmt: skip


def store_findings(store: Store, now_ms: int, silent_after_ms: int) -> Iterator[Finding]:
    """The store: tables, drains, holes, surfaces, policies, propensities, experiments, keys.

    Args:
        store: Which; a reader's will do.
        now_ms: The time now.
        silent_after_ms: A host that has said nothing for longer is told of.

    Raises:
        StoreUnavailable: Nobody answers.
    """
    checkup, at_ms = Checkup(store), now_ms
    found = list(stores.server_findings(checkup, at_ms))
    yield from found
    if any(each.code in ("no_database", "migration_missing") for each in found):
        return  # what is looked at next is not there
    reports = Reports(store)
    definitions = Definitions(store).all()
    yield from looked_at(
        (
            "drains",
            lambda: stores.drain_findings(checkup, at_ms, silent_after_ms),
        ),
        ("streams", lambda: stores.stream_findings(checkup, at_ms)),
        ("surfaces", lambda: surfaces.surface_findings(checkup, definitions, at_ms)),
        ("policies", lambda: surfaces.learner_findings(reports, checkup, definitions, at_ms)),
        ("propensities", lambda: surfaces.propensity_findings(checkup, at_ms)),
        ("experiments", lambda: surfaces.split_findings(reports, definitions, at_ms)),
        ("reports", lambda: report_findings(KeptNumbers(store), definitions, at_ms)),
        ("keys", lambda: stores.key_findings(checkup, at_ms)),
    )
