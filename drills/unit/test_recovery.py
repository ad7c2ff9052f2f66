"""Which archive a recovery believes, how the command ends where none can be, and which ones may go."""

from __future__ import annotations

import errno
import io
import json
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from rollback.archive.container import MARK, Writer
from rollback.archive.keeper import FullKeeper
from rollback.archive.manifest import Archive, Image
from rollback.archive.shelf import EVENT, Full, FullShelf
from rollback.database.backup.signing import Keys, Untrue, digest
from rollback.database.backup.verify import Climb, Unproven
from rollback.deployment import Deployment
from rollback.engine import CommandFailed
from rollback.journal import Journal
from rollback.outcome import Failed, Refused
from rollback.recovery.services import order

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "fixtures" / "spheroseg"
H = "0" * 64
NOON = datetime(2024, 1, 19, 12, tzinfo=UTC)


@pytest.fixture
def shelf(tmp_path: Path) -> FullShelf:
    """A checkout with a signing key, and no archive yet."""
    root = tmp_path / "check out ü"
    root.mkdir()
    (root / "rollback.toml").write_text((REFERENCE / "rollback.toml").read_text(encoding="utf-8"), encoding="utf-8")
    deployment = Deployment.load(root)
    found = FullShelf(deployment, Journal(deployment.state / "journal.jsonl"))
    found.keys.made()
    found.folder.mkdir(parents=True)
    return found


def put(  # noqa: PLR0913 -- what may be said of an archive
    shelf: FullShelf,
    name: str,
    hours: int,
    *,
    known: bool = True,
    proven: bool = True,
    keys: Keys | None = None,
) -> Full:
    """An archive in the folder, taken so many hours after noon."""
    at = NOON + timedelta(hours=hours)
    archive, path = f"{at:%Y%m%dT%H%M%SZ}-beef", shelf.folder / name
    with path.open("xb") as file:
        one = Writer(file, archive)
        one.begin("1")
        one.add("images.tar", io.BytesIO(b"x" * 5000))
        found = Archive(
            format=1, id=archive, at=at, project="spheroseg", backup=archive, backup_manifest=H, releases=[],
            works_with=[], head="012", images=[Image(service="db", id=f"sha256:{H}", names=["db:15"])], volumes=[],
            sealed=False, by="1", seconds=1.0, members=one.members,
        )  # fmt: skip
        raw = (keys or shelf.keys).sign("full backup", found.model_dump(mode="json"))
        one.finish(raw)
    full = Full(path, shelf.keys)
    if known:
        shelf.note("taken", archive, manifest=digest(raw))
    if proven:
        full.prove()
    return full


def flip(path: Path, place: int = 2000) -> None:
    """One bit."""
    raw = bytearray(path.read_bytes())
    raw[place] ^= 1
    path.write_bytes(bytes(raw))


def test_the_newest_by_its_own_word_is_chosen(shelf: FullShelf) -> None:
    """Neither by its name nor by the time of its file."""
    put(shelf, "zzz-latest.tar", 1)
    newest = put(shelf, "aaa-oldest.tar", 3)
    put(shelf, "full.tar", 2)
    os.utime(newest.path, (0, 0))
    chosen = shelf.choose(None)
    assert chosen.full.path == newest.path
    assert (chosen.skipped, chosen.notes) == ([], [])


def test_each_bad_one_is_skipped_and_told(shelf: FullShelf, tmp_path: Path) -> None:
    """A bit, a cut, never proven, unknown to the journal, signed by somebody else, proof of another: then the next."""
    good = put(shelf, "good.tar", 1)
    flip(put(shelf, "bit.tar", 9).path)
    cut = put(shelf, "cut.tar", 8).path
    cut.write_bytes(cut.read_bytes()[:4000])
    put(shelf, "unproven.tar", 7, proven=False)
    put(shelf, "unknown.tar", 6, known=False)
    put(shelf, "theirs.tar", 5, keys=Keys(tmp_path / "theirs.key").made(), proven=False)
    borrowed = put(shelf, "borrowed.tar", 4, proven=False)
    (shelf.folder / "borrowed.tar.proof.json").write_bytes((shelf.folder / "good.tar.proof.json").read_bytes())
    (shelf.folder / "pictures.tar").write_bytes(b"holiday")
    (shelf.folder / ".part-20240119T120000Z-beef").write_bytes(b"half")
    chosen = shelf.choose(None)
    assert chosen.full.path == good.path
    told = dict(one.split(": ", 1) for one in chosen.skipped)
    assert told.pop("bit.tar").startswith("images.tar was changed")
    assert "no tar that can be read to its end" in told.pop("cut.tar")
    assert told.pop("unproven.tar") == told.pop(borrowed.path.name) == "it was never proven"
    assert told.pop("unknown.tar") == "the journal does not know it"
    assert told.pop("theirs.tar") == "its signature is not that of this deployment"
    assert "not a full backup of ours" in told.pop("pictures.tar") or told == {}
    assert told == {}


def test_none_is_proven(shelf: FullShelf) -> None:
    """The refusal tells the reason for each."""
    put(shelf, "a.tar", 1, proven=False)
    flip(put(shelf, "b.tar", 2).path)
    with pytest.raises(Refused, match=r"is proven: b\.tar: images\.tar was changed .*; a\.tar: it was never proven"):
        shelf.choose(None)


def test_a_named_one_needs_no_proof_but_every_byte(shelf: FullShelf) -> None:
    """The journal may be gone with the rest; then that is said. One that the journal knows otherwise is refused."""
    one = put(shelf, "a.tar", 1, known=False, proven=False)
    chosen = shelf.choose(str(one.path))
    assert len(chosen.notes) == 2
    assert shelf.choose(one.path.name).full.path == one.path
    shelf.note("taken", chosen.manifest.id, manifest=H)
    with pytest.raises(Refused, match="not the one that the journal recorded"):
        shelf.choose("a.tar")


def command(shelf: FullShelf, *words: str) -> tuple[int, str]:
    """The real command, without docker: exit code and what it said."""
    environment = {**os.environ, "PATH": "/nowhere", "PYTHONPATH": str(ROOT)}
    argv = [sys.executable, "-m", "rollback", *words]
    done = subprocess.run(
        argv, cwd=shelf.deployment.root, env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert "Traceback" not in done.stderr
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("recover", "--yes"), 20, "No full backup in"),
        (("recover", "--plan"), 20, "never proven"),
        (("recover", "nothing.tar", "--yes"), 2, "There is no full backup nothing.tar; in"),
        (("recover", "flipped.tar", "--yes"), 20, "images.tar was changed after it was written"),
        (("recover", "cut.tar", "--yes"), 20, "it has no end: it is cut"),
        (("recover", "theirs.tar", "--yes"), 20, "is not a full backup of ours"),
        (("recover", "--everything", "--surprise"), 2, "No such option"),
        # without docker something could not be read, and nothing was begun
        (("backup", "full"), 50, "`docker` is not installed"),
    ],
)
def test_how_the_command_ends(shelf: FullShelf, words: tuple[str, ...], code: int, says: str) -> None:
    """Nothing to believe: refused. No such file, no such option: wrong usage. One sentence, and nothing was changed."""
    put(shelf, "unproven.tar", 1, proven=False)
    flip(put(shelf, "flipped.tar", 2).path)
    cut = put(shelf, "cut.tar", 3).path
    cut.write_bytes(cut.read_bytes()[:-600])
    (shelf.folder / "theirs.tar").write_bytes(b"\0" * 10240)
    got, said = command(shelf, *words)
    assert (got, says in said) == (code, True), said


def test_the_journal_tells_of_archives(shelf: FullShelf) -> None:
    """What was taken is found again by its id."""
    one = put(shelf, "a.tar", 1)
    entry = shelf.journal.entries()[0]
    assert (entry.event, entry.data["did"]) == (EVENT, "taken")
    assert shelf.recorded(one.manifest().id) == digest(one.raw())
    assert shelf.recorded("20240119T120000Z-dead") is None
    assert MARK.encode() in one.path.read_bytes()[:100]


def test_services_come_up_in_order(shelf: FullShelf) -> None:
    """As rollback.toml says; where it says nothing, stores before what needs them, the edge last, strangers kept."""
    settings = shelf.deployment.settings
    services = ["backend", "certbot", "db", "frontend-prod", "ml", "nginx-prod", "redis"]
    first = ["db", "redis", "ml", "backend", "frontend-prod", "nginx-prod"]
    assert order(settings, services) == [*first, "certbot"]
    silent = settings.model_copy(update={"recovery": settings.recovery.model_copy(update={"first": []})})
    assert order(silent, services) == ["db", "certbot", "redis", "ml", "backend", "frontend-prod", "nginx-prod"]


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (
            CommandFailed("`docker image inspect x` ended with exit code 1: Cannot connect to the Docker daemon at y"),
            Failed,
        ),
        (CommandFailed("pg_restore ended with 1: could not extend file: No space left on device"), Failed),
        (OSError(errno.ENOSPC, "No space left on device"), Failed),
        (CommandFailed("pg_restore ended with 1: could not read from input file: end of file"), Unproven),
        (Untrue("images.tar was changed after it was written"), Unproven),
    ],
    ids=["engine", "scratch-disk", "own-disk", "cut", "changed"],
)
def test_an_engine_that_is_away_says_nothing_about_a_backup(error: Exception, kind: type[Exception]) -> None:
    """A backup is refused for what it is, never for what the machine lacks just then."""
    with pytest.raises((Failed, Unproven)) as told, Climb("b").rung("archive"):
        raise error
    assert type(told.value) is kind


def test_a_journal_entry_holds_json_alone(shelf: FullShelf) -> None:
    """What is noted can be read again."""
    shelf.note("proven", "x", rungs=["a", "b"])
    assert json.loads(shelf.journal.path.read_text(encoding="utf-8").splitlines()[-1])["data"]["rungs"] == ["a", "b"]


def kept(shelf: FullShelf, **figures: int) -> FullKeeper:
    """Whoever prunes the folder, with other figures than the usual ones."""
    found = shelf.deployment.settings
    table = found.recovery.model_copy(update={"keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, **figures})
    return FullKeeper(replace(shelf.deployment, settings=found.model_copy(update={"recovery": table})))


def decided(keeper: FullKeeper) -> dict[str, str]:
    """By file."""
    return {one.id: one.verdict.name for one in keeper.decisions()}


def test_old_ones_go_and_what_is_needed_or_doubtful_stays(shelf: FullShelf) -> None:
    """Never the newest, the newest proven, what cannot be believed, and what a recovery has begun from."""
    for number, name in enumerate(("oldest", "needed", "old", "proven")):
        put(shelf, f"{name}.tar", number)
    put(shelf, "newest.tar", 9, proven=False)
    flipped = put(shelf, "strange.tar", 5, known=False)
    needed = Full(shelf.folder / "needed.tar", shelf.keys).manifest().id
    shelf.journal.append("r1", "begin", arguments={"archive": needed})
    keeper = kept(shelf, keep_verified=1)
    wanted = {"newest": "KEEP", "strange": "KEEP", "proven": "FLOOR", "old": "OBSOLETE", "needed": "PIN"}
    assert decided(keeper) == {f"{name}.tar": one for name, one in {**wanted, "oldest": "OBSOLETE"}.items()}
    assert len(shelf.all()) == 6
    keeper.prune()
    assert sorted(one.path.stem for one in shelf.all()) == ["needed", "newest", "proven", "strange"]
    assert sorted(one.name for one in shelf.folder.glob("old*")) == []
    assert [one.data["did"] for one in shelf.journal.entries()[-2:]] == ["pruned", "pruned"]
    assert flipped.path.is_file()


def test_the_command_prunes_full_backups_only_when_it_is_told_to(shelf: FullShelf) -> None:
    """A dry run unless `--yes`, and the folder of backups of the database is another one."""
    for number in range(40):
        put(shelf, f"{number}.tar", 24 * number)
    code, said = command(shelf, "backup", "prune", "--full")
    assert (code, "would be deleted" in said, len(shelf.all())) == (0, True, 40)
    code, said = command(shelf, "backup", "prune", "--yes")
    assert (code, len(shelf.all())) == (0, 40)
    code, said = command(shelf, "backup", "prune", "--full", "--yes")
    assert (code, len(shelf.all())) == (0, 3), said  # three days, of which the last stands for a week as well
    assert shelf.choose(None).full.path.name == "39.tar"
