"""Effects of an experiment by the values of its segments."""

from collections.abc import Sequence

import streamlit as st

from bandit.service.reporting_payloads import SegmentFinding, SegmentRow
from bandit.service.reporting_words import effect_in_words, in_words, number, segment_in_words
from dashboard.parts import show_list, show_table


def show_segments(segments: Sequence[SegmentFinding]) -> None:
    """What may be said, and below it every number, corrected."""
    if not segments:
        return
    st.header("Segments", anchor=False)
    show_list([segment_in_words(found) for found in segments])
    with st.expander("Effects by segment"):
        show_table([segment_row(found, row) for found in segments for row in found.rows])
        st.caption(
            "Intervals are corrected for one another. *Believed* is the effect pulled towards that "
            "of all units, the more the less is known of the segment."
        )
        show_list(left_out_texts(segments))


def segment_row(found: SegmentFinding, row: SegmentRow) -> dict[str, str]:
    """A line of the table of segments."""
    return {
        "by": found.by,
        "value": row.value or "others",
        "metric": found.metric,
        "comparison": f"{found.treatment} − {found.control}",
        "effect": effect_in_words(row.effect),
        "relative": effect_in_words(row.effect, relative=True),
        "believed": number(row.shrunk, sign="+"),
        "differs": "yes" if row.differs else "can not be told",
    }


def left_out_texts(segments: Sequence[SegmentFinding]) -> list[str]:
    """Values that were not compared."""
    return [
        f"{found.metric} by {found.by}: {', '.join(v or 'others' for v in found.left_out)} – "
        f"{in_words(['few_units'])}."
        for found in segments
        if found.left_out
    ]
