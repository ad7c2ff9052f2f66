"""What is executed, word for word: argv lists, and the variables that commands may see."""

from __future__ import annotations

import inspect
import json
import sys
from pathlib import Path

import pytest

from rollback import commands
from rollback.composing import Compose
from rollback.engine import CommandFailed, Engine, Result, environment, inspected, wait_for, wait_until
from rollback.outcome import Exit, Failed
from rollback.plan import Reading

ROOT = Path("/srv/spheroseg")
BASE = ["docker", "compose", "--project-directory", "/srv/spheroseg", "-f", "/srv/spheroseg/docker-compose.yml"]
COMPOSE = Compose(ROOT, (ROOT / "docker-compose.yml",))
ODD = Path("/srv/Zellkultur Süd/$(id); ß")


def words(text: str) -> list[str]:
    """A command as one would type it, where no word holds a space."""
    return text.split()


TABLE = {
    "config": (COMPOSE.config(), [*BASE, "config", "--format", "json"]),
    "config unresolved": (
        COMPOSE.config_unresolved(),
        [*BASE, "config", "--format", "json", "--no-env-resolution"],
    ),
    "hashes": (COMPOSE.config_hashes(), [*BASE, "config", "--hash", "*"]),
    "up": (
        COMPOSE.up(["backend", "ml"], wait_seconds=60),
        [*BASE, *words("up -d --no-deps --no-build --pull never --wait --wait-timeout 60 backend ml")],
    ),
    "up without waiting": (
        COMPOSE.up(["ml"], wait_seconds=None),
        [*BASE, *words("up -d --no-deps --no-build --pull never ml")],
    ),
    "up waiting no time at all": (
        COMPOSE.up(["ml"], wait_seconds=0),
        [*BASE, *words("up -d --no-deps --no-build --pull never --wait --wait-timeout 0 ml")],
    ),
    "beside": (
        COMPOSE.run_beside("ml", name="p-ml-r1", labels={"rollback.run": "r1", "a": "b c"}, aliases=False),
        [*BASE, *words("run -d --no-deps --pull never --name p-ml-r1 --label rollback.run=r1 --label"), "a=b c", "ml"],
    ),
    "beside with aliases": (
        COMPOSE.run_beside("ml", name="n", labels={}, aliases=True),
        [*BASE, *words("run -d --no-deps --pull never --name n --use-aliases ml")],
    ),
    "created": (
        COMPOSE.create(["redis"]),
        [*BASE, *words("up --no-start --no-deps --no-build --pull never redis")],
    ),
    "copy in": (commands.copy_in("c1", "/data/uploads"), words("docker cp - c1:/data/uploads")),
    "porter": (
        commands.porter("i1", name="n", label="l=1", volume="v", inside="/volume", readonly=True, hidden=["/data"]),
        words("docker create --name n --label l=1 --network none --mount")
        + words("type=volume,source=v,destination=/volume,readonly --mount type=tmpfs,destination=/data i1 true"),
    ),
    "porter that writes": (
        commands.porter("i1", name="n", label="l=1", volume="v", inside="/volume", readonly=False, hidden=[]),
        words("docker create --name n --label l=1 --network none --mount")
        + words("type=volume,source=v,destination=/volume i1 true"),
    ),
    "make volume": (
        commands.make_volume("p_kept", {"rollback.kept": "r1", "a": "b c"}),
        [*words("docker volume create --label rollback.kept=r1 --label"), "a=b c", "p_kept"],
    ),
    "remove volume": (commands.remove_volume("p_data"), words("docker volume rm p_data")),
    "save images": (commands.save_images(["a:1", "b:2"]), words("docker image save a:1 b:2")),
    "layers": (
        commands.history("a:1"),
        [*words("docker image history --no-trunc --human=false --format"), "{{json .}}", "a:1"],
    ),
    "load images": (commands.load_images(), words("docker image load --quiet")),
    "start": (commands.start(["a", "b"]), words("docker start a b")),
    "containers": (
        commands.containers("label=a=b", "status=running"),
        words("docker ps --all --no-trunc --quiet --filter label=a=b --filter status=running"),
    ),
    "more files": (
        COMPOSE.with_files(["docker-compose.green.yml"]).config(),
        [*BASE, "-f", "/srv/spheroseg/docker-compose.green.yml", "config", "--format", "json"],
    ),
    "volumes": (commands.volumes("label=a=b"), words("docker volume ls --quiet --filter label=a=b")),
    "drop volumes": (commands.drop_volumes(["a", "b"]), words("docker volume rm a b")),
    "signal": (commands.signal(["a"], "HUP"), words("docker kill --signal HUP a")),
    "container images": (
        commands.container_images(),
        [*words("docker ps --all --no-trunc --format"), '{{.Image}}\t{{.Label "com.docker.compose.project"}}'],
    ),
    "engine info": (commands.engine_info(), ["docker", "info", "--format", "{{json .}}"]),
    "compose version": (commands.compose_version(), words("docker compose version --short")),
    "inspect": (commands.inspect("image", ["a:1", "b"]), words("docker image inspect a:1 b")),
    "execute": (commands.execute("c1", ["sh", "-c", "a  b"]), ["docker", "exec", "c1", "sh", "-c", "a  b"]),
    "execute with input": (commands.execute("c1", ["psql"], stdin=True), words("docker exec -i c1 psql")),
    "logs": (commands.logs("c1"), words("docker logs --timestamps c1")),
    "last logs": (commands.logs("c1", tail=0), words("docker logs --timestamps --tail 0 c1")),
    "logs since": (
        commands.logs("c1", tail=5, since="2026-01-01T00:00:00Z"),
        words("docker logs --timestamps --tail 5 --since 2026-01-01T00:00:00Z c1"),
    ),
    "labelled": (
        commands.labelled("rollback.disposable"),
        [
            *words("docker ps --all --filter label=rollback.disposable --format"),
            '{{.ID}} {{.Label "rollback.disposable"}}',
        ],
    ),
    "removed with volumes": (commands.remove_with_volumes(["a"]), words("docker rm --force --volumes a")),
    "companion": (
        commands.companion("i", container="c1", name="n", label="l=1", user="1:2", hidden=["/data"]),
        words(
            "docker run --detach --name n --label l=1 --network container:c1 --user 1:2 --cap-drop ALL"
            " --entrypoint sleep --mount type=tmpfs,destination=/data i infinity"
        ),
    ),
    "trial": (
        commands.trial(
            ["nginx", "-t"], image="i", name="n", label="l=1", network="net", mounts=["type=bind,source=/a,target=/b"]
        ),
        words(
            "docker run --rm --name n --label l=1 --network net --entrypoint nginx"
            " --mount type=bind,source=/a,target=/b,readonly i -t"
        ),
    ),
    "scratch": (
        commands.scratch("i", name="n", label="l=1", settings=["fsync=off"]),
        words(
            "docker run --detach --name n --label l=1 --network none --shm-size 256m --env POSTGRES_PASSWORD"
            " --env POSTGRES_USER i -c fsync=off"
        ),
    ),
    "program": (
        commands.program(
            ["pg_dump", "-d", "a b"],
            image="i",
            network="container:c1",
            name="n",
            label="l=1",
            mount="type=bind,source=/a b,target=/exchange",
            user="1:2",
            hidden=["/data"],
        ),
        [
            *words(
                "docker run --rm --name n --label l=1 --network container:c1 --user 1:2 --env PGHOST --env PGUSER"
                " --env PGPASSWORD --entrypoint pg_dump --mount type=tmpfs,destination=/data --mount"
            ),
            "type=bind,source=/a b,target=/exchange",
            "i",
            "-d",
            "a b",
        ],
    ),
    "anew": (
        COMPOSE.recreate(["db", "ml"], stop_seconds=5),
        [*BASE, *words("up --no-start --force-recreate --timeout 5 --no-deps --no-build --pull never db ml")],
    ),
    "started": (commands.start(["a", "b"]), words("docker start a b")),
    "restarted": (commands.restart(["a", "b"], seconds=5), words("docker restart --time 5 a b")),
    "changed files": (commands.changed_files("a"), words("docker diff a")),
    "copy one": (commands.copy_one("c1", "/etc/a b"), ["docker", "cp", "c1:/etc/a b", "-"]),
    "processes": (commands.processes("a"), words("docker top a")),
    "networks": (commands.networks("name=n"), words("docker network ls --no-trunc --quiet --filter name=n")),
    "closed network": (
        commands.network_create("n", {"l": "1"}, closed=True),
        words(
            "docker network create --driver bridge --internal --opt com.docker.network.bridge.inhibit_ipv4=true"
            " --label l=1 n"
        ),
    ),
    "open network": (commands.network_create("n", {}, closed=False), words("docker network create --driver bridge n")),
    "network joined": (
        commands.network_connect("n", "c1", ["a", "b"], "172.20.0.9"),
        words("docker network connect --alias a --alias b --ip 172.20.0.9 n c1"),
    ),
    "renamed": (commands.rename("c1", "n"), words("docker rename c1 n")),
    "network left": (commands.network_disconnect("n", "c1"), words("docker network disconnect --force n c1")),
    "network removed": (commands.network_remove("n"), words("docker network rm n")),
    "doorkeeper": (
        commands.doorkeeper(
            "i",
            name="d",
            labels={"l": "1"},
            network="n",
            ports=["127.0.0.1:80:80/tcp"],
            mount="type=bind,source=/a b,target=/door",
            user="1:2",
        ),
        [
            *words("docker create --name d --network n --restart unless-stopped --label l=1 --publish"),
            *words("127.0.0.1:80:80/tcp --user 1:2 --read-only --tmpfs /tmp --cap-drop ALL --security-opt"),
            *words("no-new-privileges --sysctl net.ipv4.ip_forward=0 --sysctl net.ipv4.ip_unprivileged_port_start=0"),
            "--mount",
            "type=bind,source=/a b,target=/door,readonly",
            *words("--entrypoint nginx i -c /door/nginx.conf -g"),
            "daemon off;",
        ],
    ),
    "attempt": (
        commands.attempt(["psql", "-w"], image="i", name="n", label="l=1", container="c1", env=["PGPASSWORD"]),
        words(
            "docker run --rm --name n --label l=1 --network container:c1 --user 65534:65534 --cap-drop ALL"
            " --entrypoint psql --env PGPASSWORD i -w"
        ),
    ),
    "copy out": (commands.copy_out("c1", "/data/uploads/"), words("docker cp c1:/data/uploads/. -")),
    "stop": (commands.stop(["a", "b"], seconds=30), words("docker stop --time 30 a b")),
    "remove": (commands.remove(["a", "b"]), words("docker rm --force a b")),
    "plugins": (commands.plugins(), [*words("docker info --format"), "{{json .ClientInfo.Plugins}}"]),
    "restart": (commands.restart_always(["a", "b"]), words("docker update --restart unless-stopped a b")),
    "tag": (commands.tag("sha256:1", "a:1"), words("docker tag sha256:1 a:1")),
    "untag": (commands.untag("a:1"), words("docker rmi --no-prune a:1")),
    "commit": (
        commands.commit("c1", "kept:1", "replaced by r1"),
        ["docker", "commit", "--pause=false", "--message", "replaced by r1", "c1", "kept:1"],
    ),
    "git": (commands.git(ROOT, "rev-parse", "HEAD"), words("git -C /srv/spheroseg rev-parse HEAD")),
}


@pytest.mark.parametrize(("built", "wanted"), TABLE.values(), ids=TABLE)
def test_a_command_is_exactly_these_words(built: list[str], wanted: list[str]) -> None:
    """A command is exactly these words, in this order."""
    assert built == wanted


def test_every_file_profile_project_and_env_file_is_named() -> None:
    """The result does not depend on where the operator stands: every file, profile and name is in the words."""
    compose = Compose(ROOT, (ROOT / "a.yml", ROOT / "b.yml"), ("gpu", "mail"), "blue", ROOT / ".env")
    named = words(
        "--project-directory /srv/spheroseg -f /srv/spheroseg/a.yml -f /srv/spheroseg/b.yml"
        " --profile gpu --profile mail -p blue --env-file /srv/spheroseg/.env"
    )
    assert compose.config()[2:-3] == named


def test_a_path_with_spaces_and_umlauts_is_one_word() -> None:
    """Nothing is pasted into a shell: an odd path stays one word and means only itself."""
    compose = Compose(ODD, (ODD / "docker compose.yml",), env_file=ODD / ".env")
    assert compose.config().count(str(ODD / "docker compose.yml")) == 1
    assert commands.git(ODD, "status") == ["git", "-C", str(ODD), "status"]
    argv = commands.build(ODD, name="a:1", dockerfile="Docker file", args={}, target=None)
    assert argv == ["docker", "build", "--tag", "a:1", "--file", f"{ODD}/Docker file", str(ODD)]


def test_build_arguments_are_named_and_not_told() -> None:
    """The value of a build argument may be a secret: it is not in the argv."""
    argv = commands.build(ROOT, name="a:1", dockerfile="Dockerfile", args={"TOKEN": "hush"}, target="final")
    assert argv[-5:] == ["--build-arg", "TOKEN", "--target", "final", str(ROOT)]
    assert "hush" not in " ".join(argv)


@pytest.mark.parametrize("argv", [COMPOSE.up(["a"], wait_seconds=9), TABLE["beside"][0]], ids=["up", "beside"])
def test_what_starts_containers_starts_nothing_else(argv: list[str]) -> None:
    """No command that starts a container pulls an image or touches what the service depends on."""
    assert "--no-deps" in argv
    assert argv[argv.index("--pull") + 1] == "never"
    assert "--build" not in argv


def test_no_builder_can_lose_a_volume() -> None:
    """No builder removes volumes, prunes, or takes services down; disposable containers take their own along."""
    disposable = {"removed with volumes", "program", "trial", "attempt"}
    words = {word for name, (argv, _) in TABLE.items() if name not in disposable for word in argv}
    assert not words & {"-v", "--volumes", "prune", "down", "--rm", "--remove-orphans", "--rmi"}


def test_every_builder_is_in_this_file() -> None:
    """A builder that is added without saying its words here is found."""
    there = {
        name for name, one in inspect.getmembers(commands, inspect.isfunction) if one.__module__ == "rollback.commands"
    }
    there |= {name for name, _ in inspect.getmembers(Compose, inspect.isfunction) if not name.startswith("_")}
    source = Path(__file__).read_text(encoding="utf-8")
    assert sorted(name for name in there if f".{name}(" not in source) == []


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
