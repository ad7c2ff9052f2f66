"""Complete System Failure: the deployment is rebuilt from a full backup, and what is lost is what was told."""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from typing import TYPE_CHECKING, Any

import docker
import pyrage
import pytest

from fixtures import cutover, world
from fixtures.bystander import bystander
from fixtures.case import finding
from fixtures.checks.evidence import Budget
from fixtures.checks.residue import Allowed, residue
from fixtures.checks.sessions import restored
from fixtures.engine import EngineUnavailable
from fixtures.faults import disaster
from fixtures.faults.candidates import GOOD
from fixtures.history import PATHS
from fixtures.operators import NOT_PUT_BACK, Kill, KilledOperator, ended, struck
from fixtures.own_engine import OwnEngine, own_engine
from fixtures.scenario import Scenario, carried_out
from fixtures.stack import PARTS
from fixtures.sweep import PROJECT

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from fixtures.bench import Bench
    from fixtures.case import Case
    from fixtures.command import Outcome
    from fixtures.drill import Drill
    from fixtures.faults.disaster import Disaster
    from fixtures.verdict import Finding

pytestmark = [pytest.mark.engine, pytest.mark.monthly, pytest.mark.emergency]

SECTION = "Emergency Procedures / Complete System Failure"
#: Seconds to recovery that the runbook promises for a critical issue.
OBJECTIVE = 1800
FACTS = {"section": SECTION, "procedure": "recover", "severity": "critical", "objective": OBJECTIVE}
RESIDUE = (
    Allowed("id *", "every container was made anew", expected=False),
    Allowed("rows *", "users went on working, or what they wrote last is gone", expected=False),
    Allowed("volume *_kept-*", "the damaged data directory is evidence", expected=False),
    Allowed("image rollback/*", "what was left is kept for the post-mortem", expected=False),
)
#: Images of their own for everything, so that they can be gone without harm to anybody else.
OWN = {
    "db": ("image: spheroseg-drill/{project}/db:15",),
    "redis": ("image: spheroseg-drill/{project}/redis:7",),
    "nginx-prod": ("image: spheroseg-drill/{project}/nginx:1",),
}


def down_meanwhile(operator: Callable[[Drill], Outcome]) -> Callable[[Drill], Outcome]:
    """Until the command has ended nobody is served, and afterwards users that came after the backup are not known."""

    def at_it(drill: Drill) -> Outcome:
        for name in (cutover.BEGUN, cutover.OUTAGE):
            drill.recorder.mark(name)
        outcome = operator(drill)
        for name in (cutover.SWITCHED, cutover.OVER):
            drill.recorder.mark(name)
        return outcome

    return at_it


def recovered(fault: Disaster, **more: object) -> Scenario:
    """What is gone comes back."""
    usual = {
        "releases": (GOOD,),
        "fault": fault,
        "command": ("recover",),
        "operator": down_meanwhile(carried_out),
        "serves": dict.fromkeys(PATHS, GOOD),
        "objective": OBJECTIVE,
        "outage": "nobody is served until it is rebuilt",
        "sessions_end": "who signed up or in after the backup is not in it",
        "budget": Budget(during=0, gap=15.0),
        "residue": RESIDUE,
        "ruins": True,
        "forgets": fault.forgotten,
        "unique_images": True,
        "overrides": OWN,
    }
    return Scenario(**{**usual, **more})  # type: ignore[arg-type]


def told(case: Case) -> list[Finding]:
    """What the command says is missing covers what is: in time, and where it counts, in number."""
    ends = [one for one in _entries(case) if str(one["data"].get("step", "")).startswith("what is missing")]
    seen, figures = (str(ends[-1]["data"]["seen"]), ends[-1]["data"].get("figures", {})) if ends else ("", {})
    lost = [one for one in case.findings if one.check == "ledger"][-1].figures["announced"]
    findings = [finding("what is missing is told", bool(seen), "the journal says nothing of it")]
    if "writes_missing" in figures:
        text = f"{lost} acknowledged writes are gone or back, told are {figures['writes_missing']}: {seen}"
        findings.append(finding("the count covers it", figures["writes_missing"] >= lost, text))
    else:
        findings.append(finding("that no count is known is told", "is not known" in seen, seen))
    return [*findings, *still_known(case)]


def still_known(case: Case) -> list[Finding]:
    """Redis started with its data: who signed in before the backup, and never traded tokens, is signed in still."""
    return [restored(case.history, case.scenario.fault.begun, "probe-")]  # type: ignore[attr-defined]


def _entries(case: Case) -> list[dict[str, Any]]:
    return [json.loads(line) for line in case.journal().splitlines()]


def nothing_lost(case: Case) -> list[Finding]:
    """The database was there and sound: not one write is gone, and none came back."""
    gone = [one for one in case.findings if one.check == "ledger"][-1].figures["announced"]
    return [finding("nothing is lost", gone == 0, f"{gone} writes are gone or back")]


def set_aside(case: Case) -> list[Finding]:
    """The damaged data directory lies in a volume of its own, rubbish and all."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={case.stack.project}"}
    with closing(docker.from_env()) as client:
        kept = [str(one.name) for one in client.volumes.list(filters=mine) if "_kept-" in str(one.name)]
        images = [tag for one in client.images.list() for tag in one.tags if ":retired-" in tag]
    ours = [one for one in images if f"/{case.stack.project}/db:" in one]
    return [
        finding("evidence of the data", len(kept) == 1, f"volumes set aside: {kept}"),
        finding("evidence of the container", len(ours) == 1, f"images of the database's container: {ours}"),
        *told(case),
    ]


def flipped(folder: Path) -> None:
    """One bit of the newest archive is another, in the middle of it; it was proven, and its file is the newest."""
    newest = max(folder.glob("*.tar"), key=lambda one: one.stat().st_mtime)
    with newest.open("r+b") as file:
        file.seek(newest.stat().st_size // 2)
        byte = file.read(1)
        file.seek(-1, 1)
        file.write(bytes([byte[0] ^ 1]))


@pytest.mark.drill(id="recovered-everything", **FACTS)
def test_everything_is_gone(drill: Bench, tmp_path: Path) -> None:
    """Nothing but the checkout is left, and the newest archive is damaged: all comes back, a neighbour is untouched."""
    fault = disaster.everything_gone(backups=2, after_backups=flipped)
    with bystander(tmp_path) as name:
        before = _neighbour(name)
        drill(
            recovered(
                fault,
                said=("was changed after it was written", "users can sign in, read and write"),
                further=lambda case: [*told(case), residue(before, _neighbour(name), (), "a neighbour is untouched")],
            )
        )


def _neighbour(name: str) -> dict[str, str]:
    """All of one project; an image has names of others as well, which come and go."""
    everybody = {key: value for key, value in world.bystanders("").items() if name in f"{key} {value}"}
    ours = {key: " ".join(one for one in value.split() if name in one) for key, value in everybody.items()}
    return {key: ours[key] if key.startswith("image ") else value for key, value in everybody.items()}


@pytest.mark.exhaustive  # recovered-everything goes the same way, and kills are drilled elsewhere
@pytest.mark.drill(id="recovered-damaged", **FACTS)
def test_data_directory_is_damaged_and_the_operator_killed(drill: Bench) -> None:
    """PostgreSQL cannot start on its files; the command is killed in the restore, and somebody else goes on."""
    operator = down_meanwhile(KilledOperator(Kill("database as"), "resume"))
    drill(recovered(disaster.damaged(), operator=operator, said=("kept in the volume",), further=set_aside))


@pytest.mark.parametrize(
    ("step"),
    [
        pytest.param(
            step, marks=[pytest.mark.drill(id=f"recovered-killed-{name}", **FACTS), pytest.mark.exhaustive], id=name
        )
        for name, step in (
            ("loading", "images at hand"),
            ("filling", "volume redis_data"),
            ("starting", "db ready"),
            ("serving", "nginx-prod ready"),
        )
    ],
)
def test_the_operator_is_killed(drill: Bench, step: str) -> None:
    """Everything is gone, and the command is killed in the course of a step: `resume` goes on from there."""
    drill(
        recovered(
            disaster.everything_gone(), operator=down_meanwhile(KilledOperator(Kill(step), "resume")), further=told
        )
    )


@pytest.mark.exhaustive  # recovered-damaged is killed on the same way
@pytest.mark.drill(id="recovered-killed-examining", **FACTS)
def test_the_operator_is_killed_while_the_database_is_examined(drill: Bench) -> None:
    """Containers are gone; the command is killed while the database is looked at: it is sound and stays as it is."""
    operator = down_meanwhile(KilledOperator(Kill("database examined"), "resume"))
    drill(recovered(disaster.without_containers(), operator=operator, further=nothing_lost, sessions_end=""))


@pytest.mark.exhaustive  # recovered-everything has less
@pytest.mark.drill(id="recovered-containers", **FACTS)
def test_containers_are_gone(drill: Bench) -> None:
    """Containers alone are gone: the database of before serves on, and no write is lost."""
    drill(recovered(disaster.without_containers(), further=nothing_lost, sessions_end=""))


def sealing(drill: Drill) -> None:
    """The team seals its backups, and keeps the private key at hand."""
    ours, path = pyrage.x25519.Identity.generate(), drill.folder / "identity"
    path.write_text(f"{ours}\n", encoding="ascii")
    path.chmod(0o600)
    toml = drill.stack.checkout / "rollback.toml"
    text, once = toml.read_text(encoding="utf-8"), "recipients = []"
    assert text.count(once) == 1
    said = f'recipients = ["{ours.to_public()}"]\nidentity_file = "{path}"\n#'
    toml.write_text(text.replace(once, said), encoding="utf-8")


@pytest.mark.exhaustive  # recovered-everything has less
@pytest.mark.drill(id="recovered-volumes", **FACTS)
def test_volumes_are_gone(drill: Bench) -> None:
    """Containers and volumes are gone, images are there; the archive is sealed."""
    drill(recovered(disaster.without_volumes(), arranged=sealing, further=told))


@pytest.mark.exhaustive  # recovered-everything has less
@pytest.mark.drill(id="recovered-images", **FACTS)
def test_images_are_gone(drill: Bench) -> None:
    """Containers and images are gone, volumes are there: images come from the archive, and no write is lost."""
    drill(recovered(disaster.without_images(), further=nothing_lost, sessions_end=""))


#: All that the deployment is made of.
IMAGES = [
    f"spheroseg-drill/{name}"
    for name in ("db:15", "redis:7", "nginx:1", *(f"spheroseg_{part}:{GOOD}" for part in PARTS))
]
DISK_MB = 6000


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


@pytest.mark.exhaustive  # recovered-killed-* are interrupted as well, where the engine is everybody's
@pytest.mark.drill(id="recovered-engine-restarted", **FACTS)
def test_the_engine_is_restarted_in_the_middle(drill: Bench) -> None:
    """Everything is gone, and the engine is restarted while the database is restored: `resume` goes on from there."""
    with ExitStack() as stack:
        try:
            own = stack.enter_context(own_engine(IMAGES, DISK_MB))
        except EngineUnavailable as why:
            drill.not_tested(str(why))
        operator = down_meanwhile(restarted(own, "database as"))
        drill(recovered(disaster.everything_gone(), operator=operator, further=told))
