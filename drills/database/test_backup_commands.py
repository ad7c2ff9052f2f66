"""The `backup` commands on a whole deployment: taken, proven, listed, pinned, pruned; uploads and their rows."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import psycopg
import pyrage
import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from fixtures.stack import Stack

pytestmark = [pytest.mark.engine, pytest.mark.database]

VERSION = "v4.0.0"
REFUSED, INCONCLUSIVE = 20, 50
PICTURE = "printf rows > /data/uploads/kept.png"
#: SHA-256 of "rows".
ROWS = """
    WITH u AS (INSERT INTO users (id, email, name, password_hash)
               VALUES (gen_random_uuid(), 'a@x.org', 'a', 'x') RETURNING id),
         p AS (INSERT INTO projects (id, user_id, name) SELECT gen_random_uuid(), id, 'p' FROM u RETURNING id)
    INSERT INTO images (id, project_id, name, storage_name, media_type, sha256, size_bytes, width, height)
    SELECT gen_random_uuid(), id, 'n', 'kept.png', 'image/png', encode(sha256('rows'), 'hex'), 4, 1, 1 FROM p
"""


def said(stack: Stack, *words: str, status: int = 0) -> dict[str, Any]:
    """The document of a command that ended with that status."""
    done = stack.rollback("backup", *words, "--json")
    assert done.status == status, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    assert found.pop("exit") == status
    assert found.pop("outcome")
    return found


def journal(stack: Stack) -> list[str]:
    """What happened to backups, from the journal."""
    lines = (stack.checkout / ".rollback/journal.jsonl").read_text(encoding="utf-8").splitlines()
    return [one["data"]["did"] for one in map(json.loads, lines) if one["event"] == "backup"]


def sealed_to(stack: Stack, folder: Path) -> None:
    """rollback.toml with a recipient and the file of its private key."""
    key = pyrage.x25519.Identity.generate()
    path = folder / "identity"
    path.write_text(f"{key}\n", encoding="ascii")
    path.chmod(0o600)
    toml = stack.checkout / "rollback.toml"
    text = toml.read_text(encoding="utf-8")
    named = f'recipients = ["{key.to_public()}"]\nidentity_file = "{path}"\n#'
    toml.write_text(text.replace("recipients = []", named), encoding="utf-8")


def test_a_deployment_is_backed_up_and_the_backup_proven(stack: Stack, tmp_path: Path) -> None:
    """With the uploads, plain and sealed; every command leaves its entry; a changed backup is refused with exit 20."""
    stack.prepare()
    stack.provide_images(VERSION)
    stack.start(VERSION)
    sealed_to(stack, tmp_path)
    stack.compose("exec", "-T", "backend", "sh", "-c", PICTURE).check()
    with psycopg.connect(stack.dsn) as session:
        session.execute(ROWS.encode())
    state = stack.checkout / ".rollback"
    said(stack, "list")
    assert not state.exists(), "who only looks leaves nothing"
    assert said(stack, "uploads-check") == {"without_file": [], "without_row": [], "changed": []}

    plain = said(stack, "take", "--uploads")["backup"]["id"]
    assert (state.stat().st_mode & 0o777, (state / ".gitignore").read_text()) == (0o700, "*\n")
    sealed = said(stack, "take", "--uploads", "--encrypt")["backup"]["id"]
    for backup, opened in ((plain, []), (sealed, ["opened"])):
        rungs = [one["name"] for one in said(stack, "verify", backup)["rungs"]]
        assert rungs == ["manifest", "files", *opened, "archive", "restored", "equal", "uploads", "sound"]
    listed = said(stack, "list")
    assert [(one["id"], one["verified"], one["encrypted"]) for one in listed["backups"]] == [
        (plain, "proven", False),
        (sealed, "proven", True),
    ]
    assert listed["warnings"] == []

    said(stack, "pin", plain, "--reason", "the audit")
    verdicts = {one["id"]: one["verdict"] for one in said(stack, "prune", "--yes")["decisions"]}
    assert verdicts == {plain: "pin", sealed: "keep"}
    said(stack, "unpin", plain)

    stack.compose("exec", "-T", "backend", "sh", "-c", "mv /data/uploads/kept.png /data/uploads/stray.png").check()
    assert said(stack, "uploads-check", status=INCONCLUSIVE) == {
        "without_file": ["kept.png"],
        "without_row": ["stray.png"],
        "changed": [],
    }
    tar = stack.checkout / ".rollback/backups" / plain / "uploads.tar"
    tar.write_bytes(tar.read_bytes()[:-1])
    refusal = said(stack, "verify", plain, status=REFUSED)
    assert "on the rung `files`" in refusal["found"]
    assert "uploads.tar" in refusal["found"]
    assert said(stack, "list")["backups"][0]["verified"] == "refused: files"
    assert journal(stack) == ["taken", "taken", "verified", "verified", "pinned", "unpinned", "refused"]
