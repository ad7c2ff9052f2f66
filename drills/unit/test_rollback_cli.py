"""The command as it is typed: exit codes and one sentence, without an engine."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from rollback import cli, lock, operations
from rollback.journal import Journal
from rollback.outcome import Exit, Failed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Said = tuple[int, str, str]
    Command = Callable[..., Said]

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
HEAD = {"procedure": "application", "arguments": {}, "summary": "from v2 to v1"}


def started(checkout: Path, *words: str, path: Path | None = None) -> subprocess.Popen[str]:
    """The real command in a process of its own; without `path` there is no docker to be found."""
    environment = {**os.environ, "PATH": str(path or checkout / "nothing here"), "COLUMNS": "120"}
    environment["PYTHONPATH"] = str(Path(__file__).parents[2])
    argv = [sys.executable, "-m", "rollback", *words]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        argv,
        cwd=checkout,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=pipe,
        stderr=pipe,
        text=True,
        start_new_session=True,
        preexec_fn=_interruptible,  # noqa: PLW1509 -- one call into the kernel, before anything else of the child
    )


def _interruptible() -> None:
    """As from a terminal: what a shell starts in the background has SIGINT ignored, and its children too."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def really(checkout: Path, *words: str) -> Said:
    """Exit code, standard output and standard error of the command in a process of its own."""
    with started(checkout, *words) as process:
        out, err = process.communicate(timeout=30)
    assert "Traceback" not in err
    return process.returncode, out, err


@pytest.fixture
def rollback(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Command]:
    """The same main function in this process: it answers in the same way, half a second sooner."""

    def command(checkout: Path, *words: str) -> Said:
        monkeypatch.chdir(checkout)
        monkeypatch.setenv("PATH", str(checkout / "nothing here"))
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
def checkout(tmp_path: Path) -> Path:
    """A checkout with the reference settings and nothing else."""
    place = tmp_path / "check out ü"
    place.mkdir()
    (place / "rollback.toml").write_bytes((REFERENCE / "rollback.toml").read_bytes())
    return place


def journal(checkout: Path) -> Journal:
    """The journal of the checkout."""
    (checkout / ".rollback").mkdir(mode=0o700, exist_ok=True)
    return Journal(checkout / ".rollback" / "journal.jsonl")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_the_commands_and_the_exit_codes(rollback: Command, tmp_path: Path, flag: str) -> None:
    """Help works anywhere, names every command, and the codes that a script needs."""
    code, out, err = rollback(tmp_path, flag)
    assert (code, err) == (0, "")
    for word in ["application", "resume", "abort", "verify", "history", "release", "20 refused", "40 failed and NOT"]:
        assert word in " ".join(out.split())
    assert list(tmp_path.iterdir()) == []


def test_help_of_a_procedure_says_what_it_does(rollback: Command, tmp_path: Path) -> None:
    """Somebody who has never used it learns what it takes and how to try it out."""
    code, out, _ = rollback(tmp_path, "application", "--help")
    assert code == 0
    assert all(word in out for word in ["VERSION", "--plan", "--yes", "--json", "last-good", "resume"])


WRONG = {
    "option": (["application", "v1", "--force"], "No such option"),
    "command": (["undo"], "No such command"),
    "no version": (["application"], "Missing argument"),
    "two versions": (["application", "v1", "v2"], "unexpected extra argument"),
    "no reason": (["release", "bad", "v1"], "Missing option"),
    "bad name": (["application", "../v1", "--yes"], "`../v1` cannot be the name of a release"),
    "bad name to verify": (["verify", "a b"], "`a b` cannot be the name of a release"),
    "empty name": (["release", "show", ""], "`` cannot be the name of a release"),
    "no such folder": (["history", "-C", "no/where"], "There is no rollback.toml in"),
    "no folder": (["verify", "-C", "rollback.toml"], "cannot be read: Not a directory"),
    "no such word": (["migration", "chek", "x"], "No such command"),
    "both": (["migration", "012", "--steps", "3"], "either which migrations or how many"),
    "neither": (["migration", "back"], "either which migrations or how many"),
}


@pytest.mark.parametrize(("words", "sentence"), WRONG.values(), ids=WRONG)
def test_wrong_words_are_usage_errors(rollback: Command, checkout: Path, words: list[str], sentence: str) -> None:
    """A mistake in the words ends with 2 and says what is wrong, on standard error alone."""
    code, out, err = rollback(checkout, *words)
    assert (code, out) == (2, "")
    assert sentence.lower() in " ".join(err.split()).lower()


@pytest.mark.parametrize(
    "words",
    [["application", "v1"], ["resume"], ["abort"], ["verify"], ["history"], ["release", "list"],
     ["release", "record", "v1"], ["release", "show", "v1"], ["release", "bad", "v1", "--reason", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_outside_of_a_checkout_every_command_says_so(rollback: Command, tmp_path: Path, words: list[str]) -> None:
    """Without rollback.toml: exit code 2, one sentence with the folder and the way out, and nothing is made."""
    code, out, err = rollback(tmp_path, *words)
    assert (code, out) == (2, "")
    found = f"wrong usage: There is no rollback.toml in {tmp_path.resolve()}."
    assert err == f"{found} Next: go to the checkout of the deployment, or name it with -C FOLDER\n"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_one_sentence(rollback: Command, checkout: Path) -> None:
    """A mistake in rollback.toml ends every command the same way: 2 and the key."""
    with (checkout / "rollback.toml").open("a") as file:
        file.write("[typo]\n")
    code, _, err = rollback(checkout, "release", "list")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "unknown key `typo`" in err


@pytest.mark.parametrize(
    "words",
    [["application", "v9", "--yes"], ["application", "v9", "--plan"], ["verify", "v9"], ["release", "show", "v9"],
     ["release", "bad", "v9", "--reason", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_an_unknown_release_is_refused(rollback: Command, checkout: Path, words: list[str]) -> None:
    """A release that nobody recorded is a refusal before any engine is asked, from any folder."""
    code, out, err = rollback(checkout.parent, *words, "-C", checkout.name)
    assert (code, out) == (20, "")
    assert err == "refused: There is no recorded release v9; recorded: none. Next: `rollback release list`\n"


def test_a_state_folder_that_is_a_file_is_a_sentence(checkout: Path) -> None:
    """What the file system refuses ends in an exit code of the table and without a traceback."""
    (checkout / ".rollback").write_text("not a folder")
    code, _, err = really(checkout, "application", "v1", "--yes")
    assert code in {2, 20, 50}
    assert "Not a directory" in err or "File exists" in err


def test_a_machine_gets_a_document_of_a_refusal_too(rollback: Command, checkout: Path) -> None:
    """With --json every end is a document: what was found, what to do, and the exit code."""
    code, out, err = rollback(checkout, "application", "v9", "--yes", "--json")
    assert json.loads(out) == {
        "outcome": "refused",
        "found": "There is no recorded release v9; recorded: none.",
        "next": "`rollback release list`",
        "exit": code,
    }
    assert (code, err.count("\n")) == (20, 1)


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["application", "--json"], 2),
        (["history", "--nonsense", "--json"], 2),
        (["history", "--json"], 0),
        (["release", "list", "--json"], 0),
        (["backup", "list", "--json"], 0),
        (["verify", "--json"], 50),
        (["resume", "--json"], 10),
    ],
    ids=str,
)
def test_every_end_is_a_document(rollback: Command, checkout: Path, words: list[str], code: int) -> None:
    """Whatever the command and however it ends: one document, with the outcome and the exit code in it."""
    end, out, _ = rollback(checkout, *words)
    document = json.loads(out)
    assert (end, document["exit"]) == (code, code)
    assert document["outcome"] == Exit(code).name.lower()


def test_a_refusal_is_part_of_the_history(rollback: Command, checkout: Path) -> None:
    """What was refused can be read later, by people and by machines; only trying it out leaves no trace."""
    rollback(checkout, "application", "v9", "--plan")
    assert rollback(checkout, "history")[1] == "nothing yet\n"
    rollback(checkout, "application", "v9", "--yes")
    assert "There is no recorded release v9" in rollback(checkout, "history")[1]
    code, out, err = rollback(checkout, "history", "--json")
    (entry,) = json.loads(out)["entries"]
    assert (code, entry["event"], entry["data"]["procedure"]) == (0, "stopped", "application")
    assert "no recorded release" in err


@pytest.mark.parametrize("words", [["resume"], ["abort"], ["resume", "--plan"]], ids=" ".join)
def test_without_an_interrupted_run_there_is_nothing_to_do(rollback: Command, checkout: Path, words: list[str]) -> None:
    """Resume and abort without a run end with 10."""
    assert rollback(checkout, *words) == (10, "", "nothing to do: No run is interrupted.\n")


def test_while_a_run_is_open_no_other_begins(rollback: Command, checkout: Path) -> None:
    """An interrupted run is named, with the two ways on; nothing is begun beside it."""
    journal(checkout).append("r7", "begin", **HEAD)
    for words in (["application", "v1", "--yes"], ["application", "v1", "--plan"]):
        code, _, err = rollback(checkout, *words)
        assert code == 20
        assert "The run r7 (from v2 to v1) was interrupted." in err
        assert "`rollback resume` goes on with it, `rollback abort` takes it back" in err


def test_a_run_of_an_unknown_procedure_is_left_alone(rollback: Command, checkout: Path) -> None:
    """A journal of a newer version is not guessed at: 40, and the run stays open."""
    journal(checkout).append("r7", "begin", **{**HEAD, "procedure": "teleport"})
    code, _, err = rollback(checkout, "abort")
    assert code == 40
    assert "the procedure teleport, which this version does not know" in err
    assert journal(checkout).unfinished() == "r7"


@pytest.mark.parametrize("words", [["resume", "--yes"], ["abort", "--yes"]], ids=" ".join)
def test_what_fails_while_a_run_is_open_says_that_it_is_open(
    rollback: Command, checkout: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is gone, and nothing could be read: 40 and not 50, because the run was begun."""

    def gone(*_: object, **__: object) -> None:
        raise Failed("docker is not there.", "start it")

    monkeypatch.setitem(operations.PROCEDURES, "application", gone)  # type: ignore[arg-type]
    journal(checkout).append("r7", "begin", **HEAD)
    code, _, err = rollback(checkout, *words)
    assert (code, journal(checkout).unfinished()) == (40, "r7")
    assert "docker is not there. Next: start it" in err


def test_a_journal_that_was_tampered_with_stops_everything(rollback: Command, checkout: Path) -> None:
    """No command goes on upon a history that cannot be trusted."""
    one = journal(checkout)
    one.append("r7", "end", outcome="done")
    one.path.write_text(one.path.read_text().replace("done", "gone"))
    for words in (["history"], ["application", "v1", "--yes"], ["resume"]):
        code, _, err = rollback(checkout, *words)
        assert code == 50
        assert "line 1 does not match the chain" in err


@pytest.mark.parametrize("words", [["application", "v1", "--yes"], ["resume"], ["abort"], ["release", "record", "v1"]])
def test_a_second_command_is_refused_while_one_works(rollback: Command, checkout: Path, words: list[str]) -> None:
    """Whoever comes second is told who is first, and changes nothing."""
    (checkout / ".rollback").mkdir()
    with lock.held(checkout / ".rollback" / "lock", "the first"):
        code, _, err = rollback(checkout, *words)
    assert code == 20
    assert f"for `the first` (pid {os.getpid()})" in err


@pytest.mark.parametrize(
    ("words", "exits"), [(["release", "record", "v1"], {20, 50}), (["verify"], {50})], ids=["record", "verify"]
)
def test_without_docker_a_command_says_that(
    rollback: Command, checkout: Path, words: list[str], exits: set[int]
) -> None:
    """A host without docker is told in a sentence, and never taken for a healthy deployment."""
    code, out, err = rollback(checkout, *words)
    assert code in exits
    assert "`docker` is not installed" in " ".join((out + err).split())


def interruptible(ended: Callable[[subprocess.Popen[str]], None], checkout: Path, folder: Path) -> tuple[int, str]:
    """Let a command wait for a docker that never answers, and end it like this."""
    folder.mkdir()
    pipe = folder / "asked"
    os.mkfifo(pipe)
    docker = folder / "docker"
    docker.write_text(f"#!/bin/sh\necho asked > '{pipe}'\nexec /bin/sleep 20\n")
    docker.chmod(0o755)
    with started(checkout, "release", "record", "v1", path=folder) as process:
        pipe.read_text()
        ended(process)
        _, err = process.communicate(timeout=15)
    return process.returncode, err


SAME = {
    "help": (["--help"], 0),
    "help of a procedure": (["application", "--help"], 0),
    "wrong option": (["application", "v1", "--force"], 2),
    "bad name": (["application", "a b", "--yes"], 2),
    "no settings": (["application", "v1", "-C", "no/where"], 2),
    "unknown release": (["application", "v9", "--yes"], 20),
}


@pytest.mark.parametrize(("words", "code"), SAME.values(), ids=SAME)
def test_the_command_of_the_shell_is_the_one_tested_here(
    rollback: Command, checkout: Path, words: list[str], code: int
) -> None:
    """In a process of its own it ends with the same code and the same words."""
    shell, here = really(checkout, *words), rollback(checkout, *words)
    assert shell[0] == here[0] == code
    shown = [text.replace("python -m rollback", "rollback").split() for text in shell[1:]]
    assert shown == [text.split() for text in here[1:]]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["ctrl-c", "terminated"])
def test_an_interrupted_command_ends_as_shells_expect(checkout: Path, tmp_path: Path, number: signal.Signals) -> None:
    """Ctrl-C and SIGTERM outside of a run end with 130, without a traceback, and leave the lock free."""
    code, err = interruptible(lambda process: process.send_signal(number), checkout, tmp_path / "bin")
    assert code == 130
    assert "Traceback" not in err
    with lock.held(checkout / ".rollback" / "lock", "the next"):
        pass


def test_ctrl_c_of_the_whole_group_is_no_failure_of_docker(checkout: Path, tmp_path: Path) -> None:
    """A terminal interrupts docker as well: what docker says of its end is not taken for the reason."""
    code, err = interruptible(lambda process: os.killpg(process.pid, signal.SIGINT), checkout, tmp_path / "bin")
    assert (code, err.splitlines()[-1]) == (130, "interrupted")


def test_what_breaks_because_of_ctrl_c_is_an_interruption(
    rollback: Command, checkout: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Cleaning up after Ctrl-C fails where docker was interrupted too: 130 all the same, and not 50."""

    def interrupted(_: Journal) -> None:
        try:
            os.kill(os.getpid(), signal.SIGINT)
            pytest.fail("nobody listens to Ctrl-C")
        except KeyboardInterrupt as stop:
            raise Failed("docker was interrupted.") from stop

    monkeypatch.setattr(Journal, "entries", interrupted)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    assert rollback(checkout, "history")[::2] == (130, "interrupted\n")
