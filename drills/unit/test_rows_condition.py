"""What an operator may type as --where: one expression that only looks."""

from __future__ import annotations

import pytest

from rollback.database.rows.condition import condition
from rollback.outcome import UsageError

RIGHT = [
    "true",
    "width < 0 OR name IS NULL",
    "created_at > '2024-01-19'::timestamp",
    "name LIKE '100%; DROP TABLE users'",
    "project_id IN (SELECT id FROM projects WHERE user_id = 'x')",
    "width BETWEEN 1 AND 2 -- a comment",
    "length(name) > 3 /* two\nlines */",
    "EXISTS (SELECT FROM projects p WHERE p.id = images.project_id)",
]
WRONG = {
    "nothing": "",
    "not SQL": "width <",
    "a second statement": "true; DROP TABLE users",
    "a semicolon": "true;",
    "a bracket closed": "true) OR (true",
    "a comment that never ends": "true /* ",
    "a union": "true UNION SELECT 1",
    "an order": "true ORDER BY 1",
    "a limit": "true LIMIT 1",
    "a lock": "true FOR UPDATE",
    "a group": "true GROUP BY width HAVING true",
    "a table": "FROM users",
    "two expressions": "width, height",
}
WRITES = {
    "rows locked": ("EXISTS (SELECT FROM users FOR UPDATE)", "locks rows"),
    "a parameter": ("width = $1", r"\$1"),
    "a delete": ("EXISTS (WITH gone AS (DELETE FROM users RETURNING 1) SELECT FROM gone)", "DELETE"),
    "an insert": ("1 IN (WITH a AS (INSERT INTO users DEFAULT VALUES RETURNING 1) SELECT * FROM a)", "INSERT"),
}


@pytest.mark.parametrize("text", RIGHT)
def test_an_expression_is_taken_as_it_was_typed(text: str) -> None:
    """A percent sign is no placeholder, and a comment ends before what comes next."""
    found = condition(text)
    assert found.text == text
    said = found.holds().as_string()
    assert said == f"(({text.replace('%', '%%')}\n) IS TRUE)"


@pytest.mark.parametrize("text", WRONG.values(), ids=WRONG)
def test_anything_else_is_wrong_usage(text: str) -> None:
    """It says what was typed and how it should look."""
    with pytest.raises(UsageError, match="is not one expression") as caught:
        condition(text)
    assert caught.value.next_step


@pytest.mark.parametrize(("text", "named"), WRITES.values(), ids=WRITES)
def test_an_expression_that_does_more_than_look_is_wrong_usage(text: str, named: str) -> None:
    """Even within a SELECT."""
    with pytest.raises(UsageError, match=named):
        condition(text)


def test_the_functions_are_known() -> None:
    """With and without a schema, also within a SELECT: whether they are volatile is asked of the server."""
    found = condition("pg_catalog.nextval('s') > 1 OR EXISTS (SELECT setval('s', 1))")
    assert found.functions == ("nextval", "setval")
