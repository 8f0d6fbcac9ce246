"""The dashboard's composition root: environment, clock, connection, pages.

Streamlit runs this file for every view; what is shared between views is made once in `_source`.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import httpx
import streamlit as st
from streamlit.navigation.page import StreamlitPage

from bandit.errors import BanditError
from bandit.secrets import project_salt
from bandit.service.browsing import DecisionBrowser
from bandit.service.defining import DefinitionService
from bandit.service.evaluation_artefact import EvaluationService
from bandit.service.examining import host_findings, store_findings
from bandit.service.findings import Finding
from bandit.service.promoting import PromotionService
from bandit.service.replaying import ReplayService
from bandit.service.reporting import ReportService
from bandit.service.reporting_actions import ActionReports
from bandit.service.reporting_surface import SurfaceReports
from bandit.service.store_link import StoreLink
from bandit.settings import Settings
from bandit.store.client import Limits, Store
from bandit.store.definitions import Definitions
from bandit.store.opening import open_store
from bandit.store.snapshots import Snapshots
from dashboard import (
    page_bandit,
    page_decisions,
    page_definitions,
    page_experiment,
    page_experiments,
    page_health,
    page_planner,
    page_policies,
    page_simulations,
)
from dashboard.access import Attempts, KeyBook
from dashboard.signing_in import Door, show_door, show_viewer, viewer_of
from dashboard.source import Desk, Source
from dashboard.writing import TIMEOUT_S, Writer

# A file of ours: Streamlit fetches its own icons and emoji for the tab from other hosts.
ICON = Path(__file__).with_name("icon.svg")
LIMITS = Limits(time_s=10.0, memory_bytes=1_000_000_000)
"""What one question of a page may take."""
STORE_S = 15.0
"""How long a page waits for the store: longer than a question may take, so that it says so."""
CALM = """<style>
[data-stale="true"] { opacity: 1 !important; }
[data-testid="stStatusWidget"] { animation: bandit-late 0s 2s backwards; }
@keyframes bandit-late { from { visibility: hidden; } }
</style>"""
"""Pages refresh themselves: numbers do not fade meanwhile, and only a long wait is announced."""
ASKED_S = 2.0
"""How long a page waits to be told what its key may do."""


class Shared(NamedTuple):
    """What all sessions have in common."""

    settings: Settings
    door: Door
    link: StoreLink


@st.cache_resource(show_spinner=False)
def _shared() -> Shared:
    """Made once; nobody is asked anything yet."""
    settings = Settings.from_environ(os.environ)
    connect = partial(
        open_store, settings, os.urandom, readonly=True, timeout_s=STORE_S, limits=LIMITS
    )
    ways = httpx.HTTPTransport(limits=httpx.Limits(max_connections=32))

    def writer(key: str, author: str = "", timeout_s: float = TIMEOUT_S) -> Writer:
        return Writer(
            settings.api_base_url, key, author=author, transport=ways, timeout_s=timeout_s
        )

    door = Door(
        sign_in=settings.sign_in,
        password=settings.dashboard_password or "",
        key=settings.dashboard_key or "",
        allowed=settings.oidc_allowed,
        book=KeyBook(lambda key: writer(key, timeout_s=ASKED_S).who(), monotonic_s=time.monotonic),
        attempts=Attempts(monotonic_s=time.monotonic),
        writer=writer,
    )
    return Shared(settings, door, StoreLink(connect, monotonic_s=time.monotonic))


@st.cache_resource(show_spinner=False, max_entries=64)
def _source(project: str | None) -> Source:
    """One memory of reports for all who see the same project, and for nobody else."""
    shared = _shared()
    return Source(
        lambda: ReportService(
            shared.link.store(),
            _now_ms,
            project,
            silent_after_ms=shared.settings.silent_host_ms,
        ),
        monotonic_s=time.monotonic,
        desk=lambda: _desk(project),
        data_dir=shared.settings.data_dir,
    )


def _desk(project: str | None) -> Desk:
    """What pages about one surface, one decision or this host ask."""
    settings, store = _shared().settings, _shared().link.store()
    evaluations = EvaluationService(store, code_version="", project=project)
    promotions = PromotionService(store, now_ms=_now_ms, new_id=str, project=project)
    return Desk(
        surfaces=SurfaceReports(store, _now_ms, project),
        actions=ActionReports(store, _now_ms, project),
        decisions=DecisionBrowser(store, _now_ms, project, replaying=_replaying()),
        promotions=promotions,
        evaluations=evaluations,
        definitions=DefinitionService(
            lambda: Definitions(store), now_ms=_now_ms, new_id=str, project=project
        ),
        examine=None if project is not None else partial(_examined, settings, store),
    )


@st.cache_resource(show_spinner=False)
def _replaying() -> ReplayService | None:
    """Makes decisions again, if the draws' secret is known; no weights are learned again."""
    settings, link = _shared().settings, _shared().link
    kept = settings.data_dir / "secrets" / "salt"
    if not settings.salt and not kept.exists():  # to ask for it would make another one
        return None
    return ReplayService(
        lambda: Definitions(link.store()),
        lambda: Snapshots(link.store()),
        salt=project_salt(settings, os.urandom),
    )


def _examined(settings: Settings, store: Store) -> tuple[Finding, ...]:
    return (
        *host_findings(settings, os.environ, _now_ms()),
        *store_findings(store, _now_ms(), settings.silent_host_ms),
    )


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def main() -> None:
    """Show the page that the address names, to who may see it."""
    st.set_page_config(page_title="bandit", page_icon=str(ICON), layout="wide")
    st.html(CALM)
    door = _shared().door
    viewer, problem = viewer_of(door, st.session_state)
    if viewer is None:
        # The address is kept, and what it names is shown once they have signed in.
        st.navigation(_pages(_nothing(problem), None), position="hidden")
        show_door(door, problem)
        return
    source = _source(viewer.project).of_viewer(viewer.problem)
    st.navigation(_pages(source, viewer.writer), position="top").run()
    show_viewer(door, viewer)


def _nothing(problem: str) -> Source:
    """A source that tells nobody anything."""

    def refuse() -> ReportService:
        raise BanditError(problem or "sign in first")

    return Source(refuse, monotonic_s=time.monotonic)


def _pages(source: Source, writer: Writer | None) -> list[StreamlitPage]:
    """Every page, in the order of the menu."""

    def page(render: Callable[[], None], title: str, icon: str, path: str = "") -> StreamlitPage:
        path = path or title.lower()
        first = path == "experiments"  # what people see who name no page
        icon = f":material/{icon}:"
        return st.Page(render, title=title, icon=icon, url_path=path, default=first)

    experiment = page(partial(page_experiment.render, source), "Experiment", "science")
    editing = partial(page_definitions.render, source, writer)
    return [
        page(partial(page_experiments.render, source, experiment), "Experiments", "home"),
        experiment,
        page(partial(page_planner.render, source), "Planner", "calculate"),
        page(partial(page_bandit.render, source), "Bandit", "trending_up"),
        page(partial(page_policies.render, source, writer), "Policies", "balance"),
        page(partial(page_decisions.render, source), "Decisions", "manage_search"),
        page(partial(page_health.render, source), "Health", "monitor_heart"),
        page(editing, "Definitions & audit", "edit_document", "definitions"),
        page(partial(page_simulations.render, source), "Simulations", "casino"),
    ]


main()
