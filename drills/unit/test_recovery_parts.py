"""What a recovery decides of files, volumes and accounts, each by itself."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.archive.manifest import Record, Records
from rollback.parts import files
from rollback.recovery.checkout import Checkout

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("changed", "same"),
    [("", True), (".env", False), ("compose.yml", False), ("cert.pem", True)],
    ids=["nothing", "env file", "Compose file", "a certificate"],
)
def test_files_that_say_passwords_are_newer_than_the_archive_if_they_differ(
    tmp_path: Path, changed: str, *, same: bool
) -> None:
    """What is renewed every few weeks, as certificates, says none."""
    named = {"environment": ".env", "compose": "compose.yml", "certificates": "cert.pem"}
    for name in named.values():
        (tmp_path / name).write_text("then", encoding="utf-8")
    groups = {
        group: [Record.model_validate(one.as_json()) for one in files.records(tmp_path, [name])]
        for group, name in named.items()
    }
    records = Records(groups=groups, members=dict.fromkeys(named.values(), "x"))
    if changed:
        (tmp_path / changed).write_text("now", encoding="utf-8")
    ground: Any = SimpleNamespace(
        deployment=SimpleNamespace(root=tmp_path), members=SimpleNamespace(records=lambda: records)
    )
    assert Checkout(ground).passwords_as_archived() is same
