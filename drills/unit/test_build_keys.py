"""An image is built when its content changed, and only then."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest

from fixtures import build
from fixtures.build import Image, Spec

if TYPE_CHECKING:
    from pathlib import Path

BASE = {"spheroseg-drill/debian:bookworm": Image("sha256:base", "")}


@pytest.fixture
def context(tmp_path: Path) -> Path:
    """A build context of two files."""
    (tmp_path / "Dockerfile").write_text("FROM spheroseg-drill/debian:bookworm\nCOPY start /\n")
    (tmp_path / "start").write_text("#!/bin/sh\n")
    return tmp_path


def key(context: Path, **changes: tuple[str, ...] | tuple[tuple[str, str], ...]) -> str:
    """Key of an image with this context."""
    return build.key(Spec("spheroseg-drill/x:1", context, **changes), BASE)  # type: ignore[arg-type]


def test_equal_content(context: Path) -> None:
    """Equal content has an equal key: the second run builds nothing."""
    assert key(context) == key(context)


def test_content(context: Path) -> None:
    """A changed file changes the key."""
    before = key(context)
    (context / "start").write_text("#!/bin/bash\n")
    assert key(context) != before


def test_name(context: Path) -> None:
    """A renamed file changes the key."""
    before = key(context)
    (context / "start").rename(context / "begin")
    assert key(context) != before


def test_executable_bit(context: Path) -> None:
    """A file that became a program changes the key."""
    before = key(context)
    (context / "start").chmod(0o755)
    assert key(context) != before


def test_umask(context: Path) -> None:
    """The umask of a checkout does not change the key."""
    before = key(context)
    (context / "start").chmod(0o600)
    assert key(context) == before


def test_leftovers(context: Path) -> None:
    """What running the sources leaves behind does not change the key."""
    before = key(context)
    (context / "__pycache__").mkdir()
    (context / "__pycache__" / "x.pyc").write_bytes(b"x")
    assert key(context) == before


def test_argument(context: Path) -> None:
    """Another build argument is another image."""
    assert key(context, args=(("VERSION", "v1"),)) != key(context, args=(("VERSION", "v2"),))


def test_staged(context: Path) -> None:
    """What is staged into the context changes the key through its facts."""
    assert key(context, facts=("one authority",)) != key(context, facts=("another",))


def test_parent(context: Path) -> None:
    """A rebuilt base rebuilds all that stands on it."""
    spec = Spec("spheroseg-drill/x:1", context)
    other = {"spheroseg-drill/debian:bookworm": Image("sha256:other", "")}
    assert build.key(spec, BASE) != build.key(spec, other)


def test_missing_parent(context: Path) -> None:
    """An image whose base is missing is refused by the names of both."""
    with pytest.raises(build.BuildError, match="x:1 cannot be built: its base spheroseg-drill/debian:bookworm"):
        build.key(Spec("spheroseg-drill/x:1", context), {})


def test_parents(tmp_path: Path) -> None:
    """Parents are the images of our namespace, each once."""
    (tmp_path / "Dockerfile").write_text(
        "FROM --platform=linux/amd64 spheroseg-drill/python:3.11 AS made\n"
        "from debian:bookworm-slim\n"
        "FROM spheroseg-drill/python:3.11\n"
    )
    assert build.parents(Spec("x", tmp_path)) == ("spheroseg-drill/python:3.11",)


def test_proxies(context: Path) -> None:
    """Proxies reach the build, and nothing else of the environment does."""
    spec = Spec("spheroseg-drill/x:1", context, (("VERSION", "v1"),))
    argv = build.arguments(spec, "k", context, {"https_proxy": "http://proxy:3128", "TOKEN": "t", "no_proxy": ""})
    given = [value for flag, value in pairwise(argv) if flag == "--build-arg"]
    assert given == ["VERSION=v1", "https_proxy=http://proxy:3128"]


def test_labels(context: Path) -> None:
    """The image carries its key and the label by which the drills know their own."""
    argv = build.arguments(Spec("spheroseg-drill/x:1", context), "k", context, {})
    labels = [value for flag, value in pairwise(argv) if flag == "--label"]
    assert labels == ["org.spheroseg.drill=1", "org.spheroseg.drill.key=k"]


def test_reason() -> None:
    """A long reason keeps its beginning and its end."""
    shown = build.reason("The command " + "x" * 500 + " returned a non-zero code: 100")
    assert shown.startswith("The command x")
    assert shown.endswith("returned a non-zero code: 100")
    assert len(shown) < 170
