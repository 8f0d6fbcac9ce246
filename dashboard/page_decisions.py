"""Decisions: why one came out as it did, what came back for it, and whether it replays."""

from dashboard.parts import choose_surface, open_surface_page, show_age
from dashboard.source import Source


def render(source: Source) -> None:
    """Draw the page."""
    overview = open_surface_page(source, "Decisions")
    if overview is None:
        return
    choose_surface(overview)
    show_age(overview.as_of_ms, "")
