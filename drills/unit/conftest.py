"""What more than one module of unit tests asks for: the command as it is typed, and a project of a few drills."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest

from drills.unit.inner_run import CONFTEST, PYPROJECT
from rollback import cli

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Exit code, standard output, standard error.
Said: TypeAlias = tuple[int, str, str]
#: Takes the folder in which it is typed, and the words.
Command: TypeAlias = Callable[..., Said]

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with the reference settings and nothing else; a module that needs more has one of its own."""
    place = tmp_path / "check out ü"
    place.mkdir()
    (place / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    return place


@pytest.fixture
def typed(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The main function in this process, with no docker to be found: as in one of its own, half a second sooner."""

    def command(folder: Path, *words: str) -> Said:
        monkeypatch.chdir(folder)
        monkeypatch.setenv("PATH", str(folder / "nothing here"))
        monkeypatch.setattr("sys.argv", ["rollback", *words])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        out, err = capsys.readouterr()
        return int(str(code)), out, err

    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    monkeypatch.setenv("COLUMNS", "120")
    yield command
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.fixture
def rollback(checkout: Path, typed: Command) -> Callable[..., str]:
    """The command in the checkout: exit code, then what it said; with --json only the document."""

    def command(*words: str) -> str:
        code, out, err = typed(checkout, *words)
        # with --json the lines for people are on standard error
        return f"{code} {out or err}" if "--json" in words else f"{code} {out}{err}"

    return command


@pytest.fixture
def project(pytester: pytest.Pytester) -> pytest.Pytester:
    """Return a project that loads the plugin under test, and nothing else of this one."""
    (pytester.path / "pyproject.toml").write_text(PYPROJECT, encoding="utf-8")
    (pytester.path / "conftest.py").write_text(CONFTEST, encoding="utf-8")
    return pytester
