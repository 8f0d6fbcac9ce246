"""The embedded ClickHouse: one process that owns one chDB directory and speaks HTTP.

`application.Application` is the ASGI application, `engine.Engine` the only module that knows
chDB, `request.decode` what a client sent, `running.Run` one statement from its handle to its end.
Everything a client is refused with is a `refusal.Refusal`: ClickHouse's code, name and text, and
an HTTP status.

Spoken: what clickhouse-connect 1.x sends (`tests/contracts/test_clickhouse_protocol.py`).
Not spoken: `INSERT … SELECT … FROM input()`, ClickHouse's own block compression (`compress=1`),
progress headers, quotas and roles, `FROM INFILE` and `INTO OUTFILE`, several statements at once.
"""
