"""Secrets stay where they are: no text that leaves the deployment holds one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from rollback.secrets import MASK, Redactor

if TYPE_CHECKING:
    from pathlib import Path


def redactor(folder: Path, text: str) -> Redactor:
    """One that knows this env file."""
    (folder / ".env").write_text(text, encoding="utf-8")
    return Redactor.of([folder / ".env"])


@pytest.mark.parametrize(
    "key",
    ["JWT_SECRET", "POSTGRES_PASSWORD", "SMTP_PASSWD", "REFRESH_TOKEN", "API_KEY", "SECRET_KEY", "KEY", "db_password",
     "AWS_CREDENTIALS", "SENTRY_DSN", "JWT_SECRET_KEY", "DB_PASS", "SMTP_PASS", "SSL_PASSPHRASE", "DB_PWD"],
)  # fmt: skip
def test_the_value_of_a_key_that_names_a_secret_is_masked(tmp_path: Path, key: str) -> None:
    """Wherever the value stands, even within a word, it is not there any more."""
    redact = redactor(tmp_path, f"{key}=hunter2!\nNAME=spheroseg\n")
    assert redact("auth hunter2! failed: xhunter2!x at spheroseg") == f"auth {MASK} failed: x{MASK}x at spheroseg"


@pytest.mark.parametrize(
    "key", ["NAME", "PORT", "COMPOSE_PROJECT_NAME", "SPHEROSEG_VERSION", "PASSIVE_MODE", "COMPASS"]
)
def test_the_value_of_any_other_key_stays(tmp_path: Path, key: str) -> None:
    """Text without secrets is unchanged: an operator at 3 a.m. needs to read it."""
    assert redactor(tmp_path, f"{key}=v4.0.0-rc1\n")("v4.0.0-rc1 is running") == "v4.0.0-rc1 is running"


@pytest.mark.parametrize(
    "line",
    ["A_TOKEN=s3cr3t-x", "A_TOKEN = s3cr3t-x ", "A_TOKEN='s3cr3t-x'", 'A_TOKEN="s3cr3t-x"', "export A_TOKEN=s3cr3t-x",
     "  A_TOKEN=s3cr3t-x\r", "A_TOKEN: s3cr3t-x", "A_TOKEN=s3cr3t-x # rotated in May", "A_TOKEN='s3cr3t-x' # May",
     'A_TOKEN="s3cr3t-x"   # May', "\ufeffA_TOKEN=s3cr3t-x"],
    ids=["plain", "spaces", "single quotes", "double quotes", "export", "crlf", "colon", "comment",
         "quotes and comment", "double quotes and comment", "byte order mark"],
)  # fmt: skip
def test_a_value_is_known_however_it_is_written(tmp_path: Path, line: str) -> None:
    """Quotes, spaces, comments and line ends around a value do not hide it."""
    assert redactor(tmp_path, f"{line}\nY=2\n")("<s3cr3t-x>") == f"<{MASK}>"


@pytest.mark.parametrize("value", ["a#b-long", "x=y=z==", "päss wörd", "a'b\"c-d", "$a{b}c", "[red]pw[/]", r"a\d+(b"])
def test_a_value_of_odd_letters_is_masked_as_it_is(tmp_path: Path, value: str) -> None:
    """No letter of a value is taken for a pattern or for a comment."""
    assert redactor(tmp_path, f"A_TOKEN={value}\n")(f"<{value}>") == f"<{MASK}>"


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("postgresql://app:pw@db:5432/x failed", f"postgresql://app:{MASK}@db:5432/x failed"),
        ("redis://:pw@redis:6379/0", f"redis://:{MASK}@redis:6379/0"),
        ("two http://a:b1@h and ftp://c:d2@i", f"two http://a:{MASK}@h and ftp://c:{MASK}@i"),
        ("http://db:5432/x", "http://db:5432/x"),
        ("mail to ops@example.org: no", "mail to ops@example.org: no"),
        ("https://user@host/x", "https://user@host/x"),
    ],
    ids=["postgres", "no user", "two", "port", "mail", "user only"],
)
def test_a_password_inside_a_url_is_masked_without_being_known(text: str, wanted: str) -> None:
    """A URL with a password loses the password and keeps all that helps."""
    assert Redactor(())(text) == wanted


def test_a_password_inside_the_url_of_a_secret_key_is_known_by_itself(tmp_path: Path) -> None:
    """The password of DATABASE_URL is masked where it stands alone, as in a driver's own message; decoded too."""
    redact = redactor(tmp_path, 'DATABASE_URL="postgresql://app:p%40ss-word@db/x"\n')
    assert redact("password p%40ss-word is wrong") == f"password {MASK} is wrong"
    assert redact("password p@ss-word is wrong") == f"password {MASK} is wrong"
    assert redact("at postgresql://app:p%40ss-word@db/x") == f"at {MASK}"


def test_a_longer_secret_is_masked_whole(tmp_path: Path) -> None:
    """A secret that is a part of another leaves nothing of the longer one behind."""
    redact = redactor(tmp_path, "A_TOKEN=abcd\nB_TOKEN=abcd-efgh\n")
    assert redact("abcd-efgh abcd") == f"{MASK} {MASK}"


@pytest.mark.parametrize("value", ["", "1", "yes", '""'])
def test_a_value_that_is_too_short_to_hide_masks_nothing(tmp_path: Path, value: str) -> None:
    """An empty or tiny value would mask half of every sentence."""
    assert redactor(tmp_path, f"A_TOKEN={value}\n")("yes, 1 of 11 runs") == "yes, 1 of 11 runs"


def test_all_files_count_and_a_missing_one_is_none(tmp_path: Path) -> None:
    """Secrets of every env file are known, also of one in another encoding; an absent file is no error."""
    (tmp_path / "a").write_text("A_TOKEN=first-one\n")
    (tmp_path / "b").write_bytes(b"C=\xff\nB_TOKEN=second-one\n")
    redact = Redactor.of([tmp_path / "a", tmp_path / "absent", tmp_path / "b", tmp_path])
    assert redact("first-one second-one") == f"{MASK} {MASK}"


def test_what_is_commented_out_is_no_value(tmp_path: Path) -> None:
    """A line that is a comment is not read."""
    assert redactor(tmp_path, "# A_TOKEN=example\n")("an example") == "an example"
