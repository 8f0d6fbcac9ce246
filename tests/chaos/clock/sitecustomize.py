"""Steps the clock of Python processes that have this folder on PYTHONPATH.

`CHAOS_CLOCK` names a file of eight bytes, the offset in nanoseconds; who writes it steps the wall
clock of all of them at once. The machine's own clock, which others share, stays as it is, and so
does ClickHouse's. Nothing in the product knows of this.
"""

import mmap
import os
import struct
import time

_given = os.environ.get("CHAOS_CLOCK")
if _given:
    with open(_given, "rb") as _file:  # noqa: PTH123 - this runs at the start of every interpreter
        _offset = mmap.mmap(_file.fileno(), 8, prot=mmap.PROT_READ)
    _real_ns = time.time_ns

    def _time_ns() -> int:
        return _real_ns() + struct.unpack("<q", _offset[:8])[0]

    time.time_ns = _time_ns
    time.time = lambda: _time_ns() / 1e9
