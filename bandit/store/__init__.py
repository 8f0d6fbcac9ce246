"""ClickHouse: the log, the bus, the model store, the definitions."""
