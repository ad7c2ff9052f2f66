"""How commands are executed: the variables that they may see, what flows in and out, and how they end."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import pytest

from rollback.engine import CommandFailed, Engine, Result, environment, inspected, wait_for, wait_until
from rollback.outcome import Exit, Failed
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.mark.parametrize(
    "name",
    ["SPHEROSEG_VERSION", "SPHEROSEG_IMAGES", "COMPOSE_FILE", "COMPOSE_PROJECT_NAME", "COMPOSE_PROFILES", "PATH_X",
     "POSTGRES_PASSWORD", "PGPASSWORD", "JWT_SECRET", "GIT_DIR", "LD_PRELOAD", "XDOCKER_HOST", "ALL_PROXY", "home"],
)  # fmt: skip
def test_a_variable_of_the_operators_shell_stays_outside(name: str) -> None:
    """A variable that would win over the env files, or holds a secret, does not reach a command."""
    assert environment({name: "x"}) == {}


@pytest.mark.parametrize(
    "name",
    ["PATH", "HOME", "USER", "LANG", "LC_ALL", "TMPDIR", "XDG_RUNTIME_DIR", "SSH_AUTH_SOCK", "DOCKER_HOST",
     "DOCKER_CONTEXT", "DOCKER_CONFIG", "BUILDKIT_PROGRESS", "BUILDX_BUILDER", "HTTP_PROXY", "https_proxy", "No_Proxy"],
)  # fmt: skip
def test_a_variable_that_leads_to_the_engine_passes(name: str) -> None:
    """What says where the engine is and how to reach the network passes unchanged."""
    assert environment({name: "x y"}) == {name: "x y"}


def test_a_command_sees_only_these_variables(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process itself has no exported version, works in the checkout and reads nothing from the terminal."""
    monkeypatch.setenv("SPHEROSEG_VERSION", "v6.6.6")
    said = "import json, os, sys; print(json.dumps([sorted(os.environ), os.getcwd(), sys.stdin.read()]))"
    variables, place, heard = json.loads(Engine(tmp_path).ask([sys.executable, "-c", said]))
    assert "PATH" in variables
    assert "SPHEROSEG_VERSION" not in variables
    assert (place, heard) == (str(tmp_path.resolve()), "")


def test_a_secret_goes_in_through_standard_input(tmp_path: Path) -> None:
    """What is handed over as input arrives, and is in no argv."""
    echo = [sys.executable, "-c", "import sys; print(sys.argv[1:], sys.stdin.read())"]
    assert Engine(tmp_path).ask(echo, stdin="hunter2 ü") == "[] hunter2 ü\n"


def test_a_failed_command_says_its_code_and_the_end_of_its_errors(tmp_path: Path) -> None:
    """The sentence names the command, its exit code and its last lines; the first lines of a long tale are left out."""
    tale = "import sys; [print('line', n, file=sys.stderr) for n in range(9)]; sys.exit(3)"
    with pytest.raises(CommandFailed, match=r"exit code 3: line 4 \| .*line 8$") as caught:
        Engine(tmp_path).ask([sys.executable, "-c", tale])
    assert caught.value.exit is Exit.INCONCLUSIVE
    assert "line 3" not in caught.value.found.partition("exit code")[2]


def test_a_command_that_does_not_end_is_given_up(tmp_path: Path) -> None:
    """A command that hangs ends in a sentence with the limit."""
    with pytest.raises(CommandFailed, match=r"did not end within 0\.2 s"):
        Engine(tmp_path).ask([sys.executable, "-c", "import time; time.sleep(30)"], seconds=0.2)


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A missing program is a sentence that says what to install."""
    with pytest.raises(CommandFailed, match=r"`no-such-docker` is not installed.*install no-such-docker"):
        Engine(tmp_path).run(["no-such-docker", "ps"])


def test_commands_side_by_side_answer_in_order_and_fail_as_one(tmp_path: Path) -> None:
    """Answers come in the order asked; one failure is the failure of all."""
    engine, say = Engine(tmp_path), [sys.executable, "-c"]
    assert engine.ask_all([]) == []
    assert engine.ask_all([[*say, f"print({n})"] for n in range(3)]) == ["0\n", "1\n", "2\n"]
    with pytest.raises(CommandFailed, match="exit code 7"):
        engine.ask_all([[*say, "print(1)"], [*say, "raise SystemExit(7)"]])


def test_output_is_saved_for_the_owner_alone(tmp_path: Path) -> None:
    """A saved output is byte for byte what was written, readable by nobody else, errors only when asked for."""
    argv = [sys.executable, "-c", "import sys; sys.stdout.buffer.write(b'\\0\\r\\n\\xff'); sys.stderr.write('oops')"]
    done = Engine(tmp_path).save(argv, tmp_path / "out")
    assert ((tmp_path / "out").read_bytes(), done.err) == (b"\0\r\n\xff", "oops")
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o600
    Engine(tmp_path).save(argv, tmp_path / "both", both=True)
    assert sorted((tmp_path / "both").read_bytes()) == sorted(b"\0\r\n\xffoops")


def test_a_file_is_fed_byte_for_byte(tmp_path: Path) -> None:
    """A command reads from a file what is in the file."""
    (tmp_path / "in").write_bytes(b"\0\r\n\xff")
    count = [sys.executable, "-c", "import sys; print(list(sys.stdin.buffer.read()))"]
    assert Engine(tmp_path).feed(count, tmp_path / "in").out == "[0, 13, 10, 255]\n"


def test_waiting_ends_with_what_was_seen() -> None:
    """Waiting returns the observation that fulfilled it, or says the last one that did not, with the limit."""
    seen = iter([(False, "one"), (False, "two"), (True, "three")])
    assert wait_until(lambda: next(seen), seconds=5, what="it") == "three"
    with pytest.raises(Failed, match=r"^it did not come true within 0 s; last seen: never\.$"):
        wait_until(lambda: (False, "never"), seconds=0, what="it")


def test_what_cannot_be_read_yet_is_waited_for() -> None:
    """A program that starts refuses connections first; what cannot be read to the end is said with its reason."""
    answers: list[Reading | Failed] = [Failed("connection refused"), Reading(holds=False, seen="starting")]

    def read() -> Reading:
        now = answers.pop(0) if answers else Reading(holds=True, seen="ready")
        if isinstance(now, Failed):
            raise now
        return now

    wait_for(read, seconds=5, what="it")
    answers[:] = [Failed("connection refused")]
    with pytest.raises(Failed, match=r"it did not come true within 0 s; last seen: connection refused"):
        wait_for(read, seconds=0, what="it")


def test_an_engine_that_is_away_has_not_lost_anything() -> None:
    """A thing that is not there is not found; where the engine does not answer, nothing is known."""
    assert inspected(Result(0, '[{"Id": "a"}]', "")) == [{"Id": "a"}]
    assert inspected(Result(1, "[]\n", "Error response from daemon: get x: no such volume")) == []
    for said in ("Cannot connect to the Docker daemon at unix:///x.", "error during connect: Get http://x"):
        with pytest.raises(CommandFailed, match="The engine does not answer"):
            inspected(Result(1, "[]\n", said))


def python(script: str) -> list[str]:
    """A program of its own."""
    return [sys.executable, "-c", script]


def test_streams_flow_to_their_end_and_failures_are_told(tmp_path: Path) -> None:
    """What flows out is whole; what flows in arrives; an exit code counts, unless the reader may stop."""
    engine = Engine(tmp_path)
    with engine.outflow(python("import sys; sys.stdout.buffer.write(b'x' * 3_000_000)")) as stream:
        assert len(stream.read()) == 3_000_000
    with engine.inflow(python("import sys; open('in', 'wb').write(sys.stdin.buffer.read())")) as target:
        target.write(b"\0\r\n" * 100_000)
    assert (tmp_path / "in").read_bytes() == b"\0\r\n" * 100_000
    broken = python("import sys; print('x'); print('no room', file=sys.stderr); sys.exit(3)")
    with pytest.raises(CommandFailed, match="exit code 3: no room"), engine.outflow(broken) as stream:
        stream.read()
    with engine.outflow(broken, whole=False) as stream:
        assert stream.read(1) == b"x"
    closed = python("raise SystemExit(4)")
    with pytest.raises(CommandFailed, match="exit code 4"), engine.inflow(closed) as target:
        target.write(b"x" * 10_000_000)


def test_a_stream_that_hangs_is_ended(tmp_path: Path) -> None:
    """After its time; and a block that fails ends it as well, with its own error."""
    engine, hanging = Engine(tmp_path), python("import time; time.sleep(60)")
    with pytest.raises(CommandFailed), engine.outflow(hanging, seconds=0.3) as stream:
        stream.read()
    failing: Callable[[], float] = lambda: 1 / 0  # noqa: E731
    with pytest.raises(ZeroDivisionError), engine.outflow(hanging):
        failing()
