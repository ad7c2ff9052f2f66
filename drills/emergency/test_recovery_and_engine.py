"""Complete System Failure where the engine itself gives way: it is restarted meanwhile, or its disk fills up."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from typing import TYPE_CHECKING

import pytest

from fixtures.case import finding
from fixtures.drill import MachineryError
from fixtures.engine import EngineUnavailable
from fixtures.faults import disaster
from fixtures.faults.candidates import GOOD
from fixtures.operators import INCONCLUSIVE, NOT_PUT_BACK, REFUSED, ended, struck
from fixtures.own_engine import OwnEngine, own_engine
from fixtures.recovering import FACTS, down_meanwhile, recovered, told
from fixtures.stack import PARTS

if TYPE_CHECKING:
    from collections.abc import Callable

    from fixtures.bench import Bench
    from fixtures.command import Outcome
    from fixtures.drill import Drill

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.emergency]

#: All that the deployment is made of.
IMAGES = [
    f"spheroseg-drill/{name}"
    for name in ("db:15", "redis:7", "nginx:1", *(f"spheroseg_{part}:{GOOD}" for part in PARTS))
]
DISK_MB = 4000
#: Words of a refusal for want of room: both figures are told.
FIGURES = ("needs about", "MB are free")
HALF, POLL_SECONDS = 100_000_000, 0.01


def restarted(own: OwnEngine, step: str) -> Callable[[Drill], Outcome]:
    """The engine is restarted in the middle of the recovery; what was typed ends, and somebody goes on when it is up.

    This is what `systemctl restart docker` does: every container is stopped, the command is cut off in the middle of
    what it asked for, and containers come up again as their policies say, in no order.
    """

    def operator(drill: Drill) -> Outcome:
        broken = struck(step, lambda _drill: own.restart())(drill)
        drill.findings.append(ended("what is left to do is told", broken, NOT_PUT_BACK, "rollback resume"))
        return drill.stack.rollback("resume", "--yes")

    return operator


def engine_of(drill: Bench, stack: ExitStack) -> OwnEngine:
    """An engine of this drill alone, until the stack is left; without one nothing can be tested."""
    try:
        return stack.enter_context(own_engine(IMAGES, DISK_MB))
    except EngineUnavailable as why:
        drill.not_tested(str(why))


@pytest.mark.exhaustive("recovered-killed-* are interrupted as well, where the engine is everybody's")
@pytest.mark.drill(id="recovered-engine-restarted", **FACTS)
def test_the_engine_is_restarted_in_the_middle(drill: Bench) -> None:
    """Everything is gone, and the engine is restarted while the database is restored: `resume` goes on from there."""
    with ExitStack() as stack:
        own = engine_of(drill, stack)
        operator = down_meanwhile(restarted(own, "database as"))
        drill(recovered(disaster.everything_gone(), operator=operator, further=told))


def without_room_for_a_backup(own: OwnEngine, drill: Drill) -> None:
    """Archives lie on the small disk: too little room is told before, and half an archive is never left."""
    toml, once = drill.stack.checkout / "rollback.toml", 'folder = ".rollback/full"'
    text = toml.read_text(encoding="utf-8")
    assert text.count(once) == 1
    toml.write_text(text.replace(once, f'folder = "{own.disk}/full"'), encoding="utf-8")
    own.fill(200)
    drill.findings.append(ended("no room is told before", drill.stack.rollback("backup", "full"), REFUSED, *FIGURES))
    own.clear()
    drill.findings.append(ended("a disk that fills up", _filled_up(own, drill), INCONCLUSIVE, "No space left", "make"))
    own.clear()
    left = [one.name for one in (own.disk / "full").iterdir() if "tar" in one.name or one.name.startswith(".part")]
    drill.findings.append(finding("half an archive is not left", not left, f"left: {left}"))


def _filled_up(own: OwnEngine, drill: Drill) -> Outcome:
    """The disk fills up as soon as a hundred megabytes of the archive are written."""
    with ThreadPoolExecutor(1) as pool:
        typed = pool.submit(drill.stack.rollback, "backup", "full")
        while not any(one.stat().st_size > HALF for one in (own.disk / "full").glob(".part-*")):
            if typed.done():
                raise MachineryError(f"the archive was never half there: {typed.result()}")
            time.sleep(POLL_SECONDS)
        own.fill(1)
        return typed.result()


def short_of_room(own: OwnEngine) -> Callable[[Drill], Outcome]:
    """Refused while there is no room; then the disk fills up in the restore, room is made, and somebody goes on."""

    def operator(drill: Drill) -> Outcome:
        own.fill(200)
        refused = drill.stack.rollback(*drill.scenario.command, "--yes")
        own.clear()
        broken = struck("database as", lambda _drill: own.fill(1))(drill)
        own.clear()
        drill.findings += [
            ended("no room for a recovery is told before", refused, REFUSED, *FIGURES),
            ended("what the disk said is told", broken, NOT_PUT_BACK, "No space left", "rollback resume"),
        ]
        return drill.stack.rollback("resume", "--yes")

    return operator


@pytest.mark.exhaustive("it needs an engine of its own; that a restore is refused without room always runs")
@pytest.mark.drill(id="recovered-without-room", **FACTS)
def test_there_is_no_room(drill: Bench) -> None:
    """The disk of the engine and of the archives is small: backup and recovery say so before, and survive it if not."""
    with ExitStack() as stack:
        own = engine_of(drill, stack)
        arranged = partial(without_room_for_a_backup, own)
        operator = down_meanwhile(short_of_room(own))
        drill(recovered(disaster.everything_gone(), arranged=arranged, operator=operator, further=told))
