"""Preflight: the runbook's Pre-Rollback Checklist as a run of its own; nothing of the deployment is changed."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.documents import record
from rollback.documents.evidence import Evidence
from rollback.documents.notification import START
from rollback.documents.preflight import Preflight
from rollback.parts import files
from rollback.plan import Plan, Reading, Step
from rollback.secrets import of_deployment

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["NAME", "RECORD", "plan"]

NAME = "preflight"
RECORD = "record.md"


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for an incident as it was described.

    Args:
        deployment: the live system.
        facts: description, affected services, errors, severity with its reasons, `backup` and `notify`.
    """
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    @property
    def folder(self) -> Path:
        """The run's own."""
        return self.deployment.run_folder(self.facts["run"])

    def plan(self) -> Plan:
        """The incident, the state, the backup; people are told while it goes on."""
        preflight = Preflight(self.deployment, self.folder)
        cause = "Pre-Rollback Checklist: evidence is gone once things are changed"
        recorded = Step("state and logs recorded", cause, self._whole, self._record, gate=True)
        # a database that cannot be dumped is what the rollback is for
        backup = [preflight.safe("Pre-Rollback Checklist", advisory=True)] if self.facts["backup"] else []
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"prepare a rollback: {self.facts['description']}",
            steps=(recorded, *backup),
            notes=(f"severity {self.facts['severity']}: {self.facts['because']}",),
            tells=(START,) if self.facts["notify"] else (),
        )

    def _whole(self) -> Reading:
        whole = (self.folder / RECORD).is_file()
        return Reading(whole, f"{self.folder / RECORD}" if whole else "nothing is recorded yet")

    def _record(self) -> None:
        """The document last: where it is, everything that it names is there."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        redact = of_deployment(self.deployment)
        found = Evidence(self.deployment, self.folder, redact).take()
        told = {key: value for key, value in self.facts.items() if key not in ("backup", "notify")}
        text = json.dumps(told, indent=1, ensure_ascii=False)
        files.write(self.folder / "incident.json", f"{redact.thorough(text)}\n", mode=0o600)
        written = record.written(self.facts, found, self.deployment.settings.deployment.name)
        files.write(self.folder / RECORD, redact.thorough(written), mode=0o600)
