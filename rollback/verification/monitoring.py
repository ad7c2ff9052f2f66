"""Whether monitoring watches: what Prometheus says of its targets."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from rollback.outcome import Failed

if TYPE_CHECKING:
    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["judged", "targets"]

_PATH = "/api/v1/targets?state=active"
_OK = 200


def targets(deployment: Deployment, prometheus: str) -> Seen:
    """Every active target of a Prometheus is up.

    Args:
        deployment: from inside its edge Prometheus is asked.
        prometheus: its address there, such as `http://prometheus:9090`.

    Raises:
        Failed: it does not answer, or not as Prometheus does.
    """
    answer = deployment.fetch(f"{prometheus.rstrip('/')}{_PATH}")
    if answer.status != _OK:
        raise Failed(f"Prometheus at {prometheus} answered {answer.status or 'nothing'}.")
    return judged(answer.body)


def judged(document: str) -> Seen:
    """What a document of /api/v1/targets says.

    Raises:
        Failed: it is none.
    """
    try:
        found: list[dict[str, Any]] = json.loads(document)["data"]["activeTargets"]
        down = [_told(one) for one in found if one["health"] != "up"]
    except (ValueError, KeyError, TypeError):
        raise Failed(f"Prometheus does not answer as it should: {document[:120]}") from None
    if not found:
        return False, "Prometheus has no target at all"
    return not down, "; ".join(down) or f"all {len(found)} targets up"


def _told(one: dict[str, Any]) -> str:
    labels = one.get("labels", {})
    return f"{labels.get('job')} {labels.get('instance')} is {one['health']}: {one.get('lastError') or 'no reason'}"
