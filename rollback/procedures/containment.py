"""Containment after a breach: shut, evidence, secrets, revocation, restore, open (RUNBOOK, Security Breach Response).

Each part can be carried out alone. A failure opens nothing: what is shut stays shut until the operator says otherwise,
and what was opened is shut again where the checklist does not hold then.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback.containment import source
from rollback.containment.certificate import Exchange
from rollback.containment.evidence import Evidence
from rollback.containment.isolation import Isolation
from rollback.containment.planted import Planted
from rollback.containment.renewal import Renewal
from rollback.containment.revocation import Revocation
from rollback.containment.rotation import Rotation
from rollback.containment.standing import Standing
from rollback.containment.surroundings import Recorded
from rollback.documents.verification import verify
from rollback.engine import wait_for
from rollback.parts.monitoring import Monitoring
from rollback.plan import Plan, Reading, Step
from rollback.procedures.application import ADVISORY
from rollback.procedures.containment_survey import ANEW, NAME, NEED
from rollback.procedures.restoration import exchanged
from rollback.release import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from rollback.deployment import Deployment

__all__ = ["plan"]


def plan(deployment: Deployment, facts: dict[str, Any]) -> Plan:
    """The plan for what the survey found."""
    return _Procedure(deployment, facts).plan()


@dataclass(frozen=True)
class _Procedure:
    deployment: Deployment
    facts: dict[str, Any]

    @property
    def _folder(self) -> Path:
        return self.deployment.run_folder(self.facts["run"])

    @property
    def _isolation(self) -> Isolation:
        return Isolation(self.deployment)

    @property
    def _evidence(self) -> Evidence:
        return Evidence(self.deployment, self.facts["run"], self._folder)

    @property
    def _renewal(self) -> Renewal:
        return Renewal(self.deployment, self.facts["before"])

    @property
    def _rotation(self) -> Rotation:
        return Rotation(self.deployment, self._folder)

    @property
    def _revocation(self) -> Revocation:
        return Revocation(self.deployment, self.facts["run"])

    def plan(self) -> Plan:
        """Top to bottom as the operator reads it."""
        parts = self.facts["parts"]
        return Plan(
            procedure=NAME,
            arguments=self.facts,
            run=self.facts["run"],
            summary=f"contain a breach: {', '.join(parts)}",
            steps=tuple(self._steps(parts)),
            notes=tuple(self._notes(parts)),
        )

    def _steps(self, parts: Sequence[str]) -> Iterator[Step]:
        if {"isolate", "preserve"} & set(parts):
            yield self._noted()
        if "isolate" in parts:
            yield self._shut()
        if "preserve" in parts:
            yield self._preserved()
        if NEED & set(parts):
            yield self._at_hand()
        yield from self._changed(parts)
        if ANEW & set(parts):
            yield self._anew()
        if "reopen" in parts:
            yield self._opened()
        if self.facts["watched"]:
            yield self._watched()

    def _changed(self, parts: Sequence[str]) -> Iterator[Step]:
        if "rotate" in parts:
            yield self._rotated()
            if self.facts.get("exchange"):
                yield self._exchanged()
        if "revoke" in parts:
            yield self._revoked()
        if "restore" in parts:
            yield from (*exchanged(self.deployment, self.facts), self._cleaned())
            if patch := self._patch:
                yield self._patched(patch)

    def _notes(self, parts: Sequence[str]) -> Iterator[str]:
        if "isolate" in parts:
            yield "users reach nothing but a maintenance page until it is opened again: `rollback contain reopen`"
            yield "until then nobody may type `docker compose up`: it puts services back into networks that lead out"
            allowed = ", ".join(self.facts["allow"]) or "nobody; whoever is on this host has `docker exec`"
            yield f"past the page: {allowed} ([containment] allow)"
            if self.facts.get("stopped"):
                yield f"stopped until it is opened, for nobody can shut them in: {', '.join(self.facts['stopped'])}"
            yield from self.facts["gaps"]
        if "rotate" in parts:
            yield f"new values for {', '.join(self.facts['keys'])}, also in every recorded release and snapshot"
            for role in self.facts["left"]:
                yield f"role {role} keeps its password: name its key in [containment.secrets] as `database:{role}`"
        if self.facts.get("exchange"):
            yield "the edge gets another certificate with another key; every key that lay here is revoked for good:"
            yield "`rollback certificates` refuses what has one; `rollback release record` then records the new one"
        if "revoke" in parts:
            yield "every user has to sign in again and to set a new password; hashes are set aside in the database"
            yield "full backups of before bring back what is revoked and are refused: `rollback backup full` afterwards"
        if "restore" in parts:
            yield (
                f"the database as backup {self.facts['backup']} has it, taken {self.facts['taken']}; the files as"
                f" {self.facts['version']} has them; both are older than {self.facts['compromised']}"
            )
            if self.facts["patched"]:
                yield f"{self.facts['patched']} is started, and {self.facts['version']} marked bad: it has the hole;"
                yield "older releases may have it too: `rollback release bad`"
            yield "what users wrote since is listed row by row beside the run, and the database of before is kept, shut"
        if ANEW & set(parts) and "isolate" not in parts and Standing.read(self.deployment) is None:
            yield "all services are made anew: users are away for as long as that takes"

    # steps

    def _noted(self) -> Step:
        return Step(
            "connections and processes noted",
            "cutting off ends them, and they name the intruder",
            self._evidence.noted,
            self._evidence.note,
            advisory=True,
        )

    def _shut(self) -> Step:
        return Step(
            "isolated: outside a maintenance page, inside no way out",
            "the intruder loses every way in and out before he notices",
            self._isolation.reading,
            self._isolation.shut,
            self._open_again,
            moves_users=True,
        )

    def _open_again(self) -> None:
        """Only while nothing was changed: half rotated secrets are opened by nobody but the operator."""
        if not self._rotation.begun and self._revocation.decree() is None:
            self._isolation.open()

    def _preserved(self) -> Step:
        return Step(
            "evidence sealed outside of the deployment",
            "what comes next changes files, containers and rows",
            self._evidence.reading,
            self._evidence.keep,
        )

    def _at_hand(self) -> Step:
        return Step(
            "database and sessions at hand",
            "they are asked next; a try that was killed may have left them half made",
            self._renewal.at_hand,
            self._renewal.have_at_hand,
            moves_users=True,
        )

    def _rotated(self) -> Step:
        return Step(
            "every secret is another one",
            "whatever was read is worth nothing, and no recorded release brings it back",
            self._rotation.reading,
            self._rotation.rotate,
            moves_users=True,
        )

    def _exchanged(self) -> Step:
        exchange = Exchange.of(self.deployment, self.facts["exchange"])

        def exchange_all() -> None:
            exchange.carry_out()
            self._isolation.show_again()

        def shown() -> Reading:
            now = exchange.reading()
            return self._isolation.shows(exchange.pair.certificate) if now.holds else now

        return Step(
            "the edge shows a certificate with another key",
            "with a stolen key somebody poses as this host, however many passwords are new",
            shown,
            exchange_all,
            moves_users=True,
        )

    def _revoked(self) -> Step:
        return Step(
            "tokens, sessions and passwords of before are void",
            "what was given out does not end with the secret that signed it",
            self._revocation.reading,
            self._revocation.revoke,
            moves_users=True,
        )

    def _cleaned(self) -> Step:
        return Step(
            "what was planted is listed and removed",
            "compared with what was recorded before the compromise: roles, objects, settings, files, image names",
            self._planted.reading,
            self._planted.remove,
            moves_users=True,
        )

    @property
    def _planted(self) -> Planted:
        facts = self.facts
        return Planted(self.deployment, self._folder, facts["run"], facts["version"], Recorded.of(facts), self._patch)

    @property
    def _patch(self) -> source.Patch | None:
        facts = self.facts
        if not facts["patched"]:
            return None
        return source.Patch(self.deployment, Shelf(self.deployment).whole(facts["version"]), facts["patched"])

    def _patched(self, patch: source.Patch) -> Step:
        return Step(
            f"{patch.version} is what is started",
            f"the hole that was used is closed; a rollback to {patch.over.version} would open it again",
            patch.reading,
            patch.name,
            moves_users=True,
        )

    def _anew(self) -> Step:
        return Step(
            "services made anew from their images",
            "new secrets take effect, and what was put into a container is gone",
            self._renewal.anew,
            self._renewal.make_anew,
            moves_users=True,
        )

    def _watched(self) -> Step:
        monitoring = Monitoring.beside(self.deployment)
        return Step(
            "monitoring stack as its files say, with the secrets of now",
            "its exporter signs in at the database as well; what was stopped has to watch again",
            monitoring.served,
            lambda: monitoring.bring_up(self.deployment.settings.monitoring.seconds),
            advisory=True,
        )

    def _opened(self) -> Step:
        return Step(
            "reopened: users served again",
            "the last step: everything before it was proven behind the shut door",
            self._is_open,
            self._open,
            moves_users=True,
        )

    def _is_open(self) -> Reading:
        opened = self._isolation.opened()
        if not opened.holds:
            return opened
        bad = [one for one in verify(self.deployment, None) if not one.ok and one.check not in ADVISORY]
        return Reading(not bad, "; ".join(f"{one.check}: {one.seen}" for one in bad) or "open, and the checklist holds")

    def _open(self) -> None:
        def served() -> None:
            wait_for(self._is_open, seconds=self.deployment.settings.timing.healthy, what="users served again")

        self._isolation.open(served)
