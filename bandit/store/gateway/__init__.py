"""The embedded ClickHouse: one process that owns one chDB directory and speaks HTTP.

`application.Application` is the ASGI application, `engine.Engine` the only module that knows
chDB, `request.decode` what a client sent. Everything a client is refused with is a
`refusal.Refusal`: ClickHouse's code, name and text, and an HTTP status.
"""
