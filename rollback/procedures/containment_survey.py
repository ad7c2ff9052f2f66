"""What a containment finds before it may begin: every gate, and the facts that its plan is made from."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback.containment import source
from rollback.containment.certificate import Exchange
from rollback.containment.evidence import Evidence
from rollback.containment.isolation import Isolation
from rollback.containment.revocation import Revocation
from rollback.containment.rotation import Rotation
from rollback.containment.standing import Standing
from rollback.containment.surroundings import Recorded
from rollback.outcome import NothingToDo
from rollback.parts.monitoring import Monitoring
from rollback.procedures import restoration_survey

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rollback.deployment import Deployment
    from rollback.parts.certificates import Pair

__all__ = ["ANEW", "NAME", "NEED", "PARTS", "Origin", "survey"]

NAME = "contain"
PARTS = ("isolate", "preserve", "rotate", "revoke", "restore", "reopen")
#: Parts after which the services are made anew: from their images, with the files of now.
ANEW = frozenset({"rotate", "restore"})
#: Parts that ask the database.
NEED = frozenset({"rotate", "revoke", "restore"})


@dataclass(frozen=True)
class Origin:
    """What a breach is undone from, as the operator said it.

    Attributes:
        compromised: when the intruder came in, or an instant that is surely before it.
        release: whose files are the right ones; None: the newest good one before that.
        patched: the release that closes the hole, if it is another one.
        plain: a backup that is not sealed will do.
    """

    compromised: datetime
    release: str | None = None
    patched: str | None = None
    plain: bool = False


def survey(
    deployment: Deployment, parts: Sequence[str], run: str, origin: Origin | None = None, pair: Pair | None = None
) -> dict[str, Any]:
    """Read the world and pass every gate; nothing is changed.

    Args:
        deployment: the live system.
        parts: of `PARTS`.
        run: its id.
        origin: for the part `restore`.
        pair: for the part `rotate`: the certificate and key that the edge is to show from then on.

    Raises:
        Refused: nobody knows which ports are to be held, a secret of which nobody has said what becomes of it, no
            place for the evidence, a table of tokens that the database does not have, Compose files that cannot be
            read, a certificate that clients would turn down.
        NothingToDo: it is shut, or open, already, and nothing else was asked for.
    """
    shut = Standing.read(deployment)
    if tuple(parts) == ("isolate",) and Isolation(deployment).reading().holds:
        raise NothingToDo(f"The deployment is isolated since {shut.since if shut else 'now'}.")
    if tuple(parts) == ("reopen",) and shut is None:
        raise NothingToDo("The deployment is open.")
    folder = deployment.run_folder(run)
    stopped = Isolation(deployment).possible() if "isolate" in parts else []
    if "preserve" in parts:
        _ = Evidence(deployment, run, folder).place
    if "revoke" in parts:
        Revocation(deployment, run).possible()
    keys = Rotation(deployment, folder).possible(*_as_written(deployment)) if "rotate" in parts else []
    services = sorted(deployment.config(deployment.compose)["services"])
    return {
        "procedure": NAME,
        "run": run,
        "since": datetime.now(UTC).isoformat(timespec="seconds"),
        "parts": list(parts),
        "keys": keys,
        "left": Rotation(deployment, folder).left() if "rotate" in parts else [],
        "exchange": Exchange.found(deployment, pair).as_facts() if pair is not None else None,
        "before": {one: [item.id for item in deployment.serving(one)] for one in services},
        "gaps": Isolation(deployment).gaps() if "isolate" in parts else [],
        "stopped": stopped,
        "watched": _watched(deployment, parts, shut),
        "allow": deployment.settings.containment.allow,
        **(_origin(deployment, run, origin) if "restore" in parts and origin else {}),
    }


def _as_written(deployment: Deployment) -> Iterator[dict[str, Any]]:
    """The Compose files of the application and of its monitoring stack."""
    yield deployment.config_as_written(deployment.compose)
    if deployment.settings.monitoring.files:
        yield deployment.config_as_written(Monitoring.beside(deployment).compose)


def _watched(deployment: Deployment, parts: Sequence[str], shut: Standing | None) -> bool:
    """Whether a monitoring stack runs, and is brought up in the end: never while the deployment stays shut.

    Its exporter has the database's password too; one that was stopped gets what was changed behind the shut door.
    """
    ends_open = "reopen" in parts or (shut is None and "isolate" not in parts)
    asked = ends_open and bool({"rotate", "reopen"} & set(parts)) and bool(deployment.settings.monitoring.files)
    stopped = shut.stopped if shut else []
    return asked and any(one.running or one.id in stopped for one in Monitoring.beside(deployment).containers())


def _origin(deployment: Deployment, run: str, origin: Origin) -> dict[str, Any]:
    """The facts of a restore, with the release and the roles that are the right ones."""
    release = source.release(deployment, origin.compromised, origin.release)
    manifest = source.backup(deployment, origin.compromised, plain=origin.plain)
    if origin.patched is not None:
        source.Patch(deployment, release, origin.patched).possible()
    found = restoration_survey.survey(deployment, manifest.id, run, stale=True, outage=True)
    return {
        **found,
        "version": release.version,
        "patched": origin.patched,
        **Recorded.facts(manifest.state),
        "compromised": origin.compromised.isoformat(timespec="seconds"),
    }
