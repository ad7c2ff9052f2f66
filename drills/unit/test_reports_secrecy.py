"""Secrets are found in every file of a report, in whatever form, and struck out."""

from __future__ import annotations

import base64
import secrets
from typing import TYPE_CHECKING

import pytest

from fixtures.secrecy import Vault
from reports.secrecy import in_page, in_text, strike

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "kJ3-vR8_tQzL0wXy"  # noqa: S105 -- of nobody
TOLD = {SECRET: "JWT_SECRET", "another-secret-of-theirs": "POSTGRES_PASSWORD"}
FORMS = [
    pytest.param(f"postgresql://postgres:{SECRET}@db:5432/x", id="in-a-url"),
    pytest.param(f'{{"password":"{SECRET}"}}', id="in-json"),
    pytest.param(f"abc{SECRET}def", id="inside-a-word"),
    pytest.param(SECRET.encode().hex(), id="hexadecimal"),
    *(pytest.param(base64.b64encode(b"u" * n + f":{SECRET}:x".encode()).decode(), id=f"base64-{n}") for n in range(3)),
    pytest.param(base64.urlsafe_b64encode(f"?>~{SECRET}~".encode()).decode(), id="base64-of-urls"),
]


@pytest.mark.parametrize("text", FORMS)
def test_a_secret_is_found_and_struck_out(tmp_path: Path, text: str) -> None:
    """Each form is found, named without being told, and gone afterwards; what stands beside it stays."""
    (tmp_path / "allure-results").mkdir()
    file = tmp_path / "allure-results" / "x-attachment.txt"
    file.write_text(f"before\n{text}\nafter", encoding="utf-8")
    (leak,) = strike(tmp_path, TOLD)
    assert str(leak) == "x-attachment.txt held the secret JWT_SECRET"
    left = file.read_text(encoding="utf-8")
    assert left.startswith("before\n")
    assert left.endswith("\nafter")
    assert in_text(left, TOLD) == []
    assert strike(tmp_path, TOLD) == []


def test_what_holds_no_secret_is_left_alone(tmp_path: Path) -> None:
    """Not a byte is changed, and a part of a secret is none."""
    file = tmp_path / "x"
    file.write_bytes(SECRET[:-1].encode() + b"\xff\x00")
    assert strike(tmp_path, TOLD) == []
    assert file.read_bytes() == SECRET[:-1].encode() + b"\xff\x00"


def test_a_secret_in_an_embedded_file_is_found() -> None:
    """A page of Allure holds its files in Base64."""
    blob = base64.b64encode(f"log: {SECRET}".encode()).decode()
    assert in_page(f'<script>d("data/attachments/a.txt","{blob}")</script>', TOLD) == ["JWT_SECRET"]
    assert in_page(f"<p>{SECRET}</p>", TOLD) == ["JWT_SECRET"]
    assert in_page('<script>d("data/attachments/a.txt","bm90aGluZw==")</script>', TOLD) == []


def test_the_vault_is_for_its_owner_alone(tmp_path: Path) -> None:
    """What several tell is read back by one, and nobody else can."""
    vault = Vault(tmp_path / "secrets")
    assert vault.told() == {}
    for value, name in TOLD.items():
        vault.tell({value: name})
    assert vault.told() == TOLD
    assert (tmp_path / "secrets").stat().st_mode & 0o077 == 0


def test_a_short_secret_is_refused(tmp_path: Path) -> None:
    """It could not be told from other text: an error instead of a search that finds nothing."""
    with pytest.raises(ValueError, match="PIN"):
        Vault(tmp_path / "secrets").tell({"1234": "PIN"})


def test_many_secrets_and_much_text_take_no_time(tmp_path: Path) -> None:
    """A month's report: thousands of secrets, and the one that leaked is found."""
    many = {secrets.token_urlsafe(24): str(n) for n in range(3000)}
    (tmp_path / "big").write_text((secrets.token_hex(32) + " ") * 20_000 + next(iter(many)), encoding="utf-8")
    assert [leak.name for leak in strike(tmp_path, many)] == ["0"]
