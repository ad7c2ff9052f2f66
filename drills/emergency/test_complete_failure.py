"""Complete System Failure: the deployment is rebuilt from a full backup, and what is lost is what was told."""

from __future__ import annotations

from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING

import docker
import psycopg
import pyrage
import pytest

from fixtures import runs, world
from fixtures.bystander import IMAGE, bystander
from fixtures.case import finding
from fixtures.checks.residue import residue
from fixtures.faults import disaster
from fixtures.operators import NOT_PUT_BACK, REFUSED, USAGE, Kill, KilledOperator, ended
from fixtures.recovering import FACTS, down_meanwhile, nothing_lost, recovered, still_known, told
from fixtures.sweep import PROJECT, image_names
from fixtures.variations import each

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

#: Label of a volume that has to come back with it.
MEASURED = {"com.docker.compose.volume": "prometheus_data"}
#: The step in the course of which the command is killed.
KILLS = {
    "loading": "images at hand",
    "filling": "volume redis_data",
    "starting": "db ready",
    "serving": "nginx-prod ready",
}


def set_aside(case: Case) -> list[Finding]:
    """The damaged data directory lies in a volume of its own, rubbish and all."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={case.stack.project}"}
    with closing(docker.from_env()) as client:
        kept = [str(one.name) for one in client.volumes.list(filters=mine) if "_kept-" in str(one.name)]
        images = [one for one in image_names(client) if ":retired-" in one]
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


@pytest.mark.exhaustive("recovered-everything goes the same way, and kills are drilled elsewhere")
@pytest.mark.drill(id="recovered-damaged", **FACTS)
def test_data_directory_is_damaged_and_the_operator_killed(drill: Bench) -> None:
    """PostgreSQL cannot start on its files; the command is killed in the restore, and somebody else goes on."""
    operator = down_meanwhile(KilledOperator(Kill("database as"), "resume"))
    drill(recovered(disaster.damaged(), operator=operator, said=("kept in the volume",), further=set_aside))


@each(
    "name",
    "recovered-killed",
    KILLS,
    FACTS,
    why="recovered-everything goes the same way, and kills are drilled elsewhere",
)
def test_the_operator_is_killed(drill: Bench, name: str) -> None:
    """Everything is gone, and the command is killed in the course of a step: `resume` goes on from there."""
    drill(
        recovered(
            disaster.everything_gone(),
            operator=down_meanwhile(KilledOperator(Kill(KILLS[name]), "resume")),
            further=told,
        )
    )


def rows_are_back(case: Case) -> bool:
    """The restore has come so far that what is there looks like a database that was left."""
    if not case.stack.has_database():
        return False
    try:
        return bool(case.stack.sql("SELECT count(*) FROM projects"))
    except psycopg.Error:  # the table is not there yet
        return False


def killed_and_taken_back(drill: Drill, half: Callable[[Case], bool] | None = None) -> Outcome:
    """Killed in the restore; somebody types `rollback abort`, thinks again, and lets it be rebuilt after all."""
    Kill("database as", half).strike(drill)
    drill.findings.append(ended("it is taken back", drill.stack.rollback("abort", "--yes"), 0, "taken back"))
    return drill.stack.rollback("recover", "--yes")


def told_what_goes_back(drill: Drill) -> Outcome:
    """Plain `recover` keeps the volume, for nobody can tell what Redis should hold; it says how that goes back."""
    drill.findings += [
        ended("the volume is named", drill.stack.rollback("recover", "--yes"), NOT_PUT_BACK, "--volume redis_data"),
        ended("it is taken back", drill.stack.rollback("abort", "--yes"), 0, "taken back"),
    ]
    return drill.stack.rollback("recover", "--volume", "redis_data", "--yes")


def redis_aside(case: Case) -> list[Finding]:
    """What Redis could not read is kept, the database was not touched, and sessions of the backup are good."""
    mine: dict[str, str | list[str] | bool] = {"label": f"{PROJECT}={case.stack.project}"}
    with closing(docker.from_env()) as client:
        kept = [str(one.name) for one in client.volumes.list(filters=mine) if "_kept-" in str(one.name)]
    aside = len(kept) == 1 and kept[0].endswith("_redis_data")
    return [finding("evidence of the data", aside, f"kept: {kept}"), *nothing_lost(case), *still_known(case)]


@pytest.mark.exhaustive("recovered-damaged has the harder store, and the same way to set a volume aside")
@pytest.mark.drill(id="recovered-redis", **FACTS)
def test_the_files_of_redis_are_damaged(drill: Bench) -> None:
    """Redis cannot start on its files: its volume alone goes back to the archive, and no write of a user is lost."""
    operator = down_meanwhile(told_what_goes_back)
    command = ("recover", "--volume", "redis_data")
    # who names a volume means it each time: there is no second command that finds nothing to do
    fault = disaster.redis_damaged()
    drill(recovered(fault, command=command, operator=operator, settles=False, further=redis_aside))


@pytest.mark.exhaustive("recovered-killed-* are interrupted at the same place")
@pytest.mark.drill(id="recovered-aborted", **FACTS)
def test_a_half_restored_database_is_not_taken_for_a_sound_one(drill: Bench) -> None:
    """Everything is gone; killed in the restore and taken back, the next recovery restores again and tells the loss."""
    operator = down_meanwhile(partial(killed_and_taken_back, half=rows_are_back))
    drill(recovered(disaster.everything_gone(), operator=operator, further=told))


@pytest.mark.exhaustive("recovered-killed-* are interrupted at the same place")
@pytest.mark.drill(id="recovered-aborted-everything", **FACTS)
def test_a_sound_database_that_was_set_aside_comes_back(drill: Bench) -> None:
    """Containers are gone, the operator says --everything; killed and taken back, the database of before serves on."""
    drill(
        recovered(
            disaster.without_containers(),
            command=("recover", "--everything"),
            operator=down_meanwhile(killed_and_taken_back),
            settles=False,
            further=nothing_lost,
            sessions_end="",
        )
    )


@pytest.mark.exhaustive("recovered-damaged is killed on the same way")
@pytest.mark.drill(id="recovered-killed-examining", **FACTS)
def test_the_operator_is_killed_while_the_database_is_examined(drill: Bench) -> None:
    """Containers are gone; the command is killed while the database is looked at: it is sound and stays as it is."""
    operator = down_meanwhile(KilledOperator(Kill("database examined"), "resume"))
    drill(recovered(disaster.without_containers(), operator=operator, further=nothing_lost, sessions_end=""))


@pytest.mark.exhaustive("recovered-everything has less")
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
    measuring(drill)


def measuring(drill: Drill) -> None:
    """A volume of the monitoring stack, and what was measured in it."""
    name, toml = disaster.watched(drill.stack), drill.stack.checkout / "rollback.toml"
    text = toml.read_text(encoding="utf-8")
    line = next(one for one in text.splitlines() if one.startswith('monitoring = ["monitoring_'))
    toml.write_text(text.replace(line, f'monitoring = ["{name}"]'), encoding="utf-8")
    with closing(docker.from_env()) as client:
        own = {PROJECT: f"{drill.stack.project}-monitoring", runs.LABEL: runs.own()}
        client.volumes.create(name, labels=own | MEASURED)
    in_volume(name, "echo 42 > /measured/series; chown 65534:65534 /measured/series; chmod 640 /measured/series")


def in_volume(name: str, script: str) -> str:
    """What a script says that sees a volume."""
    with closing(docker.from_env()) as client:
        mounted = {name: {"bind": "/measured", "mode": "rw"}}
        return client.containers.run(IMAGE, ["sh", "-c", script], volumes=mounted, remove=True).decode()


def measured(case: Case) -> list[Finding]:
    """What was measured is there again, as it was, under the labels by which Compose knows it."""
    name = disaster.watched(case.stack)
    with closing(docker.from_env()) as client:
        labels = client.volumes.get(name).attrs["Labels"]
    seen = in_volume(name, "cat /measured/series; stat -c '%u %a' /measured/series").split()
    good = seen == ["42", "65534", "640"] and labels.items() >= MEASURED.items()
    return [finding("monitoring data", good, f"{seen}, labels {labels}"), *told(case)]


@pytest.mark.exhaustive("recovered-everything has less")
@pytest.mark.drill(id="recovered-volumes", **FACTS)
def test_volumes_are_gone(drill: Bench) -> None:
    """Containers and volumes are gone, those of the monitoring too, images are there; the archive is sealed."""
    again = ("recover", "--monitoring")
    drill(recovered(disaster.without_volumes(), command=again, arranged=sealing, further=measured))


def nothing_but_an_archive(fault: Disaster, file: Path, drill: Drill) -> None:
    """The archive's key is asked for, another one is refused, and with the right one rollback.toml is there again."""

    def typed(*words: str) -> Outcome:
        return drill.stack.rollback("recover", str(file), *words)

    key = fault.told.partition("signed by the key ")[2].partition(": keep")[0]
    asked, wrong, right = typed("--yes"), typed("--fingerprint", "0000:" * 8, "--yes"), typed("--fingerprint", key)
    drill.findings += [
        ended("the key is told and asked for", asked, REFUSED, f"--fingerprint {key}"),
        ended("another key is refused", wrong, REFUSED, "is signed by the key"),
        # nobody was there to confirm more than that
        ended("rollback.toml comes from the archive", right, USAGE, "put back from the archive: rollback.toml"),
    ]


@pytest.mark.exhaustive("recovered-everything has the checkout and goes the same way")
@pytest.mark.drill(id="recovered-checkout", **FACTS)
def test_the_checkout_is_gone_as_well(drill: Bench, tmp_path: Path) -> None:
    """Nothing of the host is left; a copy of the archive and the fingerprint of its key are enough."""
    file = tmp_path / "copy of the full backup.tar"
    fault = disaster.without_checkout(file)
    drill(
        recovered(
            fault,
            command=("recover", str(file)),
            before_command=partial(nothing_but_an_archive, fault, file),
            said=("the journal of this deployment does not know it",),
            further=told,
        )
    )


@pytest.mark.exhaustive("recovered-everything has less")
@pytest.mark.drill(id="recovered-images", **FACTS)
def test_images_are_gone(drill: Bench) -> None:
    """Containers and images are gone, volumes are there: images come from the archive, and no write is lost."""
    drill(recovered(disaster.without_images(), further=nothing_lost, sessions_end=""))
