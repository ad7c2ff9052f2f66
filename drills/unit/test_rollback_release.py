"""Releases on the shelf: only what is whole, known and good can be a target."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback import settings
from rollback.database.schema.recorded import Recorded, read
from rollback.deployment import Deployment
from rollback.engine import Engine, Result
from rollback.outcome import Exit, Failed, Refused, UsageError
from rollback.parts import files
from rollback.release import LAST_GOOD, SCHEMA, Release, Shelf, check_name

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

TOML = """\
[deployment]
name = "d"
[edge]
service = "nginx"
upstream_file = "nginx/upstream.conf"
[database]
service = "db"
name = "spheroseg"
[services.backend]
service = "backend"
port = 5001
version = "/v"
health = "/h"
[services.ml]
service = "worker"
port = 5002
version = "/v"
health = "/h"
[parts]
nginx = ["nginx"]
"""
NAMES = {"backend": "v1", "ml": "v1"}


@dataclass(frozen=True)
class Double(Engine):
    """An engine by hand: two services and a database run, images have names, git has a commit."""

    running: dict[str, str] = field(
        default_factory=lambda: {"backend": "sha256:b1", "worker": "sha256:m1", "db": "sha256:d"}
    )
    tags: dict[str, str] = field(default_factory=dict)
    migrations: list[str] = field(default_factory=lambda: ["001", "002"])

    def run(
        self,
        argv: list[str],
        *,
        stdin: str | None = None,
        seconds: float = 300,
        env: Mapping[str, str] | None = None,
        question: bool = False,
    ) -> Result:
        """Answer the questions that a shelf asks; anything else is a mistake."""
        del seconds, env, question
        if argv[:2] == ["docker", "compose"] and "config" in argv:
            return self._json({"name": "proj", "services": {"backend": {"image": "team/backend:1"}, "worker": {}}})
        if argv[:2] == ["docker", "ps"]:
            assert argv[-1] == "label=com.docker.compose.project=proj"
            return Result(0, "\n".join(self.running), "")
        if argv[:3] == ["docker", "container", "inspect"]:
            return self._json([self._container(one) for one in argv[3:]])
        if argv[:2] == ["docker", "exec"] and stdin:
            return Result(0, "\n".join(self.migrations), "")
        if argv[:2] == ["docker", "tag"]:
            self.tags[argv[3]] = argv[2]
            return Result(0, "", "")
        if argv[0] == "git":
            return Result(0, "abc123\n", "")
        raise AssertionError(argv)

    def _json(self, document: Any) -> Result:
        return Result(0, json.dumps(document), "")

    def _container(self, service: str) -> dict[str, Any]:
        labels = {"com.docker.compose.service": service, "com.docker.compose.oneoff": "False"}
        return {
            "Id": service,
            "Name": f"/proj-{service}-1",
            "Image": self.running[service],
            "Config": {"Labels": labels},
            "State": {"Running": True},
        }


@dataclass
class Bench:
    """A deployment on the hand-made engine."""

    engine: Double
    shelf: Shelf

    def record(self, version: str, *images: str) -> Release:
        """Let images run and record them."""
        if images:
            self.engine.running.update(zip(("backend", "worker"), images, strict=True))
        return self.shelf.record(version, NAMES, [])


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """A checkout with env file and nginx folder; the clock goes on by a second with each look at it."""
    ticks = itertools.count()
    clock = SimpleNamespace(now=lambda zone: datetime(2026, 1, 1, tzinfo=zone) + timedelta(seconds=next(ticks)))
    monkeypatch.setattr("rollback.release.datetime", clock)
    (tmp_path / "rollback.toml").write_text(TOML)
    (tmp_path / ".env").write_bytes(b"A=1\r\n")
    (tmp_path / "docker-compose.yml").write_text("services: {}\n")
    (tmp_path / "nginx").mkdir()
    (tmp_path / "nginx" / "upstream.conf").write_text("# ü\n")
    engine = Double(tmp_path)
    return Bench(engine, Shelf(Deployment(tmp_path, settings.load(tmp_path), engine)))


def refusal(bench: Bench, version: str) -> str:
    """Why this release is no target."""
    with pytest.raises(Refused) as caught:
        bench.shelf.good(version)
    assert caught.value.exit is Exit.REFUSED
    assert caught.value.next_step
    return caught.value.found


def test_what_was_recorded_is_read_back(bench: Bench) -> None:
    """A release comes back from its manifest exactly as it was recorded, with everything that ran."""
    recorded = bench.record("v1.0")
    assert bench.shelf.get("v1.0") == recorded
    assert bench.shelf.all() == [recorded]
    assert {role: (one.id, one.name, one.identity) for role, one in recorded.images.items()} == {
        "backend": ("sha256:b1", "team/backend:1", "v1"),
        "ml": ("sha256:m1", "proj-worker", "v1"),
    }
    assert {group: [one.path for one in some] for group, some in recorded.files.items()} == {
        "environment": [".env"],
        "compose": ["docker-compose.yml"],
        "nginx": ["nginx/upstream.conf"],
        "certificates": [],
        "monitoring": [],
    }
    assert (recorded.migration_head, recorded.migrations, recorded.works_with) == ("002", ["001", "002"], ["002"])
    assert bench.shelf.record("v1.1", NAMES, ["001", "002"]).works_with == ["001", "002"]
    assert (recorded.commit, recorded.bad) == ("abc123", None)
    assert (recorded.store / ".env").read_bytes() == b"A=1\r\n"


def test_its_images_are_kept_under_names_of_our_own(bench: Bench) -> None:
    """Each image has a name that no build and no prune takes away."""
    recorded = bench.record("v1.0")
    assert bench.engine.tags == {one.kept_as: one.id for one in recorded.images.values()}
    assert set(bench.engine.tags) == {"rollback/proj/backend:v1.0", "rollback/proj/worker:v1.0"}


def test_a_release_never_changes_once_recorded(bench: Bench) -> None:
    """The same name again is refused and the first record stays."""
    first = bench.record("v1")
    with pytest.raises(Refused, match=r"v1 is recorded already.*never changes"):
        bench.record("v1", "sha256:b2", "sha256:m2")
    assert bench.shelf.get("v1") == first


def test_a_recording_that_fails_leaves_nothing(bench: Bench) -> None:
    """A release appears whole or not at all: no folder, nothing in the list, and the name is free."""
    del bench.engine.running["worker"]
    with pytest.raises(Refused, match="`worker` has no container"):
        bench.record("v1")
    assert (bench.shelf.all(), list(bench.shelf.folder.iterdir())) == ([], [])
    assert bench.record("v1", "sha256:b1", "sha256:m1").version == "v1"


def test_what_a_killed_recording_left_is_no_release(bench: Bench) -> None:
    """A half-made folder of a kill is passed over."""
    bench.record("v1")
    (bench.shelf.folder / ".new-x").mkdir()
    assert [one.version for one in bench.shelf.all()] == ["v1"]


def test_the_shelf_is_private(bench: Bench) -> None:
    """It holds copies of env files: nobody else reads it."""
    release = bench.record("v1")
    modes = {path.stat().st_mode & 0o777 for path in (bench.shelf.folder, release.folder)}
    assert (modes, (release.folder / "manifest.json").stat().st_mode & 0o777) == ({0o700}, 0o600)


def test_an_unknown_release_is_refused_with_those_there_are(bench: Bench) -> None:
    """The refusal lists what is recorded, oldest first, or says that nothing is."""
    assert "no recorded release v9; recorded: none." in refusal(bench, "v9")
    bench.record("v2")
    bench.record("v1")
    assert "recorded: v2, v1." in refusal(bench, "v9")


def test_a_bad_release_is_never_a_target(bench: Bench) -> None:
    """Marked bad, it is refused with the reason, still shown, and its manifest is as it was."""
    release = bench.record("v1")
    before = (release.folder / "manifest.json").read_bytes()
    marked = bench.shelf.mark_bad("v1", "loses jobs")
    assert refusal(bench, "v1") == "v1 is marked bad: loses jobs."
    assert bench.shelf.get("v1") == marked == replace(release, bad="loses jobs")
    assert (release.folder / "manifest.json").read_bytes() == before
    with pytest.raises(Refused, match="no recorded release v9"):
        bench.shelf.mark_bad("v9", "x")


def test_last_good_is_the_newest_good_one_that_differs(bench: Bench) -> None:
    """Neither what runs now nor what is marked bad is chosen; the order is that of recording, not of names."""

    def last_good(runs: str = "") -> str:
        return bench.shelf.last_good(lambda one: one.version != runs).version

    def nothing(runs: str = "") -> bool:
        with pytest.raises(Refused, match="no good release beside"):
            last_good(runs)
        return True

    assert nothing()
    for version in ("v3", "v1", "v2"):
        bench.record(version)
    assert (last_good(runs="v2"), last_good()) == ("v1", "v2")
    bench.shelf.mark_bad("v1", "x")
    assert last_good(runs="v2") == "v3"
    bench.shelf.mark_bad("v3", "x")
    assert nothing(runs="v2")


@pytest.mark.parametrize("name", [".env", "docker-compose.yml", "nginx/upstream.conf"])
def test_a_release_with_a_damaged_copy_is_no_target(bench: Bench, name: str) -> None:
    """Every recorded file of every part is looked at before anything stops."""
    release = bench.record("v1")
    (release.store / name).write_text("x")
    assert f"The recorded copy of {name}" in refusal(bench, "v1")


MANIFESTS = {
    "gone": None,
    "empty": b"",
    "cut": b'{"version": "v1"',
    "list": b"[]",
    "number": b"5",
    "no keys": b"{}",
    "not UTF-8": b"\xff",
    "images a list": b'{"version": "v1", "recorded": "x", "images": [], "files": {}}',
    "images of text": b'{"version": "v1", "recorded": "x", "images": {"a": "b"}, "files": {}}',
}


@pytest.mark.parametrize("content", MANIFESTS.values(), ids=MANIFESTS)
def test_a_damaged_manifest_is_refused_by_name(bench: Bench, content: bytes | None) -> None:
    """A release whose manifest cannot be read is a refusal that names it; the others can still be used."""
    bench.record("v0")
    manifest = bench.record("v1").folder / "manifest.json"
    manifest.unlink() if content is None else manifest.write_bytes(content)
    assert refusal(bench, "v1").startswith("The manifest of v1 cannot be read")
    assert bench.shelf.good("v0").version == "v0"


def test_a_damaged_mark_does_not_make_a_release_good(bench: Bench) -> None:
    """Whoever marked it meant something: a mark that cannot be read is no reason to choose it."""
    release = bench.record("v1")
    (release.folder / "bad.json").write_text("{")
    assert "manifest of v1 cannot be read" in refusal(bench, "v1")


def test_a_rebuilt_image_changes_nothing_but_its_id(bench: Bench) -> None:
    """The manifest notes the new ID of one role and keeps the rest."""
    release = bench.record("v1")
    bench.shelf.replace_image(release, "ml", "sha256:new")
    now = bench.shelf.get("v1")
    assert now.images["ml"] == replace(release.images["ml"], id="sha256:new")
    assert replace(now, images=release.images) == release


@pytest.mark.parametrize("name", ["v4.0.0", "4", "a", "V4_0-rc.1", "2026.01.01", "x" * 80, "last-good2"])
def test_a_name_that_can_be_a_folder_and_a_tag_is_good(name: str) -> None:
    """What is both a folder and an image tag is accepted."""
    check_name(name)


@pytest.mark.parametrize(
    "name",
    ["", ".", "..", ".hidden", "-rf", "_x", "a/b", "../x", "a b", "a\n", "a:b", "ä", "x" * 81, LAST_GOOD, "$(id)"],
)  # fmt: skip
def test_a_name_that_leads_elsewhere_is_wrong_usage(bench: Bench, name: str) -> None:
    """No name leads out of the shelf, hides in it, is taken for an option or for a rule."""
    with pytest.raises(UsageError, match="cannot be the name of a release"):
        check_name(name)
    with pytest.raises(UsageError):
        bench.shelf.record(name, NAMES, [])


def test_a_database_that_does_not_run_is_no_release(bench: Bench) -> None:
    """Without the head of the migrations nothing is recorded."""
    del bench.engine.running["db"]
    with pytest.raises(Failed, match="database service `db` is not running"):
        bench.record("v1")
    assert bench.shelf.all() == []


def test_a_schema_is_kept_beside_the_manifest(bench: Bench) -> None:
    """With its hash and its fingerprint in the manifest."""
    schema = Recorded("a dump", "d1", {"001": "{}"}, ["postgres"])
    release = bench.shelf.record("v2.0", NAMES, [], schema)
    assert release.schema is not None
    assert release.schema.digest == "d1"
    assert files.sha256(release.folder / SCHEMA) == release.schema.sha256
    assert read(release.folder / SCHEMA) == schema


def test_a_release_that_was_recorded_without_a_schema_is_read(bench: Bench) -> None:
    """Manifests of before this was kept say nothing of it."""
    manifest = bench.record("v1.0").folder / "manifest.json"
    raw = json.loads(manifest.read_text(encoding="utf-8"))
    del raw["schema"]
    manifest.write_text(json.dumps(raw), encoding="utf-8")
    assert bench.shelf.get("v1.0").schema is None
