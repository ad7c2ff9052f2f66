"""Monitoring rollback: its files as a release had them, its metrics kept (RUNBOOK, Rollback Monitoring Stack).

What the files do not change goes on running and reads its configuration again, so its metrics have no gap; what they do
change is made anew by Compose on the same volumes. No volume is ever deleted.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.documents.preflight import Preflight
from rollback.engine import wait_for
from rollback.outcome import Refused
from rollback.parts import files
from rollback.parts.monitoring import Monitoring, trial
from rollback.parts.retired import Retired
from rollback.parts.tree import Tree
from rollback.plan import Plan, Reading, Step
from rollback.procedures import target

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["NAME", "plan", "survey"]

NAME = PART = "monitoring"
_PROVEN = "proven.json"


def survey(deployment: Deployment, version: str, run: str) -> dict[str, Any]:
    """Find what differs from the release; nothing is changed.

    There is always something to do: Prometheus may not have read the files that are there.

    Raises:
        Refused: no monitoring stack is named; unknown, bad or damaged release, or it was recorded without monitoring
            files; Compose cannot read them; an image that they name is not here; another checkout's containers bear
            the same project name.
    """
    monitoring = Monitoring.beside(deployment)
    release = target.recorded(deployment, version, lambda one: _differs(monitoring, one))
    if not release.files.get(PART):
        raise Refused(f"{release.version} was recorded without files of monitoring.", "choose another release")
    tree = _tree(monitoring, release, run)
    with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
        model = _model(monitoring, tree, Path(folder))
    _images_here(monitoring, model)
    if strangers := monitoring.strangers():
        raise Refused(
            f"Containers of {', '.join(strangers)} bear the project name {monitoring.project} as well.",
            "give one of them COMPOSE_PROJECT_NAME in its .env: Compose itself would replace them",
        )
    added: dict[str, list[str]] = {}
    for one in monitoring.containers():
        if one.service not in model["services"] and not one.one_off:
            added.setdefault(one.service, []).append(one.id)
    return {
        "run": run,
        "version": release.version,
        "changed": tree.differing(),
        "added_files": tree.added(),
        "added": added,
        "volumes": _volumes(monitoring),
    }


def _differs(monitoring: Monitoring, release: Release) -> bool:
    tree = _tree(monitoring, release, "-")
    return bool(tree.differing() or tree.added())


def _tree(monitoring: Monitoring, release: Release, run: str) -> Tree:
    return Tree(
        monitoring.root,
        monitoring.settings.parts.monitoring,
        (),
        release.files.get(PART, []),
        release.store,
        monitoring.run_folder(run) / "aside",
    )


def _model(monitoring: Monitoring, tree: Tree, folder: Path) -> dict[str, Any]:
    """What Compose makes of the release's files, laid out in a folder that stands for the checkout."""
    tree.laid_out(folder)
    return monitoring.config(monitoring.laid_out(folder))


def _images_here(monitoring: Monitoring, model: dict[str, Any]) -> None:
    names = {str(one["image"]) for one in model["services"].values() if "image" in one}
    missing = sorted(name for name, found in monitoring.image_ids(names).items() if found is None)
    if missing:
        raise Refused(f"The image {missing[0]}, which the release's files name, is not here.",
                      f"`docker pull {missing[0]}`, then repeat the command")  # fmt: skip


def _volumes(monitoring: Monitoring) -> dict[str, list[str]]:
    """The named volumes that each service has its data in."""
    found: dict[str, list[str]] = {}
    there = monitoring.containers()
    raw = json.loads(monitoring.engine.ask(commands.inspect("container", [one.id for one in there]))) if there else []
    for one, container in zip(there, raw, strict=True):
        names = [str(mount["Name"]) for mount in container["Mounts"] if mount["Type"] == "volume"]
        found[one.service] = sorted({*found.get(one.service, []), *names})
    return found


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    release = target.recorded(deployment, str(facts["version"]))
    return _Procedure(Monitoring.beside(deployment), facts, release).plan()


@dataclass(frozen=True)
class _Procedure:
    monitoring: Monitoring
    facts: dict[str, Any]
    release: Release

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.monitoring.run_folder(self.facts["run"])

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        version = self.facts["version"]
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"put the monitoring stack back as {version} had it",
            steps=(
                self._preflight().recorded(),
                self._proven(),
                self._files(),
                *((self._removed(),) if self.facts["added"] else ()),
                self._served(),
                self._watching(),
            ),
            notes=(
                *(f"{name} is put back" for name in self.facts["changed"]),
                *(f"{name} is not of {version}: it is set aside in {self.folder / 'aside'}"
                  for name in self.facts["added_files"]),
                *(f"{name} is not of {version}: it is stopped and removed, its log, an image of it and its volumes are"
                  " kept" for name in self.facts["added"]),
                "metrics are kept; what the files change is away for some seconds, the rest reads its files again",
            ),
        )  # fmt: skip

    def _preflight(self) -> Preflight:
        parts = tuple(self.monitoring.settings.parts.monitoring)
        return Preflight(self.monitoring, self.folder, parts, self.monitoring.of)

    def _tree(self) -> Tree:
        return _tree(self.monitoring, self.release, self.facts["run"])

    def _proven(self) -> Step:
        return Step(
            f"monitoring of {self.facts['version']} proven in containers of its own",
            "promtool and amtool of the images themselves judge it before the running ones see it",
            self._is_proven,
            self._prove,
            gate=True,
        )

    def _is_proven(self) -> Reading:
        good = (self.folder / _PROVEN).is_file()
        return Reading(good, f"sound, {self._wanted_rules()} rules" if good else "not tested")

    def _wanted_rules(self) -> int:
        return int(json.loads((self.folder / _PROVEN).read_text(encoding="utf-8"))["rules"])

    def _prove(self) -> None:
        laid_out = self.folder / "laid out"
        shutil.rmtree(laid_out, ignore_errors=True)
        try:
            rules = trial(self.monitoring, _model(self.monitoring, self._tree(), laid_out))
        finally:
            # passwords may be in it
            shutil.rmtree(laid_out, ignore_errors=True)
        files.write(self.folder / _PROVEN, json.dumps({"rules": rules}) + "\n", mode=0o600)

    def _files(self) -> Step:
        return Step(
            f"files of monitoring as in {self.facts['version']}",
            f"{len(self.facts['changed'])} put back, {len(self.facts['added_files'])} set aside",
            self._tree().reading,
            self._tree().put_back,
            self._take_back,
        )

    def _take_back(self) -> None:
        """The files of before, and Compose with them as far as it goes: they may be what nothing could run with."""
        before = self._preflight()
        self._tree().take_back(before.records(), before.store)
        self.monitoring.engine.run([*self.monitoring.compose.up([], wait_seconds=None)])
        for program in self.monitoring.programs({one.service for one in self.monitoring.containers()}):
            alive = [one.id for one in self.monitoring.serving(program.service) if one.running]
            if alive:
                self.monitoring.engine.run(commands.signal(alive, "HUP"))

    def _removed(self) -> Step:
        added = self.facts["added"]
        return Step(
            f"{', '.join(added)} removed",
            f"{self.facts['version']} does not have it; its log, an image of it and its volumes are kept",
            self._are_removed,
            self._remove,
        )

    def _are_removed(self) -> Reading:
        mine = {one for some in self.facts["added"].values() for one in some}
        left = sorted(one.name for one in self.monitoring.containers() if one.id in mine)
        return Reading(not left, f"left: {', '.join(left)}" if left else "none is left")

    def _remove(self) -> None:
        added = self.facts["added"]
        Retired(self.monitoring, self.folder / "added", self.facts["run"], added).keep()
        there = {one.id for one in self.monitoring.containers()}
        gone = [one for some in added.values() for one in some if one in there]
        if gone:
            self.monitoring.engine.ask(commands.remove(gone))

    def _served(self) -> Step:
        return Step(
            f"monitoring runs as in {self.facts['version']}",
            "Compose makes anew what the files change; Prometheus and Alertmanager say that they have loaded them",
            self._is_served,
            lambda: self.monitoring.bring_up(self.monitoring.settings.timing.healthy),
        )

    def _is_served(self) -> Reading:
        now = self.monitoring.served()
        return self._data_kept(now.seen) if now.holds else now

    def _data_kept(self, seen: str) -> Reading:
        """A service that is of the release has its volumes still: its metrics are those of before."""
        now, before = _volumes(self.monitoring), self.facts["volumes"]
        model = self.monitoring.config(self.monitoring.compose)
        wanted = {f"{one['name']}" for one in (model.get("volumes") or {}).values()}
        lost = sorted(
            name for service, names in before.items() if service in now for name in names
            if name in wanted and name not in now[service]
        )  # fmt: skip
        if lost:
            return Reading(holds=False, seen=f"without its volume: {', '.join(lost)}")
        return Reading(holds=True, seen=f"{seen}, {'metrics kept' if any(before.values()) else 'no metrics to keep'}")

    def _watching(self) -> Step:
        return Step(
            "targets up and alerts loaded",
            "a stack that runs and sees nothing is no monitoring",
            self._is_watching,
            self._await,
        )

    def _is_watching(self) -> Reading:
        proven = self._is_proven()
        return self.monitoring.watching(self._wanted_rules()) if proven.holds else proven

    def _await(self) -> None:
        wait_for(self._is_watching, seconds=self.monitoring.settings.monitoring.seconds, what="every target up")
