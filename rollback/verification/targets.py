"""Whether monitoring watches: what Prometheus says of its targets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rollback.outcome import Failed
from rollback.verification.line import NotTested

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rollback.parts.monitoring import Monitoring
    from rollback.verification.line import Seen

__all__ = ["judged", "targets"]


def targets(monitoring: Monitoring) -> Seen:
    """Every active target of the deployment's Prometheus is up, and no job that names targets is without one.

    Raises:
        NotTested: the monitoring stack is not there, or has no Prometheus.
        Failed: Prometheus does not answer, or not as Prometheus does.
    """
    if not monitoring.containers():
        raise NotTested("the monitoring stack has no container", "start it: its files are in [monitoring]")
    found = [one for one in monitoring.programs(monitoring.hashes(monitoring.compose)) if one.name == "prometheus"]
    if not found:
        raise NotTested("the monitoring stack has no Prometheus", "see `prometheus` in [monitoring]")
    try:
        there = monitoring.targets(found[0])
        return judged(there["activeTargets"], monitoring.without_target(found[0], there))
    except (ValueError, KeyError, TypeError) as error:
        raise Failed(f"{found[0].service} does not answer as Prometheus does: {error!r}.") from None


def judged(there: Sequence[dict[str, Any]], lacking: Sequence[str] = ()) -> Seen:
    """What `activeTargets` of a document of /api/v1/targets say; a Prometheus without targets watches nothing.

    Args:
        there: the targets.
        lacking: what is said of jobs that have none.
    """
    if not there:
        return False, "Prometheus has no target at all"
    down = [*lacking, *(f"{one['scrapePool']} {one['health']}: {one['lastError'] or 'not asked yet'}"
                        for one in there if one["health"] != "up")]  # fmt: skip
    return not down, "; ".join(down) or f"all {len(there)} targets up"
