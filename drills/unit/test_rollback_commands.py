"""What is executed, word for word: argv lists, and the variables that commands may see."""

from __future__ import annotations

import inspect
from pathlib import Path

import pytest

from rollback import commands
from rollback.composing import Compose

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
    "config as written": (
        COMPOSE.config_as_written(),
        [*BASE, "config", "--format", "json", "--no-env-resolution", "--no-interpolate"],
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
    "trial that waits": (
        commands.trial(["nginx"], image="i", name="n", label="l=1", network="net", mounts=[], waits=True),
        words("docker create --name n --label l=1 --network net --entrypoint nginx i"),
    ),
    "attached": (commands.attached("c1"), words("docker start --attach c1")),
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
