"""A signed statement that is no manifest is told by its first wrong key."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from rollback.archive import manifest as of_archives
from rollback.database.backup import manifest as of_backups
from rollback.database.backup.signing import Untrue

if TYPE_CHECKING:
    from collections.abc import Callable

FIRST = {
    "archive": (of_archives.parse, "format", "Input should be greater than or equal to 1"),
    "backup": (of_backups.parse, "id", "Input should be a valid string"),
}


@pytest.mark.parametrize(("parse", "key", "said"), FIRST.values(), ids=FIRST)
def test_the_first_wrong_key_is_named(parse: Callable[[dict[str, Any]], Any], key: str, said: str) -> None:
    """Missing or wrong, with what is wrong about it."""
    for body, why in (({}, "Field required"), ({key: 0}, said)):
        with pytest.raises(Untrue) as caught:
            parse(body)
        assert str(caught.value) == f"`{key}`: {why}"
