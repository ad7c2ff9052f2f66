"""rollback.toml: a mistake is one sentence with the key, what was found and what is allowed."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from rollback import settings
from rollback.outcome import Exit, UsageError

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"

GOOD = """\
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
"""


def refused(folder: Path, text: str | bytes) -> str:
    """The sentence with which this file is refused."""
    content = text.encode() if isinstance(text, str) else text
    (folder / settings.FILE).write_bytes(content)
    with pytest.raises(UsageError) as caught:
        settings.load(folder)
    assert caught.value.exit is Exit.USAGE
    assert caught.value.next_step
    assert "\n" not in caught.value.found
    return caught.value.found


def test_the_reference_file_is_valid() -> None:
    """The file that is shipped and documented is accepted, and means what it says."""
    found = settings.load(REFERENCE)
    assert set(found.services) == {"backend", "ml", "frontend"}
    assert found.edge.upstream_file == "nginx/upstream.conf"
    assert found.services["ml"].upstream is None


def arrives(written: object, found: object) -> bool:
    """Whether a value is what was written; of a table, each key of it, whatever has a default beside, and of a list."""
    if isinstance(written, dict) and isinstance(found, dict):
        return all(key in found and arrives(value, found[key]) for key, value in written.items())
    if isinstance(written, list) and isinstance(found, list):
        return len(written) == len(found) and all(map(arrives, written, found))
    return written == found


def test_every_key_of_the_reference_file_arrives() -> None:
    """No value of the shipped file is dropped or changed on the way."""
    raw = tomllib.loads((REFERENCE / settings.FILE).read_text(encoding="utf-8"))
    arrived = settings.load(REFERENCE).model_dump()
    for table, keys in raw.items():
        for key, value in keys.items():
            assert arrives(value, arrived[table][key]), f"{table}.{key}"


def test_what_is_left_out_has_a_default(tmp_path: Path) -> None:
    """The shortest valid file reads docker-compose.yml and .env and waits a bounded time."""
    (tmp_path / settings.FILE).write_text(GOOD)
    found = settings.load(tmp_path)
    assert (found.compose.files, found.compose.env_files) == (["docker-compose.yml"], [".env"])
    assert (found.timing.healthy, found.edge.drain_seconds) == (60, 30)
    assert (found.deployment.state, found.objectives.application) == (".rollback", 300)


UNKNOWN = {
    "top": (
        "[observability]\n",
        "observability",
        "backup, certificates, compose, contacts, containment, database, deployment, edge",
    ),
    "deployment": ("[compose]\nfile = 'a'\n", "compose.file", "env_files, files, profiles"),
    "services.x": ("typo = 1\n", "services.backend.typo", "assets, build, health, port, service, upstream, version"),
    "parts": ("[parts]\nnginx_dir = []\n", "parts.nginx_dir", "certificates, monitoring, nginx"),
    "timing": ("[timing]\nhealth = 9\n", "timing.health", "healthy, stop"),
    "objectives": (
        "[objectives]\napp = 9\n",
        "objectives.app",
        "application, configuration, database, recovery",
    ),
}


@pytest.mark.parametrize(("added", "key", "allowed"), UNKNOWN.values(), ids=UNKNOWN)
def test_an_unknown_key_is_named_with_the_allowed_ones(tmp_path: Path, added: str, key: str, allowed: str) -> None:
    """A misspelt key is never ignored: it is named, and so is what may stand there."""
    assert f"unknown key `{key}`; allowed there: {allowed}" in refused(tmp_path, GOOD + added)


MISSING = {
    "deployment.name": 'name = "d"\n',
    "edge.service": 'service = "nginx"\n',
    "edge.upstream_file": 'upstream_file = "nginx/upstream.conf"\n',
    "database.name": 'name = "spheroseg"\n',
    "services.backend.port": "port = 5001\n",
    "services.backend.health": 'health = "/h"\n',
    "services": GOOD[GOOD.index("[services") :],
    "database": '[database]\nservice = "db"\nname = "spheroseg"\n',
}


@pytest.mark.parametrize(("key", "line"), MISSING.items(), ids=MISSING)
def test_a_missing_key_is_named(tmp_path: Path, key: str, line: str) -> None:
    """A key that has to be there is named with its whole path."""
    assert refused(tmp_path, GOOD.replace(line, "", 1)).endswith(f"the key `{key}` is missing.")


WRONG = {
    "text for a number": ("port = 5001", 'port = "five"', "`services.backend.port` is 'five': .*integer"),
    "number for a text": ('name = "d"', "name = 5", "`deployment.name` is 5: .*string"),
    "truth for a number": ("port = 5001", "port = true", "`services.backend.port` is True: .*integer"),
    "text for a list": ("[edge]", "[compose]\nfiles = 'a.yml'\n[edge]", "`compose.files` is 'a.yml': .*list"),
    "empty list": ("[edge]", "[compose]\nfiles = []\n[edge]", r"`compose.files` is \[\]: .*at least 1"),
    "number in a list": ("[edge]", "[compose]\nfiles = [1]\n[edge]", r"`compose.files.0` is 1: .*string"),
    "table for a text": ('name = "d"', 'name = {a = "d"}', r"`deployment.name` is \{'a': 'd'\}: .*string"),
    "text for a table": ("[deployment]\n", "parts = 'x'\n[deployment]\n", "`parts` is 'x': .*PartsTable"),
    "too small": ("[edge]", "[edge]\ndrain_seconds = 0", "`edge.drain_seconds` is 0: .*greater than or equal to 1"),
    "too large": ("[edge]", "[timing]\nstop = 9999\n[edge]", "`timing.stop` is 9999: .*less than or equal to 3600"),
    "not a table name": (
        "[database]",
        "[database]\nhistory = 'a; DROP TABLE users'",
        "`database.history` is .*pattern",
    ),
    "no services": (GOOD[GOOD.index("[services") :], "[services]\n", "`services` is {}: .*at least 1"),
    "a service that is text": (GOOD[GOOD.index("[services") :], "[services]\nml = 'x'\n", "`services.ml` is 'x': "),
    "contact that is a number": ("[edge]", "[contacts]\nboss = 112\n[edge]", "`contacts.boss` is 112: .*string"),
}


@pytest.mark.parametrize(("old", "new", "sentence"), WRONG.values(), ids=WRONG)
def test_a_wrong_value_is_named_with_what_is_allowed(tmp_path: Path, old: str, new: str, sentence: str) -> None:
    """A value of the wrong kind or out of bounds is named with its key, itself and what is allowed."""
    assert old in GOOD
    found = refused(tmp_path, GOOD.replace(old, new, 1))
    assert re.search(sentence, found)


PATHS = {
    "absolute": "/etc/passwd",
    "upwards": "../outside.conf",
    "upwards from within": "nginx/../../outside.conf",
    "through a link": "link/outside.conf",
}
PLACES = {
    "compose.files": "[compose]\nfiles = ['docker-compose.yml', '{}']\n",
    "compose.env_files": "[compose]\nenv_files = ['{}']\n",
    "parts.nginx": "[parts]\nnginx = ['{}']\n",
    "parts.certificates": "[parts]\ncertificates = ['{}']\n",
    "parts.monitoring": "[parts]\nmonitoring = ['{}']\n",
    "monitoring.files": "[monitoring]\nfiles = ['{}']\n",
    "monitoring.env_files": "[monitoring]\nenv_files = ['{}']\n",
    "services.backend.build": "build = '{}'\n",
    "edge.closing_file": "closing_file",
    "edge.maintenance_file": "maintenance_file",
    "edge.upstream_file": "upstream_file",
    "deployment.state": "state",
}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
@pytest.mark.parametrize(("place", "added"), PLACES.items(), ids=PLACES)
def test_a_path_that_leads_out_of_the_checkout_is_refused(tmp_path: Path, path: str, place: str, added: str) -> None:
    """Whatever key names it and however it is written: nothing outside the checkout is read or written."""
    checkout = tmp_path / "checkout"
    checkout.mkdir()
    (checkout / "link").symlink_to(tmp_path)
    if place == "edge.upstream_file":
        text = GOOD.replace("nginx/upstream.conf", path)
    elif place.startswith(("edge", "deployment")):
        table = f"[{place.partition('.')[0]}]\n"
        text = GOOD.replace(table, f"{table}{added} = '{path}'\n")
    else:
        text = GOOD + added.format(path)
    assert f"the path `{path}` leads out of the checkout" in refused(checkout, text)


def test_a_link_inside_the_checkout_is_allowed(tmp_path: Path) -> None:
    """A link that stays inside, as certbot's, is no way out; neither are spaces and umlauts."""
    (tmp_path / "live ä").mkdir()
    (tmp_path / "certs").symlink_to("live ä")
    (tmp_path / settings.FILE).write_text(GOOD + "[parts]\ncertificates = ['certs', 'live ä']\n", encoding="utf-8")
    assert settings.load(tmp_path).parts.certificates == ["certs", "live ä"]


def test_invalid_toml_is_named_with_its_line(tmp_path: Path) -> None:
    """A file that is no TOML is refused with the line that breaks it."""
    assert re.search(r"is not valid TOML: .*line 2", refused(tmp_path, "[deployment]\nname = \n"))


@pytest.mark.parametrize("content", [b"name = '\xff'", "name = 'x'".encode("utf-16")], ids=["latin", "utf-16"])
def test_a_file_that_is_not_utf_8_is_refused(tmp_path: Path, content: bytes) -> None:
    """A file in another encoding is a sentence and no traceback."""
    assert "is not valid TOML" in refused(tmp_path, content)


def test_a_missing_file_says_where_it_was_looked_for(tmp_path: Path) -> None:
    """Standing in the wrong folder is told with the folder and the way out."""
    with pytest.raises(UsageError, match=rf"There is no rollback\.toml in {re.escape(str(tmp_path))}.*-C FOLDER"):
        settings.load(tmp_path)
    with pytest.raises(UsageError, match=r"There is no rollback\.toml in"):
        settings.load(tmp_path / "nowhere")
