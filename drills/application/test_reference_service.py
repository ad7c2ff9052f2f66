"""What the reference service says when what it needs is away: the drills rest on its word."""

from __future__ import annotations

import asyncio
import uuid
from typing import TYPE_CHECKING

import httpx
import psycopg
import pytest

from fixtures.client import trusting
from fixtures.faults.candidates import NO_DATABASE
from fixtures.follow import follow

if TYPE_CHECKING:
    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.application]

VERSION = "v4.0.0"
LIMIT = 10.0
PERSON = {"email": "zoë@users.example", "password": "a long enough one", "name": "Zoë"}


def test_a_listener_hears_why_nobody_answers(stack: Stack) -> None:
    """Who follows a job hears 1013 and the reason as a request hears 503, and 1011 as a request hears 500."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    with httpx.Client(base_url=stack.edge_http, timeout=LIMIT) as client:
        client.post("/api/auth/register", json=PERSON).raise_for_status()
        token = client.post("/api/auth/login", json=PERSON).raise_for_status().json()["access_token"]
        with psycopg.connect(stack.dsn, autocommit=True) as session:
            session.execute("ALTER TABLE segmentation_queue RENAME COLUMN status TO state")
        broken, _ = asyncio.run(follow(stack.edge_http, str(uuid.uuid4()), token, trusting(None), LIMIT))
        stack.compose("stop", "db").check()
        asked = client.get("/api/projects", headers={"Authorization": f"Bearer {token}"})
    heard, done = asyncio.run(follow(stack.edge_http, str(uuid.uuid4()), token, trusting(None), LIMIT))
    assert (asked.status_code, NO_DATABASE in asked.text) == (httpx.codes.SERVICE_UNAVAILABLE, True)
    assert not done
    assert "closed with 1011" in broken.reason
    assert "closed with 1013" in heard.reason
    assert NO_DATABASE in heard.reason
