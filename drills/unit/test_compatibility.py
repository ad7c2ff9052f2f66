"""Whether what runs can work with another schema: by its own word, or by what its release was recorded with."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from rollback import settings
from rollback.database import compatibility
from rollback.deployment import Answer, Deployment
from rollback.engine import Engine
from rollback.release import Shelf

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
STATES = json.dumps({"version": "v4.0.0", "schema_heads": ["011", "012"]})
PAGE = json.dumps({"version": "v4.0.0"})


def asked(monkeypatch: pytest.MonkeyPatch, backend: Answer, *recorded: tuple[str, list[str]]) -> compatibility.Fit:
    """What is said of migration 010, with a backend that answers so, and with releases recorded by image and heads."""

    def through(deployment: Deployment, path: str) -> Answer:
        return backend if path == deployment.settings.services["backend"].version else Answer(200, PAGE)

    releases = [
        SimpleNamespace(images={"backend": SimpleNamespace(id=image)}, works_with=heads) for image, heads in recorded
    ]
    running = SimpleNamespace(image="the one that runs")
    monkeypatch.setattr(Deployment, "through_edge", through)
    monkeypatch.setattr(Deployment, "serving", lambda _, service: [running] if service == "backend" else [])
    monkeypatch.setattr(Shelf, "all", lambda _: releases)
    return compatibility.fit(Deployment(REFERENCE, settings.load(REFERENCE), Engine(REFERENCE)), "010")


MINE, OTHERS = "the one that runs", "another"
AGAINST = "what runs works with migration 011, 012, and the database will be at 010"
UNHEARD = "backend does not answer, and no recorded release tells: whether it works with migration 010 is not known"


@pytest.mark.parametrize(
    ("backend", "recorded", "dependent", "unheard"),
    [
        (Answer(200, STATES), [], AGAINST, ""),
        (Answer(200, STATES), [(MINE, ["010"])], AGAINST, ""),
        (Answer(200, PAGE), [], "", ""),
        (Answer(502, "<html>"), [(MINE, ["011", "012"])], AGAINST, ""),
        (Answer(502, "<html>"), [(MINE, ["009"]), (MINE, ["010", "011"])], "", ""),
        (Answer(0, ""), [(OTHERS, ["011"])], "", UNHEARD),
        (Answer(502, "<html>"), [], "", UNHEARD),
    ],
    ids=[
        "states",
        "own word first",
        "states none",
        "recorded",
        "newest record",
        "another image",
        "nobody tells",
    ],
)
def test_a_service_that_does_not_answer_has_not_agreed(
    monkeypatch: pytest.MonkeyPatch,
    backend: Answer,
    recorded: list[tuple[str, list[str]]],
    dependent: str,
    unheard: str,
) -> None:
    """It may only be starting: what it was recorded with speaks for it, and where nothing does the plan says so."""
    assert asked(monkeypatch, backend, *recorded) == compatibility.Fit(dependent, unheard)


def test_the_plan_says_what_is_not_known() -> None:
    """And what is known to break."""
    assert list(compatibility.notes({"dependent": "", "unheard": UNHEARD})) == [UNHEARD]
    assert list(compatibility.notes({"dependent": "x", "unheard": ""})) == [
        "x: users see errors until the application follows"
    ]
