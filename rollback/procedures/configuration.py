"""A part of the configuration put back as a recorded release had it (RUNBOOK, Configuration Rollback)."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.documents.preflight import Preflight
from rollback.outcome import Refused
from rollback.parts import certificates, files, nginx
from rollback.parts.edge import Edge
from rollback.parts.tree import Tree
from rollback.plan import Plan, Reading, Step
from rollback.procedures import target

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["CERTIFICATES", "NAME", "NGINX", "plan", "survey"]

NAME, NGINX, CERTIFICATES = "configuration", "nginx", "certificates"
_PROVEN = "proven.txt"
_GATES = {
    NGINX: "the edge's own program tests it, with every name that it needs; users notice nothing",
    CERTIFICATES: "the edge's own program tests it, and a client shakes hands with it for every name",
}


def survey(deployment: Deployment, part: str, version: str, run: str) -> dict[str, Any]:
    """Find what differs from the release; nothing is changed.

    There is always something to do: the edge may not have read the files that are there.

    Args:
        deployment: the live system.
        part: a key of [parts] in rollback.toml.
        version: a recorded release, or `last-good`.
        run: id of the run.

    Raises:
        Refused: unknown, bad or damaged release, or it was recorded without this part.
    """
    release = target.recorded(deployment, version, lambda one: _differs(deployment, part, one))
    if not release.files.get(part):
        raise Refused(f"{release.version} was recorded without files of {part}.", "choose another release")
    tree = _tree(deployment, part, release, run)
    # where every file is as recorded, nobody knows which ones the edge has read: a reload makes it sure
    return {"run": run, "part": part, "version": release.version, "changed": tree.differing(), "added": tree.added()}


def _differs(deployment: Deployment, part: str, release: Release) -> bool:
    tree = _tree(deployment, part, release, "-")
    return bool(tree.differing() or tree.added())


def _names(deployment: Deployment, part: str) -> list[str]:
    found: list[str] = getattr(deployment.settings.parts, part)
    return found


def _tree(deployment: Deployment, part: str, release: Release, run: str) -> Tree:
    return Tree(
        deployment.root,
        _names(deployment, part),
        nginx.spared(deployment) if part == NGINX else (),
        release.files.get(part, []),
        release.store,
        deployment.run_folder(run) / "aside",
    )


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what `survey` found."""
    return _Procedure(deployment, facts, target.recorded(deployment, str(facts["version"]))).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]
    release: Release

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.deployment.run_folder(self.facts["run"])

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        part, version = self.facts["part"], self.facts["version"]
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"put {part} back as {version} had it",
            steps=(self._preflight().recorded(), self._proven(), self._files(), self._served()),
            notes=(
                *(f"{name} is put back" for name in self.facts["changed"]),
                *(
                    f"{name} is not of {version}: it is set aside in {self.folder / 'aside'}"
                    for name in self.facts["added"]
                ),
            ),
        )

    def _preflight(self) -> Preflight:
        return Preflight(self.deployment, self.folder, tuple(_names(self.deployment, self.facts["part"])))

    def _tree(self) -> Tree:
        return _tree(self.deployment, self.facts["part"], self.release, self.facts["run"])

    def _proven(self) -> Step:
        return Step(
            f"{self.facts['part']} of {self.facts['version']} proven in a container of its own",
            _GATES[self.facts["part"]],
            self._is_proven,
            self._prove,
            gate=True,
        )

    def _is_proven(self) -> Reading:
        good = (self.folder / _PROVEN).is_file()
        return Reading(good, "tested" if good else "not tested")

    def _prove(self) -> None:
        laid_out = self.folder / "laid out"
        shutil.rmtree(laid_out, ignore_errors=True)
        try:
            self._test(laid_out)
        finally:
            # keys are in it
            shutil.rmtree(laid_out, ignore_errors=True)
        files.write(self.folder / _PROVEN, "tested\n", mode=0o600)

    def _test(self, laid_out: Path) -> None:
        tree, edge = self._tree(), Edge(self.deployment)
        tree.laid_out(laid_out)
        # what the switch will write, whatever is there now
        upstreams = laid_out / self.deployment.settings.edge.upstream_file
        if not upstreams.parent.exists():
            shutil.copytree(self.deployment.root / upstreams.relative_to(laid_out).parent, upstreams.parent)
        files.write(upstreams, edge.content(self.facts["run"], edge.coloured(), {}))
        dump = nginx.test(self.deployment, laid_out, [one.path for one in tree.wanted()])
        if self.facts["part"] == CERTIFICATES:
            certificates.check(self.deployment, dump, laid_out)

    def _files(self) -> Step:
        return Step(
            f"files of {self.facts['part']} as in {self.facts['version']}",
            f"{len(self.facts['changed'])} put back, {len(self.facts['added'])} set aside",
            self._tree().reading,
            self._tree().put_back,
            self._take_back,
        )

    def _take_back(self) -> None:
        """The files of before, and if nginx takes them the edge with them; what it refuses is not served either way."""
        before = self._preflight()
        self._tree().take_back(before.records(), before.store)
        edge = Edge(self.deployment)
        if edge.takes():
            generation = f"{self.facts['run']}-back"
            edge.switch(generation, edge.content(generation, edge.coloured(), {}))

    def _served(self) -> Step:
        return Step(
            f"users served by {self.facts['part']} of {self.facts['version']}",
            "a reload is believed only when the edge itself answers the new generation"
            + (", and each listener shows the certificate" if self.facts["part"] == CERTIFICATES else ""),
            self._is_served,
            self._serve,
        )

    def _is_served(self) -> Reading:
        now = Edge(self.deployment).reading(self.facts["run"])
        return certificates.shown(self.deployment) if now.holds and self.facts["part"] == CERTIFICATES else now

    def _serve(self) -> None:
        edge = Edge(self.deployment)
        edge.switch(self.facts["run"], edge.content(self.facts["run"], edge.coloured(), {}))
