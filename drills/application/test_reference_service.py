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
    from collections.abc import Iterator

    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.application]

VERSION = "v4.0.0"
LIMIT = 10.0
PERSON = {"email": "zoë@users.example", "password": "a long enough one", "name": "Zoë"}


@pytest.fixture
def service(stack: Stack) -> Iterator[tuple[Stack, httpx.Client, str]]:
    """A stack, a client of it, and what somebody was granted who is signed in there."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    with httpx.Client(base_url=stack.edge_http, timeout=LIMIT) as client:
        client.post("/api/auth/register", json=PERSON).raise_for_status()
        yield stack, client, client.post("/api/auth/login", json=PERSON).raise_for_status().json()["access_token"]


def test_what_it_says_when_something_is_gone(service: tuple[Stack, httpx.Client, str]) -> None:
    """Who lost his account hears 401; who follows a job hears 1013 and the reason as a request 503, 1011 as one 500."""
    stack, client, token = service
    signed_in = {"Authorization": f"Bearer {token}"}
    with psycopg.connect(stack.dsn, autocommit=True) as session:
        session.execute("DELETE FROM users")
        unknown = client.post("/api/projects", json={"name": "x"}, headers=signed_in)
        session.execute("ALTER TABLE segmentation_queue RENAME COLUMN status TO state")
    broken, _ = asyncio.run(follow(stack.edge_http, str(uuid.uuid4()), token, trusting(None), LIMIT))
    stack.compose("stop", "db").check()
    asked = client.get("/api/projects", headers=signed_in)
    heard, done = asyncio.run(follow(stack.edge_http, str(uuid.uuid4()), token, trusting(None), LIMIT))
    assert (unknown.status_code, "no such account" in unknown.text) == (httpx.codes.UNAUTHORIZED, True)
    assert (asked.status_code, NO_DATABASE in asked.text) == (httpx.codes.SERVICE_UNAVAILABLE, True)
    assert not done
    assert "closed with 1011" in broken.reason
    assert "closed with 1013" in heard.reason
    assert NO_DATABASE in heard.reason
