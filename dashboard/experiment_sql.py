"""The SQL behind each number of an experiment."""

import streamlit as st

from bandit.service.reporting_sql import ReportSql


def show_sql(found: ReportSql | None, problem: str) -> None:
    """An expander per metric, with its statements and their parameters."""
    st.header("The SQL behind each number", anchor=False)
    if found is None:
        st.markdown(f"It can not be shown now: {problem}.")
        return
    st.caption(
        f"Paste it into `clickhouse-client --database {found.database}`: it makes the same sums "
        "from the log itself. `GET /v1/reports/experiments/" + found.key + "/sql` gives the same."
    )
    for metric in dict.fromkeys(one.metric for one in found.statements):
        with st.expander(f"SQL of {metric}"):
            for one in found.statements:
                if one.metric == metric:
                    st.markdown(f"**{one.name}**: {one.description}")
                    st.code(one.text, language="sql", height=320)
