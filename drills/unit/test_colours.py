"""Two colours of one service: what rollback.toml may say of them, and which one the edge leads to."""

from __future__ import annotations

from pathlib import Path

import pytest

from rollback import settings
from rollback.deployment import Deployment
from rollback.outcome import Refused, UsageError
from rollback.parts.colours import Colours, blue_serves
from rollback.parts.edge import Edge, upstreams

REFERENCE = Path(__file__).parents[2] / "fixtures" / "spheroseg"
TEXT = (REFERENCE / "rollback.toml").read_text(encoding="utf-8")


def deployment(folder: Path, text: str = TEXT, backend: str = "backend") -> Deployment:
    """A checkout whose edge leads to this server."""
    (folder / "rollback.toml").write_text(text, encoding="utf-8")
    (folder / "nginx").mkdir(exist_ok=True)
    found = Deployment.load(folder)
    routes = Edge(found).routes({"backend": backend}, {"frontend": "old-frontend"})
    (folder / "nginx/upstream.conf").write_text(upstreams(routes, "g1", 80), encoding="utf-8")
    return found


@pytest.mark.parametrize(("server", "colour"), [("backend", "blue"), ("backend-green", "green"), ("elsewhere", None)])
def test_the_upstream_file_says_who_serves(tmp_path: Path, server: str, colour: str | None) -> None:
    """By the first server of the upstream; a backup is none."""
    one = deployment(tmp_path, backend=server)
    assert Edge(one).leads() == {"backend": server, "frontend": "frontend-prod"}
    assert Colours(one).serving() == colour


def test_whoever_writes_the_upstreams_anew_leaves_users_with_their_colour(tmp_path: Path) -> None:
    """The content for another procedure leads where the file led before."""
    edge = Edge(deployment(tmp_path, backend="backend-green"))
    assert "server backend-green:5001;" in edge.content("g2", edge.coloured(), {})


def test_other_procedures_are_refused_while_green_serves(tmp_path: Path) -> None:
    """They would replace what serves nobody; the way out is told."""
    blue_serves(deployment(tmp_path))
    with pytest.raises(Refused, match="Users are served by backend-green") as stop:
        blue_serves(deployment(tmp_path, backend="backend-green"))
    assert stop.value.next_step == "`rollback switch blue` first"


def test_a_colour_that_is_none_is_named_with_those_that_are(tmp_path: Path) -> None:
    """Wrong words of the command."""
    colours = Colours(deployment(tmp_path))
    assert colours.check("green") == "blue"
    with pytest.raises(UsageError, match="There is no colour `red`; there are: blue, green"):
        colours.check("red")


def test_without_colours_there_is_no_switch_and_nothing_else_cares(tmp_path: Path) -> None:
    """The table is optional."""
    before, _, after = TEXT.partition("[switch] ")
    one = deployment(tmp_path, before + "[timing]" + after.partition("[timing]")[2])
    blue_serves(one)
    with pytest.raises(UsageError, match=r"rollback\.toml has no \[switch\.colours\]"):
        Colours(one).check("green")


WRONG = {
    "one colour": ('[switch.colours.green]\nservice = "backend-green"\nfiles = ["docker-compose.green.yml"]\n', "",
                   "[switch.colours] names 1 colours"),
    "role": ('role = "backend"\n', 'role = "cache"\n', "names the role `cache`; there are: backend, ml, frontend"),
    "bake": ("bake_seconds = 10 ", "bake_seconds = 30 ", "bake_seconds is 30 and [edge] drain_seconds 30"),
    "key": ('service = "backend-green"\n', 'service = "g"\nservize = "x"\n', "allowed there: files, service"),
    "outside": ('files = ["docker-compose.green.yml"]', 'files = ["../green.yml"]', "leads out of the checkout"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "words"), WRONG.values(), ids=WRONG)
def test_what_cannot_be_is_one_sentence(tmp_path: Path, old: str, new: str, words: str) -> None:
    """A wrong table is found when it is read."""
    assert old in TEXT
    (tmp_path / "rollback.toml").write_text(TEXT.replace(old, new), encoding="utf-8")
    with pytest.raises(UsageError) as stop:
        settings.load(tmp_path)
    assert words in stop.value.found
