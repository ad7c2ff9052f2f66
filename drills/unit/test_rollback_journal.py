"""The journal: what was written cannot be changed unseen, and a kill in the middle of a line loses nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from rollback.journal import Entry, Journal
from rollback.outcome import Exit, Failed

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

Lines = list[bytes]


def journal(folder: Path, count: int = 5) -> Journal:
    """A journal with some entries."""
    made = Journal(folder / "journal.jsonl")
    for number in range(count):
        made.append("r1", "done", step=f"Schritt {number} ü", seen="line\nbreak \u2028 here")
    return made


def lines(one: Journal) -> Lines:
    """Its lines as they lie on the disk."""
    return one.path.read_bytes().splitlines(keepends=True)


def test_what_was_appended_is_read_back(tmp_path: Path) -> None:
    """Entries come back in order and as they were, each chained to the one before."""
    found = journal(tmp_path).entries()
    assert [one.seq for one in found] == [1, 2, 3, 4, 5]
    assert [one.data["step"] for one in found] == [f"Schritt {number} ü" for number in range(5)]
    assert found[0].data["seen"] == "line\nbreak \u2028 here"
    assert [one.previous for one in found[1:]] == [one.digest() for one in found[:-1]]
    assert found[0].previous == "0" * 64


def test_no_file_is_an_empty_journal(tmp_path: Path) -> None:
    """A deployment without a journal has no history and no open run; reading makes no file."""
    nothing = Journal(tmp_path / "journal.jsonl")
    assert (nothing.entries(), nothing.unfinished(), nothing.of("r1")) == ([], None, [])
    assert not nothing.path.exists()


def test_the_journal_is_private_and_only_grows(tmp_path: Path) -> None:
    """Nobody else reads it, and an append leaves every earlier byte as it was."""
    one = journal(tmp_path, 2)
    before = one.path.read_bytes()
    one.append("r1", "end", outcome="done")
    assert one.path.stat().st_mode & 0o777 == 0o600
    assert one.path.read_bytes().startswith(before)
    assert len(lines(one)) == 3


def test_times_are_utc_and_in_order(tmp_path: Path) -> None:
    """Wall time is ISO 8601 in UTC, monotonic time never runs back."""
    found = journal(tmp_path).entries()
    assert all(one.at.endswith("+00:00") for one in found)
    assert [one.mono for one in found] == sorted(one.mono for one in found)


@pytest.mark.parametrize(
    "change",
    [{"seq": 9}, {"at": "x"}, {"mono": 0.0}, {"run": "r2"}, {"event": "end"}, {"data": {}}, {"previous": "f" * 64}],
    ids=["seq", "at", "mono", "run", "event", "data", "previous"],
)
def test_every_field_counts_for_the_chain(change: dict[str, object]) -> None:
    """No field of an entry can change without its hash changing."""
    entry = Entry(1, "now", 1.0, "r1", "done", {"step": "a"}, "0" * 64)
    changed = replace(entry, **change)  # type: ignore[arg-type]
    assert changed.digest() != entry.digest()


def edited(line: bytes, **fields: object) -> bytes:
    """A line with other fields and the hash it had."""
    return json.dumps({**json.loads(line), **fields}, sort_keys=True).encode() + b"\n"


def forged(line: bytes, **fields: object) -> bytes:
    """A line with other fields and the hash that is right for them."""
    raw = {key: value for key, value in {**json.loads(line), **fields}.items() if key != "hash"}
    return Entry(**raw).line().encode()


def at(index: int, change: Callable[[bytes], bytes]) -> Callable[[Lines], Lines]:
    """Change one line."""
    return lambda all_lines: [*all_lines[:index], change(all_lines[index]), *all_lines[index + 1 :]]


TAMPERED: dict[str, tuple[Callable[[Lines], Lines], int]] = {
    "changed": (at(2, lambda line: edited(line, event="end")), 3),
    "first changed": (at(0, lambda line: edited(line, run="r9")), 1),
    "last changed": (at(4, lambda line: edited(line, run="r9")), 5),
    "changed and hashed anew": (at(2, lambda line: forged(line, event="end")), 4),
    "changed hash": (at(2, lambda line: edited(line, hash="0" * 64)), 3),
    "no hash": (at(2, lambda line: line.replace(b'"hash"', b'"hush"')), 3),
    "one letter": (at(2, lambda line: line.replace(b"Schritt", b"Schrift")), 3),
    "removed": (lambda all_lines: [*all_lines[:2], *all_lines[3:]], 3),
    "first removed": (lambda all_lines: all_lines[1:], 1),
    "removed and numbered anew": (lambda x: [*x[:2], forged(x[3], seq=3), forged(x[4], seq=4)], 3),
    "inserted": (lambda all_lines: [*all_lines[:2], all_lines[0], *all_lines[2:]], 3),
    "repeated": (lambda all_lines: [*all_lines, all_lines[-1]], 6),
    "inserted with a right hash": (lambda x: [*x[:2], forged(x[2], event="end"), *x[2:]], 4),
    "put before a line, hidden by a vertical tab": (at(2, lambda line: b"{}\x0b" + line), 3),
    "put before a line, hidden by a line separator": (at(2, lambda line: "{}\u2028".encode() + line), 3),
    "another line end": (at(2, lambda line: line[:-1] + b"\r\n"), 3),
    "a space more": (at(2, lambda line: line.replace(b"{", b"{ ", 1)), 3),
    "a key twice": (at(2, lambda line: line.replace(b"{", b'{"event": "end", ', 1)), 3),
    "reordered": (lambda x: [x[0], x[2], x[1], *x[3:]], 2),
    "reversed": (lambda all_lines: all_lines[::-1], 1),
    "blank line": (lambda x: [*x[:2], b"\n", *x[2:]], 3),
    "no JSON": (at(2, lambda _: b"nothing to see here\n"), 3),
    "JSON of another kind": (at(2, lambda _: b"[1, 2]\n"), 3),
    "a number": (at(2, lambda _: b"5\n"), 3),
    "a field more": (at(2, lambda line: edited(line, note="x")), 3),
    "a field less": (at(2, lambda line: line.replace(b'"run"', b'"ran"')), 3),
    "not UTF-8": (at(2, lambda line: line.replace(b"Schritt", b"\xff\xfe")), 3),
}  # fmt: skip


@pytest.mark.parametrize(("tamper", "number"), TAMPERED.values(), ids=TAMPERED)
def test_a_journal_that_was_changed_is_refused(tmp_path: Path, tamper: Callable[[Lines], Lines], number: int) -> None:
    """Every change is found, the sentence names the file and the line, and nothing is appended after it."""
    one = journal(tmp_path)
    changed = b"".join(tamper(lines(one)))
    assert changed != one.path.read_bytes()
    one.path.write_bytes(changed)
    with pytest.raises(Failed, match=f"journal.jsonl was changed.*: line {number} does not") as caught:
        one.entries()
    assert caught.value.exit is Exit.INCONCLUSIVE
    with pytest.raises(Failed, match=f"line {number} "):
        one.append("r1", "end", outcome="done")
    assert one.path.read_bytes() == changed


@pytest.mark.parametrize("kept", [1, 10, -2], ids=["one byte", "some bytes", "all but the brace and line end"])
def test_a_torn_last_line_is_no_entry_and_the_next_append_repairs_it(tmp_path: Path, kept: int) -> None:
    """A kill in the middle of a write loses that entry only; the chain goes on from the one before."""
    one = journal(tmp_path)
    *whole, last = lines(one)
    one.path.write_bytes(b"".join(whole) + last[:kept])
    assert [entry.seq for entry in one.entries()] == [1, 2, 3, 4]
    one.append("r1", "end", outcome="done")
    assert [entry.event for entry in one.entries()] == ["done"] * 4 + ["end"]
    assert lines(one)[:4] == whole


def test_a_torn_first_line_leaves_an_empty_journal(tmp_path: Path) -> None:
    """A kill in the very first write leaves nothing, and the journal starts over."""
    one = journal(tmp_path, 1)
    one.path.write_bytes(one.path.read_bytes()[:20])
    assert one.entries() == []
    one.append("r1", "begin")
    assert [(entry.seq, entry.event) for entry in one.entries()] == [(1, "begin")]


@pytest.mark.parametrize(
    ("events", "wanted"),
    [
        ("", None),
        ("a:begin", "a"),
        ("a:begin a:intent a:done", "a"),
        ("a:begin a:end", None),
        ("a:begin a:end b:begin", "b"),
        ("a:begin a:failed", "a"),
        ("a:begin a:resume", "a"),
        ("a:begin a:abort a:undone", "a"),
        ("a:begin a:abort a:end", None),
        ("-:release -:bad x:stopped", None),
        ("a:begin b:end", "a"),
    ],
)
def test_a_run_is_open_from_its_begin_to_its_own_end(tmp_path: Path, events: str, wanted: str | None) -> None:
    """Only the end of the same run closes it; notes outside of runs open none."""
    one = Journal(tmp_path / "journal.jsonl")
    for entry in events.split():
        run, _, event = entry.partition(":")
        one.append(run, event)
    assert one.unfinished() == wanted


def test_a_run_has_its_own_entries(tmp_path: Path) -> None:
    """The entries of a run are those of that run, in order."""
    one = Journal(tmp_path / "journal.jsonl")
    for run, event in [("a", "begin"), ("b", "stopped"), ("a", "end")]:
        one.append(run, event)
    assert [entry.event for entry in one.of("a")] == ["begin", "end"]


def test_an_entry_that_the_disk_did_not_take_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Append returns only when the whole entry is there: a full disk is told, and what is left is repaired."""
    one = journal(tmp_path, 1)
    monkeypatch.setattr("rollback.journal.os.write", half_write(one))
    with pytest.raises(Failed, match="took only a part of an entry"):
        one.append("r1", "end")
    monkeypatch.undo()
    one.append("r1", "begin")
    assert [entry.event for entry in one.entries()] == ["done", "begin"]


def half_write(one: Journal) -> Callable[[int, bytes], int]:
    """A disk that takes half of what it is given, as os.write may."""

    def write(_handle: int, data: bytes) -> int:
        half = data[: len(data) // 2]
        one.path.write_bytes(one.path.read_bytes() + half)
        return len(half)

    return write


def test_a_line_that_was_cut_off_is_known_and_no_empty_journal_is(tmp_path: Path) -> None:
    """A kill in the very first entry leaves something that is no entry: it is told, not taken for nothing."""
    journal = Journal(tmp_path / "journal.jsonl")
    assert not journal.torn()
    journal.path.write_bytes(b"")
    assert not journal.torn()
    journal.path.write_bytes(b'{"seq": 1')
    assert journal.torn()
    journal.append("r1", "begin")
    assert not journal.torn()
    assert len(journal.entries()) == 1
