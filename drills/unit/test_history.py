"""A history survives the disk, and a torn one is refused."""

import threading
from pathlib import Path

import pytest

from fixtures.history import History, Mark, Recorder, Request, Sample, SignIn, TornHistoryError, Write

REQUEST = Request("post", "write", "/api/projects", "POST", 1, 2, None, ok=False, reason="ä", release=None)
WRITE = Write("segmentation", "k", "j", "d", "i", 1, None, "unknown", None, ((1.0, 2.0, 3.0, 4.0),))
SAMPLE = Sample("ml", 1, 2, ok=True, release="v4.0.0")
WHOLE = History((REQUEST,), (WRITE,), (SAMPLE,), (Mark("rollback started", 1, 2),), (SignIn("u", 1, None, 2, "left"),))


@pytest.mark.parametrize("history", [WHOLE, History()], ids=["whole", "empty"])
def test_what_is_saved_is_loaded(history: History, tmp_path: Path) -> None:
    """What is saved is loaded."""
    history.save(tmp_path / "deep" / "history.jsonl")
    assert History.load(tmp_path / "deep" / "history.jsonl") == history


def test_a_cut_file_is_refused(tmp_path: Path) -> None:
    """A cut file is refused."""
    file = tmp_path / "history.jsonl"
    WHOLE.save(file)
    lines = file.read_text().splitlines(keepends=True)
    for kept in (lines[:-1], lines[1:], [*lines[:2], *lines[3:]], [], [*lines[:-1], lines[-1][:5]]):
        file.write_text("".join(kept))
        with pytest.raises(TornHistoryError):
            History.load(file)


@pytest.mark.parametrize("line", ['{"type":"rumour"}', "[]", '{"type":"sample"}', "no json"])
def test_a_strange_line_is_refused(line: str, tmp_path: Path) -> None:
    """A strange line is refused."""
    file = tmp_path / "history.jsonl"
    WHOLE.save(file)
    file.write_text(line + "\n" + file.read_text())
    with pytest.raises(TornHistoryError, match=r"history\.jsonl:1"):
        History.load(file)


def test_records_come_in_the_order_of_time() -> None:
    """Records come in the order of time."""
    recorder = Recorder()
    for sent in (3.0, 1.0, 2.0):
        recorder.sample(Sample("read", sent, sent, ok=True, release=None))
    assert [sample.sent for sample in recorder.history().samples] == [1.0, 2.0, 3.0]


def test_a_history_does_not_change_after_it_was_taken() -> None:
    """A history does not change after it was taken."""
    recorder = Recorder()
    before = recorder.history()
    recorder.mark("fault injected")
    recorder.request(REQUEST)
    recorder.write(WRITE)
    assert before == History()
    assert len(recorder.history().requests) == 1


def _sampled(recorder: Recorder) -> None:
    for _ in range(500):
        recorder.sample(SAMPLE)


def test_threads_lose_no_record() -> None:
    """Threads lose no record."""
    recorder = Recorder()
    threads = [threading.Thread(target=_sampled, args=(recorder,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(recorder.history().samples) == 2000


def test_marks_are_found_by_name() -> None:
    """Marks are found by name."""
    history = History(marks=(Mark("a", 1, 0), Mark("a", 3, 0)))
    assert (history.first("a"), history.last("a"), history.first("b"), history.last("b")) == (1, 3, None, None)


def test_paths_that_were_not_sampled_are_not_listed() -> None:
    """Paths that were not sampled are not listed."""
    assert WHOLE.paths() == ("ml",)
    assert WHOLE.of("read") == ()
