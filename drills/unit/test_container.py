"""A container as the engine records it: whether it is well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollback.deployment import Container


def inspected(seconds_ago: float, restarts: int = 0, health: str | None = None, **state: bool) -> dict[str, Any]:
    """As `docker container inspect` says it, with the engine's nine digits."""
    started = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).isoformat().replace("+00:00", "000Z")
    told = {"Running": True, "Restarting": False, "StartedAt": started, **state}
    return {
        "Id": "1", "Name": "/one", "Image": "i", "Config": {"Labels": {}}, "RestartCount": restarts,
        "State": told | ({"Health": {"Status": health}} if health else {}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "well"),
    [
        (inspected(1), True),
        (inspected(1, restarts=4), False),
        (inspected(60, restarts=4), True),
        (inspected(1, restarts=4, health="healthy"), True),
        (inspected(60, health="starting"), False),
        (inspected(60, restarts=4, Running=True, Restarting=True), False),
        (inspected(60, Running=False), False),
        (inspected(60) | {"State": {"Running": True}}, True),
    ],
    ids=["new", "fell", "stands again", "fell, healthy", "starting", "restarting", "ended", "no instant"],
)
def test_what_dies_at_every_start_is_not_well(raw: dict[str, Any], *, well: bool) -> None:
    """Without a health check it runs in half of all looks: the engine starts it again and again."""
    assert Container.of(raw).well is well
