"""Containment after a breach: shut, evidence, secrets, revocation, restore, open (RUNBOOK, Security Breach Response).

Each part can be carried out alone. A failure opens nothing: what is shut stays shut until the operator says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands
from rollback.containment import source
from rollback.containment.certificate import Exchange
from rollback.containment.evidence import Evidence
from rollback.containment.isolation import GRACE_SECONDS, Isolation
from rollback.containment.planted import Planted
from rollback.containment.revocation import Revocation
from rollback.containment.rotation import Rotation
from rollback.containment.standing import Standing
from rollback.documents.verification import verify
from rollback.engine import wait_until
from rollback.plan import Plan, Reading, Step
from rollback.procedures.application import ADVISORY
from rollback.procedures.containment_survey import ANEW, NAME
from rollback.procedures.restoration import exchanged

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
        runs: Path = self.deployment.state / "runs"
        return runs / str(self.facts["run"])

    @property
    def _isolation(self) -> Isolation:
        return Isolation(self.deployment)

    @property
    def _evidence(self) -> Evidence:
        return Evidence(self.deployment, self.facts["run"], self._folder)

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
        if "isolate" in parts:
            yield from (self._noted(), self._shut())
        if "preserve" in parts:
            yield self._preserved()
        if "rotate" in parts:
            yield self._rotated()
            if self.facts.get("exchange"):
                yield self._exchanged()
        if "revoke" in parts:
            yield self._revoked()
        if "restore" in parts:
            yield from (*exchanged(self.deployment, self.facts), self._cleaned())
            if self.facts["patched"]:
                yield self._patched()
        if ANEW & set(parts):
            yield self._anew()
        if "reopen" in parts:
            yield self._opened()

    def _notes(self, parts: Sequence[str]) -> Iterator[str]:
        if "isolate" in parts:
            yield "users reach nothing but a maintenance page until it is opened again: `rollback contain reopen`"
            yield "until then nobody may type `docker compose up`: it puts services back into networks that lead out"
            allowed = ", ".join(self.facts["allow"]) or "nobody; whoever is on this host has `docker exec`"
            yield f"past the page: {allowed} ([containment] allow)"
        if "rotate" in parts:
            yield f"new values for {', '.join(self.facts['keys'])}, also in every recorded release and snapshot"
        if self.facts.get("exchange"):
            yield "the edge gets another certificate with another key; every key that lay here is revoked for good:"
            yield "`rollback certificates` refuses what has one; `rollback release record` then records the new one"
        if "revoke" in parts:
            yield "every user has to sign in again and to set a new password; hashes are set aside in the database"
        if "restore" in parts:
            yield (
                f"the database as backup {self.facts['backup']} has it, taken {self.facts['taken']}; the files as"
                f" {self.facts['version']} has them; both are older than {self.facts['compromised']}"
            )
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
        if not self._rotation.reading().holds and self._revocation.decree() is None:
            self._isolation.open()

    def _preserved(self) -> Step:
        return Step(
            "evidence sealed outside of the deployment",
            "what comes next changes files, containers and rows",
            self._evidence.reading,
            self._evidence.keep,
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
            "compared with what was recorded before the compromise: roles, objects, files, image names",
            self._planted.reading,
            self._planted.remove,
            moves_users=True,
        )

    @property
    def _planted(self) -> Planted:
        facts = self.facts
        return Planted(self.deployment, self._folder, facts["run"], facts["version"], facts["roles"])

    def _patched(self) -> Step:
        patch = source.Patch(self.deployment, self._planted.release, self.facts["patched"])

        def named() -> Reading:
            return Reading(
                patch.named(), f"the env files name {patch.version if patch.named() else patch.over.version}"
            )

        return Step(
            f"{patch.version} is what is started",
            "the hole that was used is closed",
            named,
            patch.name,
            moves_users=True,
        )

    def _anew(self) -> Step:
        return Step(
            "services made anew from their images",
            "new secrets take effect, and what was put into a container is gone",
            self._is_anew,
            self._make_anew,
            moves_users=True,
        )

    def _is_anew(self) -> Reading:
        hashes = self.deployment.hashes(self.deployment.compose)
        there = [one for one in self.deployment.containers() if not one.one_off and one.service in hashes]
        before = {one for some in self.facts["before"].values() for one in some}
        old = sorted(one.name for one in there if one.id in before or one.config_hash != hashes[one.service])
        if old or len(there) < len(hashes):
            return Reading(holds=False, seen=f"of before: {', '.join(old) or 'some are missing'}")
        ill = sorted(one.name for one in there if not one.well)
        return Reading(not ill, f"not well: {', '.join(ill)}" if ill else f"{len(there)} of {len(there)} healthy")

    def _make_anew(self) -> None:
        engine, services = self.deployment.engine, sorted(self.facts["before"])
        seconds = self.deployment.settings.timing.healthy * 2
        if not self._only_ill():
            engine.ask(self.deployment.compose.recreate(services, stop_seconds=GRACE_SECONDS))
        if Standing.read(self.deployment) is not None:
            self._isolation.admit()
        engine.ask(commands.start([one.id for one in self.deployment.containers() if one.service in services]))
        wait_until(lambda: _pair(self._is_anew()), seconds=seconds, what="the health of the new services")

    def _only_ill(self) -> bool:
        """Whether all are made already, as after a kill."""
        return self._is_anew().seen.startswith("not well")

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
        self._isolation.open()
        seconds = self.deployment.settings.timing.healthy
        wait_until(lambda: _pair(self._is_open()), seconds=seconds, what="users served again")


def _pair(now: Reading) -> tuple[bool, str]:
    return now.holds, now.seen
