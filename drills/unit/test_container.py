"""A container as the engine records it: whether it is well."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from rollback.deployment import Container


def inspected(seconds_ago: float, restarts: int = 0, health: str | None = None, **state: bool) -> dict[str, Any]:
    """As `docker container inspect` says it, with the engine's nine digits."""
    started = (datetime.now(UTC) - timedelta(seconds=seconds_ago)).strftime("%Y-%m-%dT%H:%M:%S.%f000Z")
    told = {"Running": True, "Restarting": False, "StartedAt": started, **state}
    return {
        "Id": "1", "Name": "/one", "Image": "i", "Config": {"Labels": {}}, "RestartCount": restarts,
        "State": told | ({"Health": {"Status": health}} if health else {}),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("words", "well"),
    [
        ({"seconds_ago": 1}, True),
        ({"seconds_ago": 1, "restarts": 4}, False),
        ({"seconds_ago": 60, "restarts": 4}, True),
        ({"seconds_ago": 1, "restarts": 4, "health": "healthy"}, True),
        ({"seconds_ago": 60, "health": "starting"}, False),
        ({"seconds_ago": 60, "restarts": 4, "Restarting": True}, False),
        ({"seconds_ago": 60, "Running": False}, False),
    ],
    ids=["new", "fell", "stands again", "fell, healthy", "starting", "restarting", "ended"],
)
def test_what_dies_at_every_start_is_not_well(words: dict[str, Any], *, well: bool) -> None:
    """Without a health check it runs in half of all looks: the engine starts it again and again."""
    assert Container.of(inspected(**words)).well is well


def test_an_engine_that_tells_no_instant_is_believed() -> None:
    """Nothing says that it fell."""
    raw = inspected(1, restarts=4)
    del raw["State"]["StartedAt"]
    assert Container.of(raw).well
