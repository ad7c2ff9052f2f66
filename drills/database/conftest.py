"""What more than one module about databases stands on."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from drills.database.servers import IMAGE
from rollback.database.scratch import scratch
from rollback.engine import Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from rollback.database.server import Server


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A scratch server, for the tests of one module."""
    with scratch(Engine(tmp_path_factory.mktemp("scratch")), IMAGE) as one:
        yield one
