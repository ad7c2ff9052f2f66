"""Which volumes a recovery puts back, when there is something to do at all, and what a service that is ill says."""

from __future__ import annotations

from contextlib import nullcontext
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from rollback.archive.manifest import Volume
from rollback.engine import CommandFailed
from rollback.outcome import Failed, NothingToDo, Refused, UsageError
from rollback.procedures import recovery_survey
from rollback.recovery import wanted as wanted_volumes
from rollback.recovery.contents import ASKED, EMPTY, GONE
from rollback.recovery.services import Service
from rollback.recovery.wanted import Wanted, fill_of

DATA = Volume(key="data", name="p_data", service="redis", target="/data", member="volumes/data.tar")
WATCHED = Volume(key="watch", name="watch", service="", target="", member="m", monitoring=True)


@pytest.mark.parametrize(
    ("there", "wanted", "why"),
    [
        (None, Wanted(), {"data": GONE}),
        ("", Wanted(), {"data": EMPTY}),
        ("sound", Wanted(), {}),
        ("sound", Wanted(everything=True), {"data": ASKED}),
        ("sound", Wanted(volumes=["data"]), {"data": ASKED}),
        ("sound", Wanted(monitoring=True), {"watch": GONE}),
    ],
    ids=["gone", "empty", "sound", "everything", "asked for", "monitoring"],
)
def test_which_volumes_come_back(
    there: str | None, wanted: Wanted, why: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is gone or empty, and whatever somebody asked for; monitoring only then."""
    volumes = {} if there is None else {"p_data": there}
    monkeypatch.setattr(wanted_volumes, "Volumes", lambda *_: SimpleNamespace(
        image="i", there=lambda name: name in volumes, empty=lambda name: not volumes[name]
    ))  # fmt: skip
    archive: Any = SimpleNamespace(volumes=[DATA, WATCHED])
    deployment: Any = SimpleNamespace(engine=SimpleNamespace(ask=lambda _: "c1"), containers=lambda: [CONTAINER])
    found, unseen = fill_of(deployment, archive, wanted, "i")
    assert (found, unseen) == (why, [])


CONTAINER = SimpleNamespace(id="c1")


def test_a_volume_that_a_stranger_uses_or_nobody_knows_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything is changed; and what cannot be looked into is told."""
    archive: Any = SimpleNamespace(volumes=[DATA])
    deployment: Any = SimpleNamespace(engine=SimpleNamespace(ask=lambda _: "c1 c2"), containers=lambda: [CONTAINER])
    monkeypatch.setattr(
        wanted_volumes, "Volumes", lambda _, image: SimpleNamespace(image=image, there=lambda _name: True)
    )
    with pytest.raises(Refused, match="p_data is used by a container of another project"):
        fill_of(deployment, archive, Wanted(volumes=["data"]), "i")
    with pytest.raises(UsageError, match="has no volume cache"):
        fill_of(deployment, archive, Wanted(volumes=["cache"]), "i")
    assert fill_of(deployment, archive, Wanted(), "") == (
        {},
        ["no image is left to look into p_data: it stays as it is"],
    )


@pytest.mark.parametrize(
    ("fill", "wanted", "begins"),
    [
        ({}, Wanted(), False),
        ({}, Wanted(monitoring=True), False),
        ({"data": EMPTY}, Wanted(), False),
        ({"watch": GONE}, Wanted(monitoring=True), True),
        ({"data": ASKED}, Wanted(volumes=["data"]), True),
        ({"data": ASKED}, Wanted(everything=True), True),
    ],
    ids=["nothing", "nothing of monitoring", "a service lives with it", "monitoring", "asked for", "everything"],
)
def test_where_everything_runs_only_what_is_gone_or_asked_for_is_something_to_do(
    fill: dict[str, str], wanted: Wanted, monkeypatch: pytest.MonkeyPatch, *, begins: bool
) -> None:
    """Monitoring data that is gone makes no service ill."""
    archive: Any = SimpleNamespace(volumes=[DATA, WATCHED], id="a", at=datetime.now(UTC), project="p", images=[],
                                   releases=[])  # fmt: skip
    chosen = SimpleNamespace(manifest=archive, full=SimpleNamespace(path="f"), skipped=[], notes=[])
    deployment: Any = SimpleNamespace(image_ids=lambda _: {}, containers=list, settings=None, compose=None)
    deployment.config = lambda _: {"name": "p", "services": {}}
    deployment.image_name = lambda *_: ""
    for name, one in {
        "FullShelf": lambda *_: SimpleNamespace(choose=lambda *_: chosen),
        "Desk": SimpleNamespace(of=lambda _: SimpleNamespace(journal=None)),
        "nothing_older": lambda *_: None,
        "known_as": lambda one, _: one,
        "fill_of": lambda *_: (fill, []),
        "places": lambda *_, **__: [],
        "order": lambda *_: [],
        "verify": lambda *_: [],
    }.items():
        monkeypatch.setattr(recovery_survey, name, one)
    with nullcontext() if begins else pytest.raises(NothingToDo):
        found = recovery_survey.survey(deployment, None, "r1", wanted)
        assert (found["fill"], found["everything"]) == (fill, wanted.everything)


@pytest.mark.parametrize(("kept", "told"), [({"data": "redis"}, True), ({}, False)], ids=["its own", "the archive's"])
def test_a_service_that_is_not_ready_on_its_own_volume_says_how_that_goes_back(
    kept: dict[str, str], *, told: bool
) -> None:
    """What the archive has put there is not damaged."""

    def ask(*_: object, **__: object) -> None:
        raise CommandFailed("`docker compose up redis` ended with exit code 1")

    deployment: Any = SimpleNamespace(
        settings=SimpleNamespace(database=SimpleNamespace(service="db"), timing=SimpleNamespace(healthy=1)),
        compose=SimpleNamespace(up=lambda *_, **__: []),
        engine=SimpleNamespace(ask=ask),
    )
    ground: Any = SimpleNamespace(deployment=deployment, facts={"kept": kept})
    with pytest.raises(Failed) as stop:
        Service(ground, "redis").up()
    assert ("`rollback recover --volume data`" in stop.value.found) is told
