"""What was exported is known, and decisions can be taken out of it."""

from pathlib import Path

import pytest

from bandit.service.exports import NAME, Exported, Exports

LINES = [b'{"EventId":"%d","a":[{"c":1}]}\n' % n for n in range(4)]


@pytest.fixture
def exports(tmp_path: Path) -> Exports:
    return Exports(tmp_path / "data")


def test_exports_are_noted_by_where_they_really_went(
    exports: Exports, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    exports.note(Path("log.dsjson"), "home", now_ms=1)
    exports.note(None, "home", now_ms=2)
    assert exports.all() == [
        Exported(path=str(tmp_path / "log.dsjson"), surface="home", at_ms=1),
        Exported(path="", surface="home", at_ms=2),
    ]


def test_a_line_that_was_cut_off_hides_no_other(exports: Exports, tmp_path: Path) -> None:
    exports.note(Path("/a"), "home", now_ms=1)
    with (tmp_path / "data" / NAME).open("ab") as file:
        file.write(b'{"path":"/b","surf\n')
    exports.note(Path("/c"), "home", now_ms=2)
    assert [one.path for one in exports.all()] == ["/a", "/c"]


def test_lines_of_decisions_are_taken_out(exports: Exports, tmp_path: Path) -> None:
    file, other = tmp_path / "log.dsjson", tmp_path / "other.dsjson"
    rubbish = b"no line of ours \xff\n"
    file.write_bytes(b"".join([*LINES, rubbish]))
    other.write_bytes(LINES[0])
    (tmp_path / "log.dsjson.part").write_bytes(LINES[1])
    for path in (file, file, other, tmp_path / "moved"):
        exports.note(path, "home", now_ms=1)
    exports.note(None, "home", now_ms=1)
    inode = other.stat().st_ino
    purged = exports.purge({"1", "3", "5"})
    assert purged == (["1", "3"], [str(tmp_path / "moved")], 1)
    assert file.read_bytes() == LINES[0] + LINES[2] + rubbish
    assert other.stat().st_ino == inode
    assert not (tmp_path / "log.dsjson.part").exists()
    assert exports.purge({"1"}).event_ids == []


def test_nothing_was_exported(exports: Exports) -> None:
    assert exports.all() == []
    assert exports.purge({"1"}) == ([], [], 0)
