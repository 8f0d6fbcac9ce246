"""The Streamlit edge: read a report, draw it."""
