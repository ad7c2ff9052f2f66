"""Names, files and sentences that others read: images, nginx, migrations, checks, plans."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from rollback import settings
from rollback.console import Speaker
from rollback.database import compatibility
from rollback.deployment import Deployment
from rollback.documents.verification import Line
from rollback.engine import Engine
from rollback.outcome import Exit, Failed, NothingToDo, Refused, Stop, UsageError
from rollback.parts import edge, images
from rollback.plan import Plan, Reading, Step
from rollback.release import Release
from rollback.verification.line import NotTested

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
IMAGE_NAME = re.compile(r"(?:[a-z0-9]+(?:-[a-z0-9]+)*/)*[a-z0-9]+(?:-[a-z0-9]+)*:[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (("spheroseg", "backend", "v4.0.0"), "rollback/spheroseg/backend:v4.0.0"),
        (("My_App", "frontend-prod", "V4_0-rc.1"), "rollback/my-app/frontend-prod:V4_0-rc.1"),
        (("ä", "__", "..."), "rollback/x/x:x"),
        (("a b/c", "--x--", "-v1+build"), "rollback/a-b-c/x:v1-build"),
        (("p", "s", "x" * 200), f"rollback/p/s:{'x' * 120}"),
    ],
    ids=["plain", "capitals", "nothing left", "odd letters", "long"],
)
def test_the_name_that_keeps_an_image_is_our_own_and_valid(words: tuple[str, str, str], wanted: str) -> None:
    """Whatever project and service are called, the name is one that the engine accepts, under our prefix."""
    assert images.keep_name(*words) == wanted
    assert IMAGE_NAME.fullmatch(wanted)


GOLDEN = """\
# Written by rollback: which containers serve, and the generation that proves it.
upstream backend { server backend:5001; }
upstream frontend { server p-frontend-r1:80; server frontend-prod:80 backup; }
server { listen 8080; server_name generation.rollback.invalid; location = /status { stub_status; } \
location = /leads { default_type text/plain; return 200 "backend backend:5001\\nfrontend p-frontend-r1:80\\n"; } \
location / { default_type text/plain; return 200 "r1-beside\\n"; } }
"""


def test_the_upstream_file_is_exactly_this() -> None:
    """One line an upstream, a backup only where there is one, the generation on the users' own listener."""
    routes = [
        edge.Route("backend", "backend:5001"),
        edge.Route("frontend", "p-frontend-r1:80", "frontend-prod:80"),
    ]
    assert edge.upstreams(routes, "r1-beside", 8080) == GOLDEN


def test_the_committed_upstream_file_is_what_the_tool_writes() -> None:
    """The first switch changes servers and generation, nothing else: the reference file has the same form."""
    table = settings.load(REFERENCE)
    reference = edge.Edge(Deployment(REFERENCE, table, Engine(REFERENCE)))
    written = reference.content("initial", {}, {})
    assert written == (REFERENCE / table.edge.upstream_file).read_text(encoding="utf-8")


def test_routes_lead_to_stand_ins_where_there_are_any() -> None:
    """Roles without an upstream have no route; a role without a stand-in stays with its service."""
    reference = edge.Edge(Deployment(REFERENCE, settings.load(REFERENCE), Engine(REFERENCE)))
    assert reference.routes({"frontend": "in", "ml": "m"}, {"frontend": "old"}) == [
        edge.Route("backend", "backend:5001"),
        edge.Route("frontend", "in:80", "old:80"),
    ]


def release(works_with: list[str], migrations: list[str]) -> Release:
    """A release of which only the migrations matter."""
    return Release("v1", "", Path(), {}, {}, migrations[-1], migrations, works_with, None, None)


def test_a_release_that_states_the_head_works() -> None:
    """What the backend states counts, even for a migration that came after it."""
    told = compatibility.check(release(["002", "003"], ["001", "002"]), ["001", "002", "003"])
    assert told == "v1 states that it works with migration 003"


@pytest.mark.parametrize(
    ("applied", "sentence", "way"),
    [
        (["001", "002", "010", "011"], "the database is at 011; migrations stand between: 010, 011.", "newest first"),
        (["001"], "the database is at 001; migrations are missing: 002.", "apply them first"),
        ([], "the database is at none; migrations are missing: 001, 002.", "apply them first"),
        (["002"], "the database is at 002; migrations are missing: 001.", "apply them first"),
        (["001", "001b", "002"], "the database is at 002; migrations stand between: 001b.", "take them back"),
        (["001", "x2"], "the database is at x2; migrations stand between: x2.", "take them back"),
    ],
    ids=["between", "missing", "none", "gap below the head", "stranger below the head", "another line"],
)
def test_migrations_that_hinder_are_named(applied: list[str], sentence: str, way: str) -> None:
    """All that stand between are named in order, or all that are missing, with the way out."""
    with pytest.raises(Refused) as caught:
        compatibility.check(release(["002"], ["001", "002"]), applied)
    assert caught.value.found == f"v1 works with migration 002; {sentence}"
    assert way in caught.value.next_step


@pytest.mark.parametrize(
    ("stop", "code"),
    [(UsageError, 2), (NothingToDo, 10), (Refused, 20), (Failed, 50), (NotTested, 51)],
    ids=["usage", "nothing", "refused", "failed", "not tested"],
)
def test_each_end_has_its_exit_code(stop: type[Stop], code: int) -> None:
    """An end carries its code, and its sentence ends with what to do next where there is something."""
    assert (int(stop("It is so.").exit), str(stop("It is so."))) == (code, "It is so.")
    assert str(stop("It is so.", "do this")) == "It is so. Next: do this"


def test_a_failure_says_whether_it_was_put_back() -> None:
    """The exit code of one failure is no other failure's."""
    assert int(Failed("x", exit_code=Exit.PUT_BACK).exit) == 30
    assert int(Failed("x").exit) == 50
    assert {one.name: int(one) for one in Exit} == {
        "DONE": 0, "USAGE": 2, "NOTHING_TO_DO": 10, "REFUSED": 20, "PUT_BACK": 30, "NOT_PUT_BACK": 40,
        "INCONCLUSIVE": 50, "NOT_TESTED": 51, "ROLLED_BACK": 60, "INTERRUPTED": 130,
    }  # fmt: skip


def unreadable() -> Reading:
    """A system that does not answer."""
    raise Failed("no answer from [db]:ok:.")


def forbidden() -> None:
    """What a printed plan must never call."""
    raise AssertionError("a plan was carried out")


PLAN = Plan(
    "application",
    {},
    "r1",
    "put [backend] back as v1 had it",
    (
        Step(
            "images at hand", "before anything stops", lambda: Reading(holds=True, seen="all 3"), forbidden, forbidden
        ),
        Step("users moved", "traffic first", unreadable, forbidden, forbidden),
    ),
    ("backend publishes 127.0.0.1:100:",),
)


def test_a_printed_plan_says_what_and_why_and_does_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step with its cause and what is seen now; = holds already; words in brackets and colons stay words."""
    monkeypatch.setenv("COLUMNS", "120")
    Speaker(as_json=False).plan(PLAN)
    said = capsys.readouterr()
    lines = [re.sub(r"\s{2,}", " | ", line.strip()) for line in said.out.splitlines()]
    assert lines == [
        "application: put [backend] back as v1 had it",
        "step | because | seen now",
        "1 = | images at hand | before anything stops | all 3",
        "2 + | users moved | traffic first | no answer from [db]:ok:.",
        "note backend publishes 127.0.0.1:100:",
    ]
    assert said.err == ""


def test_a_plan_for_machines_is_one_document(capsys: pytest.CaptureFixture[str]) -> None:
    """Standard output is JSON and nothing else; people read standard error."""
    Speaker(as_json=True).plan(PLAN)
    said = capsys.readouterr()
    assert json.loads(said.out) == {
        "outcome": "done",
        "exit": 0,
        "procedure": "application",
        "summary": "put [backend] back as v1 had it",
        "notes": ["backend publishes 127.0.0.1:100:"],
        "steps": [
            {"step": "images at hand", "cause": "before anything stops", "holds": True, "seen": "all 3"},
            {"step": "users moved", "cause": "traffic first", "holds": False, "seen": "no answer from [db]:ok:."},
        ],
    }
    assert "images at hand" in said.err


def test_a_checklist_is_well_only_as_a_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """One line that is not so makes the document say so."""
    lines = [Line("api", ok=True, seen="200"), Line("errors", ok=False, seen="9")]
    Speaker(as_json=True).checklist(lines, release="v1")
    found = json.loads(capsys.readouterr().out)
    assert (found["ok"], found["release"]) == (False, "v1")
    assert found["checks"] == [
        {"check": "api", "ok": True, "seen": "200", "tested": True},
        {"check": "errors", "ok": False, "seen": "9", "tested": True},
    ]
