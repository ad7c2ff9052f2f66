"""How PostgreSQL's refusals are told: in a sentence, and never with a value of a row."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import psycopg
import pytest

from rollback.database.locks import BUSY
from rollback.database.refusals import refusals
from rollback.outcome import Failed, Refused

GOOD: Any = SimpleNamespace(broken=False, closed=False)


def raised(error: Exception, session: Any = GOOD) -> Exception:
    """What becomes of an error."""
    with pytest.raises(Exception) as caught, refusals(session, "a row", "look"):  # noqa: PT011 -- any kind, to be seen
        raise error
    return caught.value


@pytest.mark.parametrize("kind", BUSY)
def test_what_is_busy_is_left_to_whoever_tries_again(kind: type[psycopg.Error]) -> None:
    """As it is."""
    error = kind("busy")
    assert raised(error) is error


def test_a_refusal_is_a_sentence_with_what_to_do() -> None:
    """Of what, why, and the next step."""
    found = raised(psycopg.errors.NotNullViolation("x"))
    assert str(found) == "PostgreSQL refuses a row: NotNullViolation. Next: look"
    assert isinstance(found, Refused)


def test_a_value_that_does_not_fit_is_not_told() -> None:
    """PostgreSQL's own first line may hold it."""
    found = raised(psycopg.errors.InvalidTextRepresentation('invalid input syntax for type uuid: "hunter2"'))
    assert "a value does not fit into the type of before (InvalidTextRepresentation)" in str(found)
    assert "hunter2" not in str(found)


@pytest.mark.parametrize("how", ["broken", "closed"])
def test_a_connection_that_is_gone_is_no_refusal(how: str) -> None:
    """Nobody knows what was committed."""
    session = SimpleNamespace(**{"broken": False, "closed": False, how: True})
    found = raised(psycopg.OperationalError("server closed the connection"), session)
    assert isinstance(found, Failed)
    assert not isinstance(found, Refused)
    assert "The connection was lost" in str(found)
