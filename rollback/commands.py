"""Argv builders for docker and git (composing.py: docker compose). Nothing runs here: tests need no engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence
    from pathlib import Path

__all__ = ["Argv"]

Argv = list[str]


def plugins() -> Argv:
    """Which plugins the docker command has, and where; the engine is not asked."""
    return ["docker", "info", "--format", "{{json .ClientInfo.Plugins}}"]


def containers(*filters: str) -> Argv:
    """IDs of all containers, running or not, that match every filter."""
    argv = ["docker", "ps", "--all", "--no-trunc", "--quiet"]
    for one in filters:
        argv += ["--filter", one]
    return argv


def volumes(*filters: str) -> Argv:
    """Names of all volumes that match every filter."""
    argv = ["docker", "volume", "ls", "--quiet"]
    for one in filters:
        argv += ["--filter", one]
    return argv


def drop_volumes(names: Sequence[str]) -> Argv:
    """Delete volumes with what is in them; the engine refuses one that a container has."""
    return ["docker", "volume", "rm", *names]


def container_images() -> Argv:
    """The image name and the Compose project of every container on the engine, a line each."""
    row = '{{.Image}}\t{{.Label "com.docker.compose.project"}}'
    return ["docker", "ps", "--all", "--no-trunc", "--format", row]


def inspect(kind: str, names: Sequence[str]) -> Argv:
    """The engine's record of containers or images, as JSON."""
    return ["docker", kind, "inspect", *names]


def execute(container: str, command: Sequence[str], *, stdin: bool = False) -> Argv:
    """Run a command inside a container, never with a terminal (a terminal adds carriage returns)."""
    return ["docker", "exec", *(["-i"] if stdin else []), container, *command]


def copy_out(container: str, path: str) -> Argv:
    """What lies in a folder of a container, as a tar on standard output; nothing is run in it."""
    return ["docker", "cp", f"{container}:{path.rstrip('/')}/.", "-"]


def copy_in(container: str, path: str) -> Argv:
    """A tar from standard input into a folder of a container; nothing is run in it."""
    return ["docker", "cp", "-", f"{container}:{path}"]


def porter(  # noqa: PLR0913 -- the words of one long command
    image: str, *, name: str, label: str, volume: str, inside: str, readonly: bool, hidden: Sequence[str]
) -> Argv:
    """A container that is never started: a way to a volume."""
    argv = ["docker", "create", "--name", name, "--label", label, "--network", "none"]
    argv += ["--mount", f"type=volume,source={volume},destination={inside}{',readonly' if readonly else ''}"]
    for one in hidden:
        argv += ["--mount", f"type=tmpfs,destination={one}"]
    return [*argv, image, "true"]


def make_volume(name: str, labels: Mapping[str, str]) -> Argv:
    """A new volume."""
    argv = ["docker", "volume", "create"]
    for key, value in labels.items():
        argv += ["--label", f"{key}={value}"]
    return [*argv, name]


def remove_volume(name: str) -> Argv:
    """Remove one volume, by its name; refused by the engine while a container has it."""
    return ["docker", "volume", "rm", name]


def save_images(names: Sequence[str]) -> Argv:
    """Images with their names, as a tar on standard output; layers that they share are in it once."""
    return ["docker", "image", "save", *names]


def history(image: str) -> Argv:
    """The layers of an image with their sizes in bytes, one JSON object a line."""
    return ["docker", "image", "history", "--no-trunc", "--human=false", "--format", "{{json .}}", image]


def load_images() -> Argv:
    """Images from a tar on standard input."""
    return ["docker", "image", "load", "--quiet"]


def start(names: Sequence[str]) -> Argv:
    """Start containers that are there."""
    return ["docker", "start", *names]


def logs(container: str, *, tail: int | None = None, since: str | None = None) -> Argv:
    """The log of a container, with the engine's time stamps."""
    argv = ["docker", "logs", "--timestamps"]
    if tail is not None:
        argv += ["--tail", str(tail)]
    if since is not None:
        argv += ["--since", since]
    return [*argv, container]


def stop(names: Sequence[str], *, seconds: int) -> Argv:
    """Ask containers to finish; the engine kills them after the given seconds."""
    return ["docker", "stop", "--time", str(seconds), *names]


def attached(container: str) -> Argv:
    """Start a container that was made, and have its output and its exit code."""
    return ["docker", "start", "--attach", container]


def restart(names: Sequence[str], *, seconds: int) -> Argv:
    """Stop containers in their own time, up to these seconds, and start them, also those that have died."""
    return ["docker", "restart", "--time", str(seconds), *names]


def signal(names: Sequence[str], name: str) -> Argv:
    """Send a signal to the first process of containers."""
    return ["docker", "kill", "--signal", name, *names]


def remove(names: Sequence[str]) -> Argv:
    """Remove stopped or running containers, never their named volumes."""
    return ["docker", "rm", "--force", *names]


def rename(container: str, name: str) -> Argv:
    """Give a container another name."""
    return ["docker", "rename", container, name]


def remove_with_volumes(names: Sequence[str]) -> Argv:
    """Remove containers of our own together with their anonymous volumes; named volumes stay, as always."""
    return ["docker", "rm", "--force", "--volumes", *names]


def labelled(label: str) -> Argv:
    """ID and value of a label of every container that bears it, a line each."""
    row = f'{{{{.ID}}}} {{{{.Label "{label}"}}}}'
    return ["docker", "ps", "--all", "--filter", f"label={label}", "--format", row]


def companion(  # noqa: PLR0913 -- the words of one long command
    image: str, *, container: str, name: str, label: str, user: str, hidden: Sequence[str]
) -> Argv:
    """A container that does nothing, in the network of another one: somewhere to run what must not run in that."""
    argv = ["docker", "run", "--detach", "--name", name, "--label", label, "--network", f"container:{container}"]
    argv += ["--user", user, "--cap-drop", "ALL", "--entrypoint", "sleep"]
    for volume in hidden:
        argv += ["--mount", f"type=tmpfs,destination={volume}"]
    return [*argv, image, "infinity"]


def scratch(image: str, *, name: str, label: str, settings: Sequence[str]) -> Argv:
    """A PostgreSQL that nobody can reach over a network; its password comes from the environment."""
    argv = ["docker", "run", "--detach", "--name", name, "--label", label, "--network", "none"]
    argv += ["--shm-size", "256m", "--env", "POSTGRES_PASSWORD", "--env", "POSTGRES_USER", image]
    for one in settings:
        argv += ["-c", one]
    return argv


def program(  # noqa: PLR0913 -- the words of one long command
    words: Sequence[str],
    *,
    image: str,
    network: str,
    name: str,
    label: str,
    mount: str | None,
    user: str,
    hidden: Sequence[str],
) -> Argv:
    """One of an image's programs in a container of its own; what it needs to know is in the environment.

    Args:
        words: the program and its arguments.
        image: where it comes from.
        network: `none`, or `container:ID` to share that of a running one.
        name: of its own container, which is removed when it ends.
        label: by which what a kill has left is found.
        mount: a bind mount, in docker's words.
        user: numeric uid and gid.
        hidden: volumes of the image that the program does not need.
    """
    argv = ["docker", "run", "--rm", "--name", name, "--label", label, "--network", network]
    argv += ["--user", user, "--env", "PGHOST", "--env", "PGUSER", "--env", "PGPASSWORD", "--entrypoint", words[0]]
    for volume in hidden:
        argv += ["--mount", f"type=tmpfs,destination={volume}"]
    if mount is not None:
        argv += ["--mount", mount]
    return [*argv, image, *words[1:]]


def trial(  # noqa: PLR0913 -- the words of one long command
    words: Sequence[str],
    *,
    image: str,
    name: str,
    label: str,
    network: str,
    mounts: Sequence[str],
    waits: bool = False,
) -> Argv:
    """A program of a service with the service's own mounts, read only, in a container that is removed when it ends.

    One that `waits` is made and not started: it may be given more networks first, and its maker removes it.
    """
    argv = ["docker", *(["create"] if waits else ["run", "--rm"]), "--name", name, "--label", label]
    argv += ["--network", network, "--entrypoint", words[0]]
    for one in mounts:
        argv += ["--mount", f"{one},readonly"]
    return [*argv, image, *words[1:]]


def restart_always(names: Sequence[str]) -> Argv:
    """Let the engine bring containers back after a crash or a reboot."""
    return ["docker", "update", "--restart", "unless-stopped", *names]


def tag(image: str, name: str) -> Argv:
    """Give an image a name."""
    return ["docker", "tag", image, name]


def untag(name: str) -> Argv:
    """Take a name from an image; the image goes only with its last name."""
    return ["docker", "rmi", "--no-prune", name]


def commit(container: str, image: str, message: str) -> Argv:
    """Keep the file system of a container as an image, for the post-mortem."""
    return ["docker", "commit", "--pause=false", "--message", message, container, image]


def build(context: Path, *, name: str, dockerfile: str, args: Collection[str], target: str | None) -> Argv:
    """Build one image from a folder; the values of the build arguments come from the environment, not the argv."""
    argv = ["docker", "build", "--tag", name, "--file", str(context / dockerfile)]
    for key in args:
        argv += ["--build-arg", key]
    if target:
        argv += ["--target", target]
    return [*argv, str(context)]


def engine_info() -> Argv:
    """What the engine says of itself, as JSON."""
    return ["docker", "info", "--format", "{{json .}}"]


def compose_version() -> Argv:
    """The version of Compose alone."""
    return ["docker", "compose", "version", "--short"]


def git(root: Path, *words: str) -> Argv:
    """Git on the deployment's checkout."""
    return ["git", "-C", str(root), *words]


def changed_files(container: str) -> Argv:
    """Every path in which a container's file system is not its image's: A added, C changed, D deleted."""
    return ["docker", "diff", container]


def copy_one(container: str, path: str) -> Argv:
    """One file of a container as a tar on standard output; nothing is run in it."""
    return ["docker", "cp", f"{container}:{path}", "-"]


def processes(container: str) -> Argv:
    """The processes of a container as the host sees them; nothing is run in it."""
    return ["docker", "top", container]


def networks(*filters: str) -> Argv:
    """IDs of all networks that match every filter."""
    argv = ["docker", "network", "ls", "--no-trunc", "--quiet"]
    for one in filters:
        argv += ["--filter", one]
    return argv


def network_create(name: str, labels: Mapping[str, str], *, closed: bool) -> Argv:
    """A bridge network; a closed one has no way out, and no address of the host in it.

    `--internal` alone leaves the host reachable at the bridge's own address.
    """
    argv = ["docker", "network", "create", "--driver", "bridge"]
    argv += ["--internal", "--opt", "com.docker.network.bridge.inhibit_ipv4=true"] if closed else []
    for key, value in labels.items():
        argv += ["--label", f"{key}={value}"]
    return [*argv, name]


def network_connect(network: str, container: str, aliases: Sequence[str], address: str | None = None) -> Argv:
    """Give a container an end in a network, under these names and, where it had a fixed one, this address."""
    argv = ["docker", "network", "connect"]
    for one in aliases:
        argv += ["--alias", one]
    return [*argv, *(["--ip", address] if address else []), network, container]


def network_disconnect(network: str, container: str) -> Argv:
    """Take a container out of a network; its published ports close with it."""
    return ["docker", "network", "disconnect", "--force", network, container]


def network_remove(name: str) -> Argv:
    """Remove a network in which nobody is."""
    return ["docker", "network", "rm", name]


def doorkeeper(  # noqa: PLR0913 -- the words of one long command
    image: str, *, name: str, labels: Mapping[str, str], network: str, ports: Sequence[str], mount: str, user: str
) -> Argv:
    """An nginx with a configuration of its own that holds the edge's ports; it forwards no packet, writes nothing."""
    argv = ["docker", "create", "--name", name, "--network", network, "--restart", "unless-stopped"]
    for key, value in labels.items():
        argv += ["--label", f"{key}={value}"]
    for one in ports:
        argv += ["--publish", one]
    argv += ["--user", user, "--read-only", "--tmpfs", "/tmp", "--cap-drop", "ALL"]  # noqa: S108 -- in the container
    argv += ["--security-opt", "no-new-privileges", "--sysctl", "net.ipv4.ip_forward=0"]
    argv += ["--sysctl", "net.ipv4.ip_unprivileged_port_start=0", "--mount", f"{mount},readonly"]
    argv += ["--entrypoint", "nginx"]
    return [*argv, image, "-c", "/door/nginx.conf", "-g", "daemon off;"]


def attempt(words: Sequence[str], *, image: str, name: str, label: str, container: str, env: Sequence[str]) -> Argv:  # noqa: PLR0913
    """A program in the network of a container, with nothing of that container's own; variables come from outside."""
    argv = ["docker", "run", "--rm", "--name", name, "--label", label, "--network", f"container:{container}"]
    argv += ["--user", "65534:65534", "--cap-drop", "ALL", "--entrypoint", words[0]]
    for one in env:
        argv += ["--env", one]
    return [*argv, image, *words[1:]]
