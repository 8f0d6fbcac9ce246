"""Files of others that are none."""

import gzip
from pathlib import Path

import numpy as np
import pytest

from bandit.errors import RecordError
from bandit.ope import from_dsjson, read_obd

HEAD = "t_s,item_id,position,click,p\n"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no compact Open Bandit file"),
        (HEAD, "no compact Open Bandit file"),
        ("a,b\n1,2\n", "has no column item_id, position, click, p"),
        (HEAD + "0,0,1,x,0.5\n", "could not convert string to float"),
        (HEAD + "0,0.5,1,1,0.5\n", "item_id holds a value that is not whole"),
        (HEAD + "0,7,1,1,0.5\n", r"action is outside 0 … 1"),
        (HEAD + "0,0,9,1,0.5\n", r"position is outside 1 … 2"),
        (HEAD + "0,0,1,1,0\n", r"propensity is 0\.0"),
    ],
)
def test_a_file_that_is_no_open_bandit_log_is_told_why(
    tmp_path: Path, text: str, says: str
) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(text.encode()))
    with pytest.raises(RecordError, match=says):
        read_obd(path, np.full((2, 2), 0.5))


def test_what_is_not_even_packed_is_told_so_and_slots_count_from_0(tmp_path: Path) -> None:
    path = tmp_path / "log.csv.gz"
    path.write_text(HEAD)
    with pytest.raises(RecordError, match="Not a gzipped file"):
        read_obd(path, [0.5, 0.5])
    with pytest.raises(ValueError, match="slot is -1"):
        from_dsjson([], lambda line: [1.0], slot=-1)
