"""The fault of the drill `environment-dollar` is what its story says."""

from __future__ import annotations

from fixtures.faults.environment import KINDS, with_password

TEXT = "PORT=5001\nDATABASE_URL=postgresql://postgres:plain@db:5432/spheroseg\nJWT_SECRET=x\n"


def test_dollar_and_hash_stand_in_the_file() -> None:
    """As they are in the password: what is written otherwise for a URL proves nothing of the quotes."""
    assert with_password(TEXT, r"a$ec#re\1t").splitlines() == [
        "PORT=5001",
        r"DATABASE_URL='postgresql://postgres:a$ec#re\1t@db:5432/spheroseg'",
        "JWT_SECRET=x",
    ]


def test_the_fault_takes_the_quotes_away() -> None:
    """And nothing else."""
    sound = with_password(TEXT, "a$ec#ret")
    assert KINDS["dollar"].edit(sound) == sound.replace("'", "")
