"""The monitoring stack as a part: a Compose project of its own, its configuration checked by its own programs."""

from __future__ import annotations

import itertools
import json
import re
import shlex
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from rollback import commands
from rollback.composing import Compose
from rollback.database import disposable
from rollback.deployment import Deployment
from rollback.engine import wait_for
from rollback.mount import bind
from rollback.outcome import Failed, Refused
from rollback.parts import files
from rollback.plan import Reading

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from rollback.deployment import Container

__all__ = ["Monitoring", "Program", "gap", "trial"]

LOOK_BACK = "1h"
#: Prometheus itself takes a series for ended after so long without a sample, in seconds.
_STALE_S = 300
_RULES = re.compile(r"SUCCESS: (\d+) rules found")
_LOADED = "config_last_reload_success_timestamp_seconds"
_GOOD = "config_last_reload_successful"


@dataclass(frozen=True)
class Program:
    """One of the two programs that have a configuration to check.

    Attributes:
        name: prefix of its own metrics.
        service: its Compose service.
        port: where it answers inside its container.
        check: the program of its image that judges a configuration file.
    """

    name: str
    service: str
    port: int
    check: tuple[str, ...]

    @property
    def usual(self) -> str:
        """Where its image has the configuration, if the command does not say."""
        return f"/etc/{self.name}/{self.name}.yml"


@dataclass(frozen=True)
class Monitoring(Deployment):
    """The monitoring project of a deployment: containers, files and volumes here are its own, as [monitoring] says."""

    of: Deployment | None = field(default=None, repr=False)

    @classmethod
    def beside(cls, deployment: Deployment) -> Monitoring:
        """That of a deployment.

        Raises:
            Refused: rollback.toml names none.
        """
        if not deployment.settings.monitoring.files:
            raise Refused("rollback.toml names no monitoring stack.", "add [monitoring] files and [parts] monitoring")
        return cls(deployment.root, deployment.settings, deployment.engine, of=deployment)

    @property
    def folder(self) -> Path:
        """As for Compose: where the first of its files lies."""
        return (self.root / self.settings.monitoring.files[0]).parent

    @property
    def compose(self) -> Compose:
        """Compose as `docker compose -f FILE` in the checkout sees it."""
        return self.laid_out(self.root)

    def laid_out(self, root: Path, project: str | None = None) -> Compose:
        """The same for files that lie in another folder, which stands for the checkout."""
        paths = tuple(root / name for name in self.settings.monitoring.files)
        return Compose(paths[0].parent, paths, project=project)

    def programs(self, services: Collection[str]) -> list[Program]:
        """Those that are among the services."""
        table = self.settings.monitoring
        known = (
            Program("prometheus", table.prometheus, table.prometheus_port, ("promtool", "check", "config")),
            Program("alertmanager", table.alertmanager, table.alertmanager_port, ("amtool", "check-config")),
        )
        return [one for one in known if one.service in services]

    def strangers(self) -> list[str]:
        """Folders of other checkouts whose containers bear the same project name."""
        folders = {one.labels.get("com.docker.compose.project.working_dir", "") for one in self.containers()}
        return sorted(folders - {str(self.folder)})

    def answer(self, program: Program, path: str) -> str:
        """What a program answers over HTTP inside its own container.

        Raises:
            Failed: it does not run or does not answer.
        """
        running = [one for one in self.serving(program.service) if one.running]
        if not running:
            raise Failed(f"{program.service} does not run.")
        url = f"http://127.0.0.1:{program.port}{path}"
        argv = commands.execute(running[0].id, ["wget", "-q", "-O", "-", url])
        result = self.engine.run(argv, seconds=15, question=True)
        if result.code != 0:
            raise Failed(f"{program.service} does not answer at {path}: {result.err.strip() or 'no message'}.")
        return result.out

    def data(self, program: Program, path: str) -> Any:
        """The `data` of an answer of its HTTP API.

        Raises:
            Failed: it does not answer, or not as Prometheus does.
        """
        said = self.answer(program, path)
        try:
            return json.loads(said)["data"]
        except (ValueError, KeyError, TypeError):
            raise Failed(f"{program.service} does not answer at {path} as Prometheus does: {said[:120]}") from None

    def loaded(self, program: Program) -> Reading:
        """Whether it works with the files as they are: it has loaded them since they changed last, and took them."""
        found = dict(re.findall(rf"^{program.name}_(\w+) (\S+)$", self.answer(program, "/metrics"), re.MULTILINE))
        good, at = float(found.get(_GOOD, 0)) == 1, float(found.get(_LOADED, 0))
        if not good:
            return Reading(holds=False, seen=f"{program.service} refused its configuration and keeps an older one")
        fresh = at >= self._changed()
        return Reading(fresh, f"{program.service} {'has loaded' if fresh else 'has not loaded'} the files")

    def _changed(self) -> float:
        names = files.listed(self.root, self.settings.parts.monitoring)
        if not names:
            raise Failed("[parts] monitoring names nothing that is there.", "name the files that its programs read")
        return max((self.root / name).lstat().st_ctime for name in names)

    def served(self) -> Reading:
        """Whether what runs is what the files say: containers as Compose would make them, configuration loaded."""
        hashes, there = self.hashes(self.compose), self.containers()
        told = [text for service in sorted(hashes) for text in _unlike(service, hashes[service], there)]
        if not told:
            told = [one.seen for one in map(self.loaded, self.programs(hashes)) if not one.holds]
        return Reading(not told, "; ".join(told) or f"{len(hashes)} services as the files say, configuration loaded")

    def bring_up(self, seconds: float) -> None:
        """Make what runs what the files say; what they do not change goes on and only reads its configuration again.

        Raises:
            Failed: it did not come true in time.
        """
        hashes = self.hashes(self.compose)
        self.engine.ask(self.compose.up(sorted(hashes), wait_seconds=None))
        down = [one.id for one in self.containers() if one.service in hashes and not one.running]
        if down:
            # one that died of its configuration again and again is started now, not when its next turn comes
            self.engine.ask(commands.restart(down, seconds=self.settings.timing.stop))
        wait_for(lambda: self._alive(set(hashes)), seconds=seconds, what="the monitoring services running")
        for program in self.programs(hashes):
            self._load(program, seconds)
        wait_for(self.served, seconds=seconds, what="the monitoring stack as its files say")

    def _alive(self, services: set[str]) -> Reading:
        ill = sorted(one.name for one in self.containers() if one.service in services and not one.well)
        return Reading(not ill, f"not well: {', '.join(ill)}" if ill else "all well")

    def _load(self, program: Program, seconds: float) -> None:
        """One that goes on reads its files again; one that was made anew has done so when it answers."""
        wait_for(lambda: self._answers(program), seconds=seconds, what=f"an answer of {program.service}")
        if not self.loaded(program).holds:
            self.engine.ask(commands.signal([one.id for one in self.serving(program.service)], "HUP"))
            wait_for(
                lambda: self.loaded(program), seconds=seconds, what=f"{program.service} with its new configuration"
            )

    def _answers(self, program: Program) -> Reading:
        return Reading(bool(self.answer(program, "/metrics")), f"{program.service} answers")

    def watching(self, rules: int) -> Reading:
        """Whether it watches: every target is up (but those of services that are ill), every rule is loaded.

        Args:
            rules: how many the files hold.
        """
        services = self.hashes(self.compose)
        found = {one.name: one for one in self.programs(services)}
        if "prometheus" not in found:
            return Reading(holds=True, seen="no Prometheus among its services: nothing to ask")
        prometheus = found["prometheus"]
        targets = self.targets(prometheus)
        told = [*self.without_target(prometheus, targets), *self._down(targets), *self._rules(prometheus, rules)]
        if not (alive := self._alive(set(services))).holds:
            told.append(alive.seen)
        if "alertmanager" in found and not self.data(prometheus, "/api/v1/alertmanagers")["activeAlertmanagers"]:
            told.append("Prometheus knows no Alertmanager")
        longest = gap(self, prometheus)
        active = len(targets["activeTargets"])
        seen = f"{active} targets up, {rules} rules loaded, longest time without a sample {longest:.1f} s"
        return Reading(not told, "; ".join(told) or seen, {"metrics_gap_s": round(longest, 1)})

    def targets(self, prometheus: Program) -> Any:
        """What Prometheus asks, and what it found and drops.

        Raises:
            Failed: it does not answer, or not as Prometheus does.
        """
        return self.data(prometheus, "/api/v1/targets")

    def without_target(self, prometheus: Program, targets: Any) -> list[str]:
        """Jobs of its configuration that name targets and have none: for seconds after a start it knows no target yet.

        A job whose targets are discovered may have none.

        Raises:
            Failed: it does not answer, or not as Prometheus does.
        """
        there = {one["scrapePool"] for one in targets["activeTargets"]}
        there |= {one["discoveredLabels"].get("job") for one in targets.get("droppedTargets", [])}
        return [f"{job} has no target yet" for job in _jobs(self.data(prometheus, "/api/v1/status/config")["yaml"])
                if job not in there]  # fmt: skip

    def _down(self, targets: Any) -> Iterator[str]:
        ill = {one.service for one in self.of.containers() if not one.well} if self.of else set()
        for target in targets["activeTargets"]:
            if target["health"] != "up" and urlsplit(target["scrapeUrl"]).hostname not in ill:
                yield f"{target['scrapePool']} {target['health']}: {target['lastError'] or 'not asked yet'}"

    def _rules(self, prometheus: Program, wanted: int) -> Iterator[str]:
        rules = [one for group in self.data(prometheus, "/api/v1/rules")["groups"] for one in group["rules"]]
        if len(rules) != wanted:
            yield f"{len(rules)} of {wanted} rules loaded"
        yield from (f"the rule {one['name']}: {one['lastError']}" for one in rules if one["health"] == "err")


def _jobs(configuration: str) -> list[str]:
    """Those that name targets."""
    from ruamel.yaml import YAML  # noqa: PLC0415 -- no other command needs it

    jobs = (YAML(typ="safe").load(configuration) or {}).get("scrape_configs") or []
    return [one["job_name"] for one in jobs if any(some.get("targets") for some in one.get("static_configs") or [])]


def _unlike(service: str, wanted: str, there: Collection[Container]) -> list[str]:
    mine = [one for one in there if one.service == service and not one.one_off]
    if not mine:
        return [f"{service} has no container"]
    return [text for one in mine for text in one.differences(one.image, wanted)]


def gap(monitoring: Monitoring, prometheus: Program) -> float:
    """The longest time between two samples of a target that is asked now, in the last hour, in seconds."""
    asked = monitoring.data(prometheus, f"/api/v1/query?query={quote(f'up[{LOOK_BACK}]')}")["result"]
    times = [[float(when) for when, _ in series["values"]] for series in asked]
    newest = max((some[-1] for some in times if some), default=0.0)
    # a series without a sample for long is of a target that is no longer asked
    alive = [some for some in times if some and newest - some[-1] < _STALE_S]
    return max((b - a for some in alive for a, b in itertools.pairwise(some)), default=0.0)


def trial(monitoring: Monitoring, model: dict[str, Any]) -> int:
    """Have the programs' own checkers judge the configuration, each in a container of its own.

    Args:
        monitoring: the project.
        model: what Compose makes of the files that are to be judged; its mounts lead to them.

    Returns:
        How many alerting and recording rules there are.

    Raises:
        Refused: a checker says no, in its own words.
    """
    said = [_checked(monitoring, one, model["services"][one.service]) for one in monitoring.programs(model["services"])]
    return sum(int(one) for text in said for one in _RULES.findall(text))


def _checked(monitoring: Monitoring, program: Program, service: dict[str, Any]) -> str:
    argv = commands.trial(
        [*program.check, _configuration(program, service)],
        image=service["image"],
        name=disposable.name("monitoring-test"),
        label=disposable.label(),
        network="none",
        mounts=[
            bind(Path(one["source"]), one["target"]) for one in service.get("volumes", []) if one["type"] == "bind"
        ],
    )
    result = monitoring.engine.run(argv)
    if result.code != 0:
        said = " ".join(line.strip() for line in f"{result.out}\n{result.err}".splitlines() if line.strip())
        raise Refused(f"{program.check[0]} refuses the configuration of {program.service}: {said}.",
                      "choose another release")  # fmt: skip
    return result.out + result.err


def _configuration(program: Program, service: dict[str, Any]) -> str:
    """The file that its command names."""
    words = service.get("command") or []
    for word in shlex.split(words) if isinstance(words, str) else words:
        name, _, value = str(word).partition("=")
        if name.lstrip("-") == "config.file" and value:
            return value
    return program.usual
