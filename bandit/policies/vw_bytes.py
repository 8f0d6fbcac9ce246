"""Vowpal Wabbit's serialised model, taken apart for a digest.

VW keeps no digest of what was learned, its bytes are not canonical, and its table of weights can
not be read with several models in one: VW crashes on that.
"""

import hashlib
import struct

import numpy as np

_SIZE = struct.Struct("<I")
# The letter m, least and largest label, bits, lda, numbers of ngrams and skips.
_LABELS_AND_BITS = 1 + 4 + 4 + 4 + 4 + 4 + 4


def digest_of(model: bytes, untrained: bytes, *, floats: int) -> str:
    """SHA-256, in hex, over a model's options (with its random state) and its weights.

    VW writes a header, the options, counters of a fixed size, and then a row for each weight that
    was touched: index (u32) and the floats it learns by. A model that learned nothing has no rows,
    so its length tells where they begin. The counters are left out: some are padding, and sums of
    losses that nobody loads.

    Args:
        model: As VW serialises it (9.9.0).
        untrained: A model with the same arguments that has learned nothing.
        floats: In a row.
    """
    options, counters = _options_and_rest(model)
    rows = counters[len(_options_and_rest(untrained)[1]) :]
    table = np.frombuffer(rows, dtype=[("index", "<u4"), ("floats", "<f4", (floats,))])
    index, learned = table["index"], table["floats"] + np.float32(0.0)  # no -0.0
    assert (index[1:] > index[:-1]).all(), "rows of a model begin elsewhere"
    touched = learned.any(axis=1)
    digest = hashlib.sha256(options)
    digest.update(index[touched].tobytes())
    digest.update(learned[touched].astype("<f4").tobytes())
    return digest.hexdigest()


def _options_and_rest(model: bytes) -> tuple[bytes, bytes]:
    _, after = _sized(model, 0)  # version
    _, after = _sized(model, after)  # id
    options, after = _sized(model, after + _LABELS_AND_BITS)
    return options, model[after:]


def _sized(model: bytes, at: int) -> tuple[bytes, int]:
    (size,) = _SIZE.unpack_from(model, at)
    at += _SIZE.size
    return model[at : at + size], at + size
