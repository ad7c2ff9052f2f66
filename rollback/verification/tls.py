"""The certificates that users see: trusted for every name, good for some days still, shown by every listener."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

from rollback.parts import certificates, nginx
from rollback.parts.listeners import listeners

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["tls"]


def tls(deployment: Deployment) -> Seen:
    """A client would be content with each certificate ([certificates] says how long still), and each one is shown.

    Raises:
        Refused: what is wrong with which certificate.
    """
    dump = nginx.dump(deployment)
    certificates.check(deployment, dump, deployment.root)
    now = certificates.shown(deployment)
    if not now.holds:
        return False, now.seen
    there, found = nginx.places(deployment), listeners(dump)
    names = sorted({name for one in found for name in certificates.wanted_names(one, deployment.settings.certificates)})
    last = min(certificates.ends(there.on_host(one.certificate, deployment.root)) for one in found)
    return True, f"{', '.join(names)}: {(last - datetime.now(UTC)).days} days left; {now.seen}"
