"""Where tests keep files that are written and synchronised all the time."""

import os
import shutil

_MEMORY = "/dev/shm"


def memory(room_bytes: int = 16 << 20) -> str | None:
    """A folder whose files are in memory; None where there is none with so much room.

    None is what `tempfile` takes for its usual folder: there it is the same, and slower.
    """
    if not os.access(_MEMORY, os.W_OK) or shutil.disk_usage(_MEMORY).free < room_bytes:
        return None
    return _MEMORY
