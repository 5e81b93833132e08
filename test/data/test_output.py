"""Files of long work: known to be writable beforehand, written whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wm_planner.data.output import Interrupted, require_writable, write_whole


def test_where_nothing_can_be_written_is_said_beforehand(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match=r"output .*/file/report\.json cannot be written: .*choose another place"):
        require_writable(tmp_path / "file" / "report.json")
    with pytest.raises(ValueError, match=r"is a folder, expected a file; name one in it"):
        require_writable(tmp_path)


def test_asking_makes_the_folder_and_leaves_what_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    require_writable(path)
    assert list(path.parent.iterdir()) == []
    path.write_text("old")
    require_writable(path)
    assert path.read_text() == "old"


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "report.json"
    write_whole(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_whole(path, "new\ud800")
    assert path.read_text() == "old"
    write_whole(path, "new")
    assert path.read_text() == "new"
    assert [file.name for file in path.parent.iterdir()] == ["report.json"]


def test_what_is_no_file_is_written_to_and_stays_what_it_is(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    require_writable(pipe)
    write_whole(pipe, "report")
    assert os.read(end, 100) == b"report"
    assert pipe.is_fifo()
    os.close(end)


def test_an_early_end_says_how_far_it_got_and_why() -> None:
    assert str(Interrupted("1 of 2 trials", KeyboardInterrupt())) == "ended after 1 of 2 trials: KeyboardInterrupt"
    early = Interrupted("1 of 2 trials", TimeoutError("no answer"), {"n": 1})
    assert str(early) == "ended after 1 of 2 trials: TimeoutError: no answer"
    assert early.finished == {"n": 1}
