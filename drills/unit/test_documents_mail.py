"""Notifications as e-mails: sent to a real mail server on 127.0.0.1."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from fixtures.letterbox import open_letterbox
from rollback.documents import delivery
from rollback.documents.notification import Message
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

MESSAGE = Message(
    "[spheroseg] System Rollback Ended (major)", "Status: beendet, für alle\n- Data loss: none\n", "major"
)


def targets(folder: Path, line: str) -> Path:
    """A targets' file."""
    path = folder / "notify.conf"
    path.write_text(line, encoding="utf-8")
    path.chmod(0o600)
    return path


def test_a_message_goes_out_as_a_mail(tmp_path: Path) -> None:
    """To each address that the line names, with subject and text as they are, umlauts too."""
    told = Message(
        "[spheroseg] System Rollback Ended (major)", "Status: beendet, für alle\n- Data loss: none\n", "major"
    )
    with open_letterbox() as box:
        (sent,) = delivery.send(targets(tmp_path, box.url("ops@spheroseg.example,dba@spheroseg.example")), told)
    assert (sent.ok, sent.target) == (True, f"mailto://127.0.0.1:{box.port}")
    assert sorted(one for to, _ in box.letters for one in to) == ["dba@spheroseg.example", "ops@spheroseg.example"]
    for _, letter in box.letters:
        assert letter["Subject"] == MESSAGE.subject
        assert "rollback@spheroseg.example" in letter["From"]
        body = letter.get_body(("plain", "html"))
        assert body is not None
        assert all(line in body.get_content() for line in MESSAGE.body.splitlines())


def test_a_mail_that_was_refused_was_not_taken(tmp_path: Path) -> None:
    """A server that answers 554 is as good as none, and so is one that is gone."""
    with open_letterbox(refuses=True) as box:
        (refused,) = delivery.send(targets(tmp_path, box.url("ops@spheroseg.example")), MESSAGE)
    (gone,) = delivery.send(targets(tmp_path, box.url("ops@spheroseg.example")), MESSAGE)
    assert [refused.ok, gone.ok] == [False, False]
    with pytest.raises(Failed, match=r"Of 1 targets did not take it: mailto://127\.0\.0\.1"):
        delivery.undelivered([gone])
