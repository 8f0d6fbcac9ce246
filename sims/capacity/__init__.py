"""Capacity: a discrete-event model of the whole service, calibrated by measurement.

`events` is the engine, `calibration` what was measured of a machine, `model` the service as queues,
`demand` what users ask of it, and `planning` says what that needs and what saturates first.
`bandit simulate capacity` runs it.
"""
