"""Stand-ins: one-off containers of the target release that run, and then serve, beside the current ones.

A stand-in has the image and the env files that the release recorded. It publishes no port and has a name of
its own, so a fixed container name or a published port of its service is no obstacle; and Compose leaves
one-off containers alone, so a plain `up` by somebody else in the meantime does not take the users' servers.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.engine import wait_until
from rollback.outcome import Refused, Stop
from rollback.parts.images import safe
from rollback.plan import Reading

if TYPE_CHECKING:
    from rollback.composing import Compose
    from rollback.deployment import Answer, Container, Deployment
    from rollback.release import Release

__all__ = ["StandIns", "release_compose"]

LABEL = "rollback.run"
_OK = 200
_LOG_LINES = 15


def release_compose(deployment: Deployment, release: Release, overlay: Path | None = None) -> Compose:
    """Compose as it would be with the Compose and env files of a release, without touching those of the checkout.

    Raises:
        Refused: rollback.toml names a Compose file that the release did not record.
    """
    names, recorded = deployment.settings.compose.files, {one.path for one in release.files["compose"]}
    strange = [name for name in names if name not in recorded and release.live is None]
    if strange:
        raise Refused(
            f"rollback.toml names {', '.join(strange)}, which {release.version} never recorded.",
            "put [compose] files back as it was then, or choose another release",
        )
    kept, extra = release.kept(".env"), [overlay] if overlay else []
    files = tuple(release.kept(name) for name in names)
    return replace(deployment.compose, files=(*files, *extra), env_file=kept if kept.is_file() else None)


def overlay_text(deployment: Deployment, release: Release, images: dict[str, str]) -> str:
    """A Compose overlay: the images of the given roles, and the recorded env files of every service that has some."""
    unresolved = deployment.config_unresolved(release_compose(deployment, release))["services"]
    named = {release.images[role].service: image for role, image in images.items()}
    lines = ["services:"]
    for service in sorted({*named, *(name for name, one in unresolved.items() if one.get("env_file"))}):
        lines.append(f"  {json.dumps(service)}:")
        lines += [f"    image: {json.dumps(named[service])}"] if service in named else []
        lines += _env_files(deployment, release, unresolved[service].get("env_file") or [])
    return "\n".join(lines) + "\n"


def _env_files(deployment: Deployment, release: Release, entries: list[dict[str, Any]]) -> list[str]:
    lines = ["    env_file: !override"] if entries else []
    for entry in entries:
        path = _recorded(deployment, release, Path(entry["path"]))
        lines += [
            f"      - path: {json.dumps(str(path))}",
            f"        required: {json.dumps(entry.get('required', True))}",
        ]
    return lines


def _recorded(deployment: Deployment, release: Release, path: Path) -> Path:
    if path.is_relative_to(deployment.root):
        kept = release.kept(str(path.relative_to(deployment.root)))
        if kept.is_file():
            return kept
    return path


@dataclass(frozen=True)
class StandIns:
    """The stand-ins of one run."""

    deployment: Deployment
    release: Release
    run: str
    roles: tuple[str, ...]
    folder: Path

    def name(self, role: str) -> str:
        """The container's name, which nginx resolves."""
        return f"{self.deployment.project}-{safe(self.release.images[role].service)}-{self.run}"

    def names(self) -> dict[str, str]:
        """By role."""
        return {role: self.name(role) for role in self.roles}

    def found(self) -> dict[str, Container]:
        """Those that exist, by name."""
        return {one.name: one for one in self.deployment.containers() if one.labels.get(LABEL) == self.run}

    def running(self) -> Reading:
        """Whether all run."""
        up = {name for name, one in self.found().items() if one.running}
        lost = sorted(set(self.names().values()) - up)
        return Reading(not lost, f"not running: {', '.join(lost)}" if lost else f"{len(up)} running")

    def start(self) -> None:
        """Start all that do not run, side by side."""
        overlay = self._overlay()
        compose = release_compose(self.deployment, self.release, overlay)
        found = self.found()
        dead = [name for name, one in found.items() if not one.running]
        if dead:
            self.deployment.engine.ask(commands.remove(dead))
        missing = [role for role in self.roles if self.name(role) in dead or self.name(role) not in found]
        self.deployment.engine.ask_all([self._argv(compose, role) for role in missing])

    def _argv(self, compose: Compose, role: str) -> commands.Argv:
        service = self.deployment.settings.services[role]
        return compose.run_beside(
            service.service, name=self.name(role), labels={LABEL: self.run}, aliases=service.upstream is None
        )

    def _overlay(self) -> Path:
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / "standins.yml"
        images = {role: self.release.images[role].kept_as for role in self.roles}
        path.write_text(overlay_text(self.deployment, self.release, images), encoding="utf-8")
        path.chmod(0o600)
        return path

    def proven(self) -> Reading:
        """Whether every stand-in answers with the release's own identity and is healthy."""
        seen = self._answers()
        wrong = [text for ok, text in seen.values() if not ok]
        return Reading(not wrong, "; ".join(wrong or [text for _, text in seen.values()]))

    def _answers(self) -> dict[str, tuple[bool, str]]:
        """By role: is it the release and healthy, and what was seen."""
        table, urls = self.deployment.settings.services, []
        for role in self.roles:
            base = f"http://{self.name(role)}:{table[role].port}"
            urls += [base + table[role].version, base + table[role].health]
        answers = self.deployment.fetch_all(urls)
        pairs = zip(self.roles, answers[::2], answers[1::2], strict=True)
        return {role: self._judge(role, version, health) for role, version, health in pairs}

    def _judge(self, role: str, version: Answer, health: Answer) -> tuple[bool, str]:
        wanted = self.release.images[role].identity
        if version.version != wanted:
            return False, f"{role} answers {version.version or version.body[:120] or 'nothing'} instead of {wanted}"
        return health.status == _OK, f"{role} {wanted} health {health.status}"

    def prove(self) -> None:
        """Wait until all are proven.

        Raises:
            Refused: with the last answer and the end of the log of what did not come up.
        """
        seconds = self.deployment.settings.timing.healthy
        try:
            wait_until(self._proven_or_dead, seconds=seconds, what=f"{self.release.version} healthy beside")
        except Stop as stop:
            raise Refused(f"{stop.found} {self._logs()}", "choose another release; nothing was changed") from stop

    def protect(self) -> None:
        """From now on users depend on them: the engine brings them back if they or the host fail."""
        self.deployment.engine.ask(commands.restart_always(list(self.names().values())))

    def _proven_or_dead(self) -> tuple[bool, str]:
        alive = self.running()
        if not alive.holds:
            raise Refused(f"{self.release.version} does not stay up beside the current release: {alive.seen}.")
        now = self.proven()
        return now.holds, now.seen

    def _logs(self) -> str:
        texts = []
        for role, (ok, _) in self._answers().items():
            if not ok:
                result = self.deployment.engine.run(commands.logs(self.name(role), tail=_LOG_LINES))
                texts.append(f"Last lines of {self.name(role)}: {(result.out + result.err).strip()}")
        return " ".join(texts)

    def gone(self) -> Reading:
        """Whether none is left."""
        left = sorted(self.found())
        return Reading(not left, f"left: {', '.join(left)}" if left else "no stand-in is left")

    def remove(self) -> None:
        """Let them finish what they have, keep their logs, remove them."""
        names = sorted(self.found())
        if not names:
            return
        self.deployment.engine.ask(commands.stop(names, seconds=self.deployment.settings.timing.stop))
        self.deployment.engine.save_all({self.folder / f"{name}.log": commands.logs(name) for name in names})
        self.deployment.engine.ask(commands.remove(names))
