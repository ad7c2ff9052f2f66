"""What the evidence lacks is signed with it and said: an archive that is whole may still be without what matters."""

from __future__ import annotations

import json
import tarfile
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment import evidence
from rollback.containment.evidence import Evidence
from rollback.deployment import Container
from rollback.engine import Result
from rollback.outcome import Failed

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

NO_LOG = "Error response from daemon: configured logging driver does not support reading"
HELD = "The safety backup waited 20 s for a table: pid 7 (psql, postgres from ::1, idle) has held users."


class Engine:
    """One container, whose log docker may not be able to read.

    Attributes:
        log: what is said instead of the log; empty: it is read.
        changed: how many files were changed, and twice as many added.
    """

    def __init__(self) -> None:
        self.log = ""
        self.changed = 1

    def ask(self, _: Sequence[str]) -> str:
        """Its changed files."""
        named = [f"A /junk-{one:04}" for one in range(2 * self.changed)]
        return "\n".join([*named, *(f"C /bin/{one:04}" for one in range(self.changed))])

    def save(self, argv: Sequence[str], target: Path, *, both: bool = False) -> Result:  # noqa: ARG002 -- as the real one
        """A log, a state or a copy, which is the path of the original."""
        failed = self.log if "logs" in argv else ""
        target.write_text("[{}]" if "inspect" in argv else failed or argv[-2], encoding="utf-8")
        return Result(1 if failed else 0, "", "")


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Evidence:
    """The evidence of a deployment with one container and a database that tells all."""
    table = SimpleNamespace(archive=str(tmp_path / "kept"))
    settings = SimpleNamespace(
        containment=table, monitoring=SimpleNamespace(files=[]), deployment=SimpleNamespace(name="p"),
        backup=SimpleNamespace(recipients=[], signing_key="key"),
    )  # fmt: skip
    one = Container(
        "c", "p-api-1", "api", "i", running=True, health=None, one_off=False, labels={}, ports={}, restarts=0
    )
    there: Any = SimpleNamespace(
        root=tmp_path, state=tmp_path / ".rollback", settings=settings, engine=Engine(), containers=lambda: [one]
    )
    monkeypatch.setattr(evidence, "groups", lambda _: {})
    monkeypatch.setattr("rollback.parts.files.capture", lambda *_: None)
    monkeypatch.setattr("rollback.database.safety.dump", lambda _, to: to.write_text("rows"))
    monkeypatch.setattr(Evidence, "_account", lambda *_: None)
    return Evidence(there, "run", tmp_path / "runs/run")


def said(kept: Evidence) -> list[str]:
    """What the signed statement says that the archive lacks."""
    raw = json.loads((kept.place / f"{kept.archive.name}.json").read_text(encoding="utf-8"))
    body = raw["body"] if isinstance(raw.get("body"), dict) else json.loads(raw["body"])
    found: list[str] = body["lacking"]
    return found


def copies(kept: Evidence) -> list[str]:
    """The originals of what was copied, in order."""
    with tarfile.open(kept.archive) as tar:
        names = sorted(name for name in tar.getnames() if "/changed-" in name)
        return [tar.extractfile(name).read().decode() for name in names]  # type: ignore[union-attr]


def test_evidence_that_lacks_nothing_says_nothing(kept: Evidence) -> None:
    """The sentence is for gaps alone."""
    kept.keep()
    assert (kept.reading().holds, "it lacks" in kept.reading().seen, said(kept)) == (True, False, [])


def test_a_database_that_was_kept_out_is_said(kept: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run goes on, for an ill database holds nothing up; the reason is signed, and seen by the operator."""

    def held(*_: object) -> None:
        raise Failed(HELD)

    monkeypatch.setattr("rollback.database.safety.dump", held)
    kept.keep()
    wanted = f"the dump of the database: {HELD}"
    assert said(kept) == [wanted]
    assert (kept.reading().holds, kept.reading().seen.endswith(f"; it lacks {wanted}")) == (True, True)


def test_no_account_of_the_database_keeps_nobody_from_its_dump(kept: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever cannot be signed in may still be dumped, from inside the container."""

    def refused(*_: object) -> None:
        raise Failed("too many clients already.")

    monkeypatch.setattr(Evidence, "_account", refused)
    kept.keep()
    assert said(kept) == ["the database's own account: too many clients already."]
    with tarfile.open(kept.archive) as tar:
        assert "evidence-run/database.dump" in tar.getnames()


def test_a_log_that_nobody_can_read_is_a_gap(kept: Evidence) -> None:
    """No other try would read it; one that is not read for another reason is tried again."""
    engine: Any = kept.deployment.engine
    engine.log = NO_LOG
    kept.keep()
    assert said(kept) == ["the log of p-api-1: its driver cannot be read"]
    engine.log = "Error response from daemon: timeout"
    with pytest.raises(Failed, match="Log or state of p-api-1"):
        kept.keep()


def test_junk_does_not_push_out_what_was_changed(kept: Evidence, monkeypatch: pytest.MonkeyPatch) -> None:
    """Changed files are copied before added ones, and how many are not copied is said."""
    engine: Any = kept.deployment.engine
    monkeypatch.setattr(evidence, "_LARGEST", 4)
    engine.changed = 3
    kept.keep()
    assert [one.partition(":")[2] for one in copies(kept)] == ["/bin/0000", "/bin/0001", "/bin/0002", "/junk-0000"]
    assert said(kept) == ["copies of 5 changed files of p-api-1, which are listed"]
