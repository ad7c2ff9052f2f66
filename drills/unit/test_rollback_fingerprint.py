"""Schemas are compared object by object, and a difference says what it is."""

from __future__ import annotations

from rollback.database.fingerprint import Schema, difference

BEFORE = Schema({"column public.t.a": "integer", "relation public.t": "table", "index public.t.i": "CREATE INDEX"})


def test_equal_schemas_have_equal_digests_whatever_the_order() -> None:
    """The order in which objects were read does not count."""
    assert Schema(dict(reversed(BEFORE.objects.items()))).digest == BEFORE.digest
    assert difference(BEFORE, Schema(dict(BEFORE.objects))) == []


def test_each_difference_is_one_sentence() -> None:
    """Changed, gone and new objects are told apart, in the order of names."""
    after = Schema({"column public.t.a": "text\n not null", "relation public.t": "table", "type public.mood": "e 'a'"})
    assert [str(one) for one in difference(BEFORE, after)] == [
        "column public.t.a is text not null, was integer",
        "index public.t.i is gone: CREATE INDEX",
        "type public.mood is there and was not: e 'a'",
    ]
    assert BEFORE.digest != after.digest
