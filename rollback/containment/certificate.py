"""Another certificate with another key at the edge: a stolen key serves nobody any more, and comes back by no rollback.

The pair comes from the operator, who has it from the authority that users trust: `openssl req -new -newkey rsa:3072
-nodes -keyout privkey.pem -out request.csr` (or `certbot` on another host) makes a key, the authority signs. None is
made here: a certificate that only this command had signed would be turned down by every browser, or be clicked away,
which is what somebody with the stolen key hopes for. All listeners show the one pair, so it has to cover every name.
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rollback.containment.keyring import Revoked
from rollback.containment.standing import Standing
from rollback.engine import wait_for
from rollback.outcome import Refused
from rollback.parts import certificates, files, nginx
from rollback.parts.edge import Edge
from rollback.parts.listeners import listeners
from rollback.parts.snapshot import Snapshots
from rollback.plan import Reading
from rollback.release import Shelf

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.deployment import Deployment

__all__ = ["Exchange"]

_PART = "certificates"
_OTHERS = 0o007
SHOWN_SECONDS = 15


@dataclass(frozen=True)
class Exchange:
    """The exchange of the edge's certificate and key.

    Attributes:
        pair: the new ones, where the operator has them.
        places: certificate and key in the checkout, as the edge's listeners have them.
    """

    deployment: Deployment
    pair: certificates.Pair
    places: tuple[tuple[str, str], ...]

    @classmethod
    def found(cls, deployment: Deployment, pair: certificates.Pair) -> Exchange:
        """The exchange at every listener of the live edge.

        Raises:
            Refused: clients would not be content with the pair, others can read its key, the key was here before, or
                the edge would not see it.
        """
        for one in (pair.certificate, pair.key):
            if not one.is_file():
                raise Refused(f"{one} is no file.", "name the certificate with its chain, and its key")
        dump, there = nginx.dump(deployment), nginx.places(deployment)
        names = [(one.certificate, one.key) for one in listeners(dump)]
        where = [tuple(_real(there, deployment.root, one) for one in two) for two in names]
        made = cls(deployment, pair, tuple(dict.fromkeys((one, other) for one, other in where)))
        there.seen([one for two in made.places for one in two])
        made._content(dump, names)
        made._another_key()
        return made

    @classmethod
    def of(cls, deployment: Deployment, facts: dict[str, Any]) -> Exchange:
        """That of a run, made again from its facts."""
        pair = certificates.Pair(Path(facts["certificate"]), Path(facts["key"]))
        return cls(deployment, pair, tuple((one, other) for one, other in facts["places"]))

    def as_facts(self) -> dict[str, Any]:
        """For the journal: where the pair lies, and nothing of the key."""
        pair = self.pair
        return {
            "certificate": str(pair.certificate),
            "key": str(pair.key),
            "places": [list(one) for one in self.places],
        }

    def _content(self, dump: str, names: list[tuple[str, str]]) -> None:
        """The gates of `rollback certificates`, on the pair as it would lie."""
        there = nginx.places(self.deployment)
        with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
            for inside in names:
                for source, name in zip((self.pair.certificate, self.pair.key), inside, strict=True):
                    path = Path(folder) / there.within(name)
                    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                    shutil.copy2(source, path)
            certificates.check(self.deployment, dump, Path(folder))

    def _another_key(self) -> None:
        new = certificates.key_of(self.pair.certificate)
        if new in {*certificates.keys_shown(self.deployment), *self._recorded()}:
            raise Refused(
                f"{self.pair.certificate} has the key that is shown now, or that a release was recorded with.",
                "have a certificate issued for a new key",
            )

    def _recorded(self) -> Iterator[str]:
        """Every key that a release or a snapshot has."""
        kept = [(one.store, one.files) for one in Shelf(self.deployment).all()]
        kept += [(one.store, one.files) for one in Snapshots(self.deployment).all()]
        for store, groups in kept:
            yield from certificates.private_keys(store / one.path for one in groups.get(_PART, []) if one.link is None)

    def _lying(self) -> Iterator[str]:
        """Every key that lies in the checkout: who was here may have any of them."""
        root, names = self.deployment.root, self.deployment.settings.parts.certificates
        yield from certificates.private_keys(root / one for one in files.listed(root, names))

    # carried out

    def carry_out(self) -> None:
        """Every key of before is revoked for good, then the new pair lies in its places and the edge is told.

        Raises:
            Failed: the edge does not show it.
        """
        new = certificates.key_of(self.pair.certificate)
        Revoked.of(self.deployment).add({*self._lying(), *self._recorded()} - {new})
        for place in self.places:
            for source, name in zip((self.pair.certificate, self.pair.key), place, strict=True):
                self._put(source, name)
        self.deployment.in_edge(self.deployment.settings.edge.reload)
        wait_for(self.reading, seconds=SHOWN_SECONDS, what="the new certificate at the edge")

    def _put(self, source: Path, name: str) -> None:
        """With the owner and the permission bits of the file that was there, never readable by others."""
        (before,) = files.records(self.deployment.root, [name])
        wanted = replace(
            before, sha256=files.sha256(source), mode=before.mode & ~(_OTHERS if source == self.pair.key else 0)
        )
        with tempfile.TemporaryDirectory(prefix="rollback-") as folder:
            kept = Path(folder) / name
            kept.parent.mkdir(parents=True)
            shutil.copyfile(source, kept)
            files.restore(self.deployment.root, [wanted], Path(folder))

    # seen

    def reading(self) -> Reading:
        """Whether the pair lies in all its places, and every listener shows it in a handshake.

        After a kill, while the services are being made anew behind the shut door, the edge may not be there or not find
        its upstreams: then it lies in its places alone, and the checklist asks every listener when it is opened.
        """
        root, pair = self.deployment.root, self.pair
        wrong = [
            name
            for place in self.places
            for source, name in zip((pair.certificate, pair.key), place, strict=True)
            if not source.is_file() or files.sha256(source) != files.sha256(root / name)
        ]
        if wrong:
            return Reading(holds=False, seen=f"not the new one: {', '.join(wrong)}")
        if Standing.read(self.deployment) is not None and not Edge(self.deployment).takes():
            return Reading(
                holds=True, seen="it lies in its places; the edge, half made anew, is asked when it is opened"
            )
        return certificates.shown(self.deployment)


def _real(there: nginx.Places, root: Path, name: str) -> str:
    """The file in the checkout behind a path in the edge: certbot's links lead to it and stay as they are."""
    path = there.on_host(name, root).resolve()
    if not path.is_relative_to(root.resolve()):
        raise Refused(f"{name} of the edge leads to {path}, outside of the checkout.", "exchange it there by hand")
    return str(path.relative_to(root.resolve()))
