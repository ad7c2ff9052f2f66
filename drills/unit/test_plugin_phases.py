"""The phases of a drill are timed, told and kept, also the one that goes wrong."""

from __future__ import annotations

import os
import pty
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fixtures.phases import Phases

pytest_plugins = ("pytester",)
ROOT = Path(__file__).parents[2]


@dataclass
class Told:
    """Keeps what it is told."""

    lines: list[str] = field(default_factory=list)

    def opening(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)

    def closing(self, line: str) -> None:
        """Keep the line."""
        self.lines.append(line)


def test_phases_are_collected_in_order_with_their_seconds() -> None:
    """Each phase is one entry, in the order in which they ended."""
    phases = Phases(Told())
    for name in ("inject", "rollback"):
        with phases(name):
            pass
    assert [phase.name for phase in phases.recorded] == ["inject", "rollback"]
    assert all(0 <= phase.seconds < 1 for phase in phases.recorded)


def test_a_phase_that_raises_is_recorded_and_passes_the_error_on() -> None:
    """The line names the error; nothing is swallowed."""
    told = Told()
    phases = Phases(told)
    with pytest.raises(RuntimeError, match="no engine"), phases("inject"):
        raise RuntimeError("no engine")
    assert [phase.name for phase in phases.recorded] == ["inject"]
    assert told.lines[-1].endswith("stopped by RuntimeError")


def test_phases_show_while_output_is_captured(pytester: pytest.Pytester) -> None:
    """Without a terminal, each phase is one plain line, although pytest captures what tests print."""
    pytester.makeconftest(f"import sys; sys.path.insert(0, {str(ROOT)!r})")
    pytester.makepyfile("""
        from fixtures.phases import Phases, terminal
        def test_drill(request):
            phases = Phases(terminal(request.config))
            print("out of the test")
            with phases("inject"): pass
            with phases("rollback"): pass
    """)
    ran = pytester.runpytest_subprocess("-p", "no:faker")
    ran.stdout.re_match_lines([r"  inject +\d+\.\d s$", r"  rollback +\d+\.\d s$"])
    assert "out of the test" not in ran.stdout.str()
    assert "..." not in ran.stdout.str()


def test_on_a_terminal_the_running_phase_shows(pytester: pytest.Pytester) -> None:
    """A phase is on the screen while it runs; its line is replaced when it ends."""
    pytester.makeconftest(f"import sys; sys.path.insert(0, {str(ROOT)!r})")
    pytester.makepyfile("""
        from fixtures.phases import Phases, terminal
        def test_drill(request):
            with Phases(terminal(request.config))("inject"): pass
    """)
    said = bytearray()

    def read(descriptor: int) -> bytes:
        chunk = os.read(descriptor, 4096)
        said.extend(chunk)
        return chunk

    status = pty.spawn([sys.executable, "-m", "pytest", "-q", "-p", "no:faker"], read)
    assert status == 0
    assert re.search(rb"\r  inject \.\.\. +\r  inject +\d+\.\d s", bytes(said)), bytes(said)


def test_a_worker_says_nothing(pytester: pytest.Pytester) -> None:
    """With workers there is no place for a live view, and the drill runs all the same."""
    pytester.makeconftest(f"import sys; sys.path.insert(0, {str(ROOT)!r})")
    pytester.makepyfile("""
        from fixtures.phases import Phases, terminal
        def test_drill(request):
            phases = Phases(terminal(request.config))
            with phases("inject"): pass
            assert len(phases.recorded) == 1
    """)
    ran = pytester.runpytest_subprocess("-p", "no:faker", "-n1")
    ran.assert_outcomes(passed=1)
    assert "inject" not in ran.stdout.str()
