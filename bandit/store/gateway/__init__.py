"""The embedded ClickHouse: one process that owns one chDB directory and speaks HTTP."""
