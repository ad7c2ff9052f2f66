"""The journal: append-only, hash-chained, fsynced. Every document of a rollback is derived from it."""

from __future__ import annotations

import hashlib
import json
import os
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback import private
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Entry", "Journal"]

_START = "0" * 64


@dataclass(frozen=True)
class Entry:
    """One line of the journal.

    Attributes:
        at: UTC, ISO 8601.
        mono: seconds of the host's monotonic clock, for durations within one boot.
        run: id of the run it belongs to.
        event: "begin", "intent", "done", "skipped", "missed", "failed", "undone", "end", "release", "bad" ...
        data: what the event says; never a secret.
    """

    seq: int
    at: str
    mono: float
    run: str
    event: str
    data: dict[str, Any]
    previous: str

    def digest(self) -> str:
        """SHA-256 over the canonical form of this entry, the chain included."""
        body = [self.seq, self.at, self.mono, self.run, self.event, self.data, self.previous]
        return hashlib.sha256(json.dumps(body, sort_keys=True).encode()).hexdigest()

    def line(self) -> str:
        """The entry as it stands in the file."""
        return json.dumps({**self.__dict__, "hash": self.digest()}, sort_keys=True) + "\n"


@dataclass(frozen=True)
class Journal:
    """The journal of one deployment."""

    path: Path

    def entries(self) -> list[Entry]:
        """All whole entries; a last line cut by a kill is not an entry.

        Raises:
            Failed: when the chain is broken: a line was changed, put in, or removed from among others. Lines that were
                cut off at the end, or all written anew, break no chain: only a hash that is kept elsewhere shows them.
        """
        if not self.path.exists():
            return []
        found: list[Entry] = []
        for number, line in enumerate(self._whole_lines(), start=1):
            entry = self._parsed(line, number)
            expected = found[-1].digest() if found else _START
            if entry.previous != expected or entry.seq != len(found) + 1:
                raise self._broken(number)
            found.append(entry)
        return found

    def append(self, run: str, event: str, **data: Any) -> Entry:
        """Write one entry and return when it is on the disk.

        Raises:
            Failed: when the chain is broken, or the disk did not take the whole entry.
        """
        past = self.entries()
        previous = past[-1].digest() if past else _START
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        entry = Entry(len(past) + 1, now, time.monotonic(), run, event, data, previous)
        try:
            private.folder(self.path.parent)
            self._cut_torn_line()
            self._write(entry.line().encode())
        except OSError as error:
            raise Failed(f"{self.path} cannot be written: {error.strerror}.", "make room on its disk") from error
        return entry

    def _write(self, line: bytes) -> None:
        handle = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            if os.write(handle, line) != len(line):
                raise Failed(f"{self.path} took only a part of an entry.", "make room on its disk")
            os.fsync(handle)
        finally:
            os.close(handle)

    def unfinished(self) -> str | None:
        """The id of a run that began and did not end."""
        open_runs: dict[str, bool] = {}
        for entry in self.entries():
            if entry.event == "begin":
                open_runs[entry.run] = True
            elif entry.event == "end":
                open_runs.pop(entry.run, None)
        return next(iter(open_runs), None)

    def of(self, run: str) -> list[Entry]:
        """The entries of one run, in order."""
        return [entry for entry in self.entries() if entry.run == run]

    def torn(self) -> bool:
        """Whether the last line was cut off by a kill; the next entry takes its place."""
        data = self.path.read_bytes() if self.path.exists() else b""
        return bool(data) and not data.endswith(b"\n")

    def _whole_lines(self) -> list[str]:
        """Cut at line feeds alone: what other separators would hide has to break the chain."""
        text = self.path.read_bytes().decode(errors="replace")
        return [f"{line}\n" for line in text.split("\n")[:-1]]

    def _cut_torn_line(self) -> None:
        if self.torn():
            os.truncate(self.path, self.path.read_bytes().rfind(b"\n") + 1)

    def _parsed(self, line: str, number: int) -> Entry:
        try:
            raw = json.loads(line)
            del raw["hash"]
            entry = Entry(**raw)
        except (ValueError, TypeError, KeyError):
            raise self._broken(number) from None
        if entry.line() != line:
            raise self._broken(number)
        return entry

    def _broken(self, number: int) -> Failed:
        return Failed(
            f"{self.path} was changed after it was written: line {number} does not match the chain.",
            "keep the file as evidence, find out who wrote to it, then move it aside",
        )
