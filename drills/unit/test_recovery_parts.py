"""What a recovery decides of files, volumes and accounts, each by itself."""

from __future__ import annotations

import io
from contextlib import contextmanager, nullcontext, suppress
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.archive.manifest import Record, Records, Volume
from rollback.database import server
from rollback.parts import files
from rollback.parts.volumes import Mounted
from rollback.plan import Reading
from rollback.procedures.recovery import _Procedure
from rollback.recovery.checkout import Checkout
from rollback.recovery.contents import ASKED, EMPTY, GONE, Filled
from rollback.recovery.database import Database
from rollback.recovery.examination import SOUND
from rollback.recovery.ground import Ground
from rollback.recovery.users import Visitor

if TYPE_CHECKING:
    from collections.abc import Iterator
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


class Engine:
    """Volumes of an engine, by what is in them; a copy that is made half-way is cut off by a kill."""

    def __init__(self, **volumes: str) -> None:
        self.volumes = volumes
        self.left = 10_000

    def _does(self) -> None:
        self.left -= 1
        if self.left < 0:
            raise KeyboardInterrupt

    def there(self, name: str) -> bool:
        """Whether there is one."""
        return name in self.volumes

    def empty(self, name: str) -> bool:
        """Whether it holds nothing."""
        return not self.volumes[name]

    def labels(self, name: str) -> dict[str, str]:
        """None."""
        assert name in self.volumes
        return {}

    def remove(self, name: str) -> None:
        """Remove it."""
        self._does()
        del self.volumes[name]

    def make(self, name: str) -> None:
        """Make an empty one."""
        self._does()
        self.volumes[name] = ""

    def copy(self, name: str, kept: str) -> None:
        """Half of it, then all."""
        self._does()
        self.volumes[kept] = self.volumes[name][: len(self.volumes[name]) // 2]
        self._does()
        self.volumes[kept] = self.volumes[name]

    def set_aside(self, name: str, kept: str, run: str) -> None:
        """A copy made anew."""
        assert run == "r1"
        self.make(kept)
        self.copy(name, kept)

    def is_copy(self, name: str, kept: str) -> tuple[bool, str]:
        """Whether both hold the same."""
        return self.volumes[name] == self.volumes[kept], "1 files"

    @contextmanager
    def into(self, name: str) -> Iterator[io.BytesIO]:
        """What is written ends up in it."""
        self._does()
        stream = io.BytesIO()
        yield stream
        self.volumes[name] = stream.getvalue().decode()[:2]
        self._does()
        self.volumes[name] = stream.getvalue().decode()


DATA = Volume(key="data", name="p_data", service="redis", target="/data", member="volumes/data.tar")


class Ours(Ground):
    """A ground that stands on such an engine."""

    engine: Engine

    def volumes(self) -> Any:
        """Its volumes."""
        return self.engine

    def freed(self, volume: str) -> None:
        """Nobody holds it."""
        assert volume == DATA.name


def ground_of(engine: Engine, folder: Path, why: str) -> Ours:
    """A recovery that fills the volume, for a reason."""

    def ask(argv: list[str]) -> None:
        if DATA.name not in engine.volumes:
            engine.make(DATA.name)
        assert argv

    deployment: Any = SimpleNamespace(
        project="p",
        run_folder=lambda run: folder / run,
        engine=SimpleNamespace(ask=ask),
        compose=SimpleNamespace(create=lambda services: ["create", *services]),
    )
    ground = Ours(deployment, {"run": "r1", "fill": {"data": why}})
    members: Any = SimpleNamespace(pour=lambda _member, target: target.write(b"archived"))
    ground.__dict__.update(engine=engine, members=members)
    return ground


@pytest.mark.parametrize("kill", range(9))
def test_a_volume_that_is_there_goes_back_to_the_archive_and_is_kept(tmp_path: Path, kill: int) -> None:
    """Killed anywhere: what was in it is kept whole, and who takes it back has it again."""
    for goes_on in (True, False):
        engine = Engine(p_data="damaged")
        filled = Filled(ground_of(engine, tmp_path / str(goes_on), ASKED), DATA)
        engine.left = kill
        with suppress(KeyboardInterrupt):
            filled.fill()
        engine.left = 10_000
        if goes_on:
            filled.fill()
            assert filled.reading().holds
            assert engine.volumes == {"p_data": "archived", "p_kept-r1_data": "damaged"}
        else:
            filled.leave()
            filled.leave()
            assert engine.volumes["p_data"] == "damaged"


def test_a_volume_that_was_put_back_twice_is_the_one_of_before(tmp_path: Path) -> None:
    """Taking it back may be killed as well."""
    for kill in range(9):
        engine = Engine(p_data="damaged")
        filled = Filled(ground_of(engine, tmp_path / str(kill), ASKED), DATA)
        filled.fill()
        engine.volumes["p_data"] += ", and written to"
        engine.left = kill
        with suppress(KeyboardInterrupt):
            filled.leave()
        engine.left = 10_000
        filled.leave()
        assert engine.volumes["p_data"] == "damaged"
        assert engine.volumes["p_kept-r1_data_restored"] == "archived, and written to"


@pytest.mark.parametrize("why", [GONE, EMPTY])
def test_what_is_gone_or_empty_is_filled_and_half_of_it_is_taken_away(tmp_path: Path, why: str) -> None:
    """Nothing was in it: nothing is kept."""
    engine = Engine() if why == GONE else Engine(p_data="")
    filled = Filled(ground_of(engine, tmp_path, why), DATA)
    filled.fill()
    assert (filled.reading().holds, engine.volumes) == (True, {"p_data": "archived"})


class Accounts:
    """A database of users, and a deployment in which they sign up; whoever tidies for the second time is killed."""

    def __init__(self, tidy: str = "DELETE") -> None:
        self.known: set[str] = set()
        self.asked = 0
        self.settings = SimpleNamespace(
            recovery=SimpleNamespace(tidy=tidy, users=[]), database=SimpleNamespace(service="db")
        )

    def serving(self, service: str) -> list[Any]:
        """The database runs."""
        assert service == "db"
        return [SimpleNamespace(running=True)]

    def execute(self, statement: bytes, values: dict[str, str]) -> None:
        """The account goes."""
        self.asked += 1
        if self.asked == 2:
            raise KeyboardInterrupt
        assert statement == b"DELETE"
        self.known.discard(values["email"])

    def worked(self, email: str) -> Reading:
        """Nobody signs up twice."""
        assert email not in self.known
        self.known.add(email)
        return Reading(holds=True, seen="sign up")


@pytest.mark.parametrize("goes_on", [True, False], ids=["resume", "abort"])
def test_the_account_of_a_killed_check_goes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *, goes_on: bool) -> None:
    """Whoever goes on, or takes it back, knows its address."""
    there: Any = Accounts()
    monkeypatch.setattr(server, "session_of", lambda _: nullcontext(there))
    monkeypatch.setattr(Visitor, "work", lambda one: there.worked(one.known["email"]))
    there.run_folder = lambda run: tmp_path / run
    ground = Ground(there, {"run": "r1"})
    step = _Procedure(ground, Database(ground))._users()  # noqa: SLF001 -- the step itself
    with pytest.raises(KeyboardInterrupt):
        step.act()
    assert there.known == {"recovery-r1@rollback.invalid"}
    assert step.undo is not None
    (step.act if goes_on else step.undo)()
    assert (there.known, step.read().holds) == (set(), goes_on)


def test_where_nothing_takes_an_account_away_each_check_has_its_own() -> None:
    """A second try must not fail at the sign-up of the first."""
    there: Any = Accounts(tidy="")
    assert Visitor(there, "r1").known["email"] != Visitor(there, "r1").known["email"]


@pytest.mark.parametrize("goes_on", [True, False], ids=["resume", "abort"])
def test_the_copy_of_a_sound_database_goes_even_after_a_kill(tmp_path: Path, *, goes_on: bool) -> None:
    """It is as large as the database, and nobody needs it; that it is still there is no end of the step."""
    engine = Engine(p_data="sound", **{"p_kept-r1_data": "sound"})
    ground = ground_of(engine, tmp_path, "")
    ground.note("database.json", {"state": SOUND, "why": "it starts"})
    database = _Sound(ground)
    assert not database.examined().holds
    (database.examine if goes_on else database.leave)()
    assert (database.examined().holds, engine.volumes) == (True, {"p_data": "sound"})


class _Sound(Database):
    """It has this one volume, and nothing of its examination runs."""

    def volume(self) -> Mounted:
        """The one."""
        return Mounted("data", "p_data", "db", "/data")

    @property
    def examination(self) -> Any:
        """Nothing to end."""
        return SimpleNamespace(leave=lambda: None)
