"""What can not be delivered is set aside beside its segments: never lost, never in the way."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import msgspec

from bandit.journal.base import Numbers
from bandit.journal.blocks import Block
from bandit.journal.frames import Header, encode, encode_header
from bandit.journal.reader import Spoilt
from bandit.journal.segments import LOST_SUFFIX, REJECTED, SUFFIX

DOUBTFUL_SUFFIX = ".doubtful"
DOUBTFUL_BYTES = 256 * 2**20
"""When so much is kept of segments of which records are gone without a trace, no more is."""


class Quarantine:
    """The folders `<root>/<writer>/rejected/`.

    Names are made from the content, so that setting the same thing aside twice leaves one file.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def put_rows(self, block: Block) -> Path:
        """Set a block's records aside as a segment, which moved back is delivered again."""
        frames = [encode(*entry) for entry in block.entries]
        data = encode_header(Header(writer=block.writer)) + b"".join(frames)
        return self._write(block.writer, f"{block.table}-{block.token}{SUFFIX}", data)

    def put_bytes(self, writer: str, segment: str, spoilt: Spoilt) -> Path:
        """Set bytes that hold no record aside as they are; a good frame as a segment."""
        name = f"{segment.removesuffix(SUFFIX)}-{spoilt.start}"
        if spoilt.holds == "frame":
            data = encode_header(Header(writer=writer)) + spoilt.data
            return self._write(writer, f"{name}{SUFFIX}", data)
        suffix = SUFFIX if spoilt.holds == "segment" else ".damaged"
        return self._write(writer, f"{name}{suffix}", spoilt.data)

    def keep(self, segment: Path) -> Path | None:
        """Keep a segment as evidence once it is delivered; until then it takes no further room.

        None if so much is kept already that more would tell nothing new.
        """
        kept = self._root.glob(f"*/{REJECTED}/*{DOUBTFUL_SUFFIX}")
        if sum(path.stat().st_size for path in kept) >= DOUBTFUL_BYTES:
            return None
        folder = segment.parent / REJECTED
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{segment.stem}{DOUBTFUL_SUFFIX}"
        path.unlink(missing_ok=True)
        try:
            os.link(segment, path)
        except OSError:  # a file system without links
            return self._write(segment.parent.name, path.name, segment.read_bytes())
        return path

    def put_numbers(self, lost: Sequence[Numbers]) -> Path:
        """Note numbers of one writer that its segments do not hold any more."""
        data = msgspec.json.encode(lost)
        name = hashlib.blake2b(data, digest_size=8).hexdigest()
        return self._write(lost[0].writer, f"{name}{LOST_SUFFIX}", data)

    def _write(self, writer: str, name: str, data: bytes) -> Path:
        folder = self._root / writer / REJECTED
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        made = path.with_suffix(".new")
        with made.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        made.rename(path)
        return path


def restore(root: Path) -> int:
    """Move what was set aside as segments back for delivery; how many they were."""
    rejected = sorted(root.glob(f"*/{REJECTED}/*{SUFFIX}"))
    for path in rejected:
        path.rename(path.parents[1] / path.name)
    return len(rejected)
