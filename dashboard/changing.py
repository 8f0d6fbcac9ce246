"""What pages share that change something: a button for who may, and what became of it."""

import streamlit as st

from dashboard.writing import Answer, Writer

READ_ONLY = "This session may only read. Sign in with an API key that has the scope `admin`."


def show_write_button(
    writer: Writer | None, label: str, *, key: str, icon: str | None = None, confirm: str = ""
) -> bool:
    """A button that changes something; for who may not, one that can not be pressed and says why.

    Args:
        writer: Of this session; None if it may only read.
        label: What is done.
        key: Of the widget.
        icon: `:material/…:`.
        confirm: What the change means: it is shown first, with a button of its own.

    Returns:
        Whether it was pressed: then call `writer`, and `show_answer`.
    """
    if writer is None:
        st.button(label, key=key, icon=icon, disabled=True, help=READ_ONLY)
        return False
    if not confirm:
        return st.button(label, key=key, icon=icon)
    with st.popover(label, icon=icon):
        st.markdown(confirm)
        return st.button(label, key=key, type="primary")


def show_answer(answer: Answer, done: str) -> None:
    """What the API said to a change: that it was done, that somebody else was first, or why not."""
    if answer.is_done:
        st.success(done, icon=":material/check_circle:")
    elif answer.is_conflict:
        st.warning(
            f"Nothing was changed, because somebody else changed it meanwhile: {answer.in_words}. "
            "Load it again, and make your change to what is there now.",
            icon=":material/call_merge:",
        )
    else:
        st.error(f"Nothing was changed: {answer.in_words}.", icon=":material/error:")
