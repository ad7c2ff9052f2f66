"""The command as it is typed: exit codes and one sentence, without an engine."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING

import pytest

from rollback import lock, operations
from rollback.journal import Journal
from rollback.outcome import Exit, Failed

if TYPE_CHECKING:
    from pathlib import Path

    from drills.unit.conftest import Command

HEAD = {"procedure": "application", "arguments": {}, "summary": "from v2 to v1"}


def journal(checkout: Path) -> Journal:
    """The journal of the checkout."""
    (checkout / ".rollback").mkdir(mode=0o700, exist_ok=True)
    return Journal(checkout / ".rollback" / "journal.jsonl")


@pytest.mark.parametrize("flag", ["--help", "-h"])
def test_help_says_the_commands_and_the_exit_codes(typed: Command, tmp_path: Path, flag: str) -> None:
    """Help works anywhere, names every command, and the codes that a script needs."""
    code, out, err = typed(tmp_path, flag)
    assert (code, err) == (0, "")
    for word in ["application", "resume", "abort", "verify", "history", "release", "20 refused", "40 failed and NOT"]:
        assert word in " ".join(out.split())
    assert list(tmp_path.iterdir()) == []


def test_help_of_a_procedure_says_what_it_does(typed: Command, tmp_path: Path) -> None:
    """Somebody who has never used it learns what it takes and how to try it out."""
    code, out, _ = typed(tmp_path, "application", "--help")
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
def test_wrong_words_are_usage_errors(typed: Command, checkout: Path, words: list[str], sentence: str) -> None:
    """A mistake in the words ends with 2 and says what is wrong, on standard error alone."""
    code, out, err = typed(checkout, *words)
    assert (code, out) == (2, "")
    assert sentence.lower() in " ".join(err.split()).lower()


@pytest.mark.parametrize(
    "words",
    [["application", "v1"], ["resume"], ["abort"], ["verify"], ["history"], ["release", "list"],
     ["release", "record", "v1"], ["release", "show", "v1"], ["release", "bad", "v1", "--reason", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_outside_of_a_checkout_every_command_says_so(typed: Command, tmp_path: Path, words: list[str]) -> None:
    """Without rollback.toml: exit code 2, one sentence with the folder and the way out, and nothing is made."""
    code, out, err = typed(tmp_path, *words)
    assert (code, out) == (2, "")
    found = f"wrong usage: There is no rollback.toml in {tmp_path.resolve()}."
    assert err == f"{found} Next: go to the checkout of the deployment, or name it with -C FOLDER\n"
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_setting_is_one_sentence(typed: Command, checkout: Path) -> None:
    """A mistake in rollback.toml ends every command the same way: 2 and the key."""
    with (checkout / "rollback.toml").open("a") as file:
        file.write("[typo]\n")
    code, _, err = typed(checkout, "release", "list")
    assert (code, len(err.splitlines())) == (2, 1)
    assert "unknown key `typo`" in err


@pytest.mark.parametrize(
    "words",
    [["application", "v9", "--yes"], ["application", "v9", "--plan"], ["verify", "v9"], ["release", "show", "v9"],
     ["release", "bad", "v9", "--reason", "x"]],
    ids=" ".join,
)  # fmt: skip
def test_an_unknown_release_is_refused(typed: Command, checkout: Path, words: list[str]) -> None:
    """A release that nobody recorded is a refusal before any engine is asked, from any folder."""
    code, out, err = typed(checkout.parent, *words, "-C", checkout.name)
    assert (code, out) == (20, "")
    assert err == "refused: There is no recorded release v9; recorded: none. Next: `rollback release list`\n"


def test_a_machine_gets_a_document_of_a_refusal_too(typed: Command, checkout: Path) -> None:
    """With --json every end is a document: what was found, what to do, and the exit code."""
    code, out, err = typed(checkout, "application", "v9", "--yes", "--json")
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
def test_every_end_is_a_document(typed: Command, checkout: Path, words: list[str], code: int) -> None:
    """Whatever the command and however it ends: one document, with the outcome and the exit code in it."""
    end, out, _ = typed(checkout, *words)
    document = json.loads(out)
    assert (end, document["exit"]) == (code, code)
    assert document["outcome"] == Exit(code).name.lower()


def test_a_refusal_is_part_of_the_history(typed: Command, checkout: Path) -> None:
    """What was refused can be read later, by people and by machines; only trying it out leaves no trace."""
    typed(checkout, "application", "v9", "--plan")
    assert typed(checkout, "history")[1] == "nothing yet\n"
    typed(checkout, "application", "v9", "--yes")
    assert "There is no recorded release v9" in typed(checkout, "history")[1]
    code, out, err = typed(checkout, "history", "--json")
    (entry,) = json.loads(out)["entries"]
    assert (code, entry["event"], entry["data"]["procedure"]) == (0, "stopped", "application")
    assert "no recorded release" in err


@pytest.mark.parametrize("words", [["resume"], ["abort"], ["resume", "--plan"]], ids=" ".join)
def test_without_an_interrupted_run_there_is_nothing_to_do(typed: Command, checkout: Path, words: list[str]) -> None:
    """Resume and abort without a run end with 10."""
    assert typed(checkout, *words) == (10, "", "nothing to do: No run is interrupted.\n")


def test_while_a_run_is_open_no_other_begins(typed: Command, checkout: Path) -> None:
    """An interrupted run is named, with the two ways on; nothing is begun beside it."""
    journal(checkout).append("r7", "begin", **HEAD)
    for words in (["application", "v1", "--yes"], ["application", "v1", "--plan"]):
        code, _, err = typed(checkout, *words)
        assert code == 20
        assert "The run r7 (from v2 to v1) was interrupted." in err
        assert "`rollback resume` goes on with it, `rollback abort` takes it back" in err


def test_a_run_of_an_unknown_procedure_is_left_alone(typed: Command, checkout: Path) -> None:
    """A journal of a newer version is not guessed at: 40, and the run stays open."""
    journal(checkout).append("r7", "begin", **{**HEAD, "procedure": "teleport"})
    code, _, err = typed(checkout, "abort")
    assert code == 40
    assert "the procedure teleport, which this version does not know" in err
    assert journal(checkout).unfinished() == "r7"


@pytest.mark.parametrize("words", [["resume", "--yes"], ["abort", "--yes"]], ids=" ".join)
def test_what_fails_while_a_run_is_open_says_that_it_is_open(
    typed: Command, checkout: Path, words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine is gone, and nothing could be read: 40 and not 50, because the run was begun."""

    def gone(*_: object, **__: object) -> None:
        raise Failed("docker is not there.", "start it")

    monkeypatch.setitem(operations.PROCEDURES, "application", gone)  # type: ignore[arg-type]
    journal(checkout).append("r7", "begin", **HEAD)
    code, _, err = typed(checkout, *words)
    assert (code, journal(checkout).unfinished()) == (40, "r7")
    assert "docker is not there. Next: start it" in err


def test_a_journal_that_was_tampered_with_stops_everything(typed: Command, checkout: Path) -> None:
    """No command goes on upon a history that cannot be trusted."""
    one = journal(checkout)
    one.append("r7", "end", outcome="done")
    one.path.write_text(one.path.read_text().replace("done", "gone"))
    for words in (["history"], ["application", "v1", "--yes"], ["resume"]):
        code, _, err = typed(checkout, *words)
        assert code == 50
        assert "line 1 does not match the chain" in err


@pytest.mark.parametrize("words", [["application", "v1", "--yes"], ["resume"], ["abort"], ["release", "record", "v1"]])
def test_a_second_command_is_refused_while_one_works(typed: Command, checkout: Path, words: list[str]) -> None:
    """Whoever comes second is told who is first, and changes nothing."""
    (checkout / ".rollback").mkdir()
    with lock.held(checkout / ".rollback" / "lock", "the first"):
        code, _, err = typed(checkout, *words)
    assert code == 20
    assert f"for `the first` (pid {os.getpid()})" in err


@pytest.mark.parametrize(
    ("words", "exits"), [(["release", "record", "v1"], {20, 50}), (["verify"], {50})], ids=["record", "verify"]
)
def test_without_docker_a_command_says_that(typed: Command, checkout: Path, words: list[str], exits: set[int]) -> None:
    """A host without docker is told in a sentence, and never taken for a healthy deployment."""
    code, out, err = typed(checkout, *words)
    assert code in exits
    assert "`docker` is not installed" in " ".join((out + err).split())


def test_what_breaks_because_of_ctrl_c_is_an_interruption(
    typed: Command, checkout: Path, monkeypatch: pytest.MonkeyPatch
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
    assert typed(checkout, "history")[::2] == (130, "interrupted\n")
