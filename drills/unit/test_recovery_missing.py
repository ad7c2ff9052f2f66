"""What a recovery tells of the writes that are missing, and what it finds out and asks on its way."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.parts.volumes import Mounted, mounted
from rollback.recovery.missing import Missing, acknowledged
from rollback.recovery.users import config

if TYPE_CHECKING:
    from pathlib import Path


NOON = datetime(2024, 1, 19, 12, tzinfo=UTC)
LOG = """\
2024-01-19T11:59:59.9Z {"time":"x","request":"POST /api/projects HTTP/1.1","status":201,"scheme":"http"}
2024-01-19T12:00:00.1Z {"time":"x","request":"POST /api/projects HTTP/1.1","status":201,"scheme":"http"}
2024-01-19T12:00:01.1Z {"request":"POST /api/projects/5f0c9d6e-0000-4000-8000-000000000001/i HTTP/1.1","status":201}
2024-01-19T12:00:02.1Z {"request":"GET /api/projects HTTP/1.1","status":200}
2024-01-19T12:00:03.1Z {"request":"POST /api/projects HTTP/1.1","status":500}
2024-01-19T12:00:04.1Z 10.0.0.1 - - [19/Jan/2024:12:00:04 +0000] "DELETE /api/projects/17 HTTP/1.1" 204 0 "-" "curl"
2024-01-19T12:00:05.1Z {"upstream":"POST is a word","status":200}
2024-01-19T12:00:06.1Z 2024/01/19 12:00:06 [notice] 1#1: signal process started
"""


def test_acknowledged_writes_are_counted_from_the_edges_log() -> None:
    """Only what changes something, was answered as done, and came after the backup; in both formats."""
    found = acknowledged(LOG.splitlines(keepends=True), NOON)
    assert (found.count, found.last) == (3, "2024-01-19T12:00:04")
    assert dict(found.kinds) == {"POST /api/projects": 1, "POST /api/projects/*/i": 1, "DELETE /api/projects/*": 1}
    assert acknowledged(LOG.splitlines(), NOON + timedelta(hours=1)).count == 0


@pytest.mark.parametrize(
    ("log", "says", "known"),
    [
        (LOG, "at most 3 acknowledged requests", True),
        (LOG[LOG.index("2024-01-19T12:00:01") :], "is not known: the edge's log begins at 2024-01-19T12:00:01", False),
        ("", "is not known: the edge's log is empty", False),
    ],
    ids=["reaches back", "rotated since", "empty"],
)
def test_a_log_that_does_not_reach_back_is_no_upper_bound(tmp_path: Path, log: str, says: str, *, known: bool) -> None:
    """What was rotated away since the backup nobody can count."""
    left = tmp_path / "left"
    left.mkdir()
    (left / "edge.log").write_text(log, encoding="utf-8")
    (left / "index.json").write_text(json.dumps([{"service": "edge", "log": "edge.log"}]), encoding="utf-8")
    ground: Any = SimpleNamespace(
        folder=tmp_path,
        archive=SimpleNamespace(at=NOON),
        facts={"since": "2024-01-19T13:00:00+00:00"},
        deployment=SimpleNamespace(settings=SimpleNamespace(edge=SimpleNamespace(service="edge"))),
    )
    database: Any = SimpleNamespace(kept=False)
    now = Missing(ground, database).reading()
    assert says in now.seen
    assert ("writes_missing" in now.figures) is known


def test_volumes_are_found_by_who_writes_them() -> None:
    """Once each, by the service that writes; bind mounts and volumes without a name are none."""
    model = {
        "volumes": {"data": {"name": "p_data"}, "idle": {"name": "p_idle"}},
        "services": {
            "a": {"volumes": [{"type": "volume", "source": "data", "target": "/r", "read_only": True}]},
            "b": {
                "volumes": [
                    {"type": "volume", "source": "data", "target": "/w"},
                    {"type": "bind", "source": "/etc", "target": "/etc"},
                    {"type": "volume", "target": "/anonymous"},
                ]
            },
            "c": {},
        },
    }
    assert mounted(model) == [Mounted("data", "p_data", "b", "/w")]


def test_what_a_user_asks_is_quoted_for_curl() -> None:
    """Whatever a value holds, it stays one value."""
    text = config("http://x/a", "POST", {"Authorization": 'Bearer a"b\\c'}, '{"a": "b"}')
    assert 'header = "Authorization: Bearer a\\"b\\\\c"' in text.splitlines()
    assert 'data-raw = "{\\"a\\": \\"b\\"}"' in text.splitlines()
