"""Images whose truth is known."""

import hashlib
import io
import math
from typing import Any

import pytest
from PIL import Image

from fixtures.history import Ellipse
from fixtures.spheroids import GOOD, SIZE, drawn, named, outlines, overlap, well_formed


def traced(ellipse: Ellipse, shift: float = 0, scale: float = 1) -> list[list[float]]:
    """A polygon along this ellipse."""
    cx, cy, rx, ry = ellipse
    turns = [math.tau * step / 60 for step in range(60)]
    return [[cx + shift + scale * rx * math.cos(t), cy + scale * ry * math.sin(t)] for t in turns]


def test_the_same_seed_gives_the_same_spheroids() -> None:
    """The same seed gives the same spheroids."""
    assert outlines(7) == outlines(7)
    assert outlines(7) != outlines(8)
    assert {len(outline) for outline in outlines(7)} == {1, 2}


@pytest.mark.parametrize("seed", range(5))
def test_spheroids_touch_neither_border_nor_each_other(seed: int) -> None:
    """Spheroids touch neither border nor each other."""
    for outline in outlines(seed):
        for cx, cy, rx, ry in outline:
            assert 2 < cx - rx < cx + rx < SIZE - 2
            assert 2 < cy - ry < cy + ry < SIZE - 2
        if len(outline) == 2:
            left, right = outline
            assert left[0] + left[2] + 2 < right[0] - right[2]


def test_a_name_changes_the_bytes_and_not_the_picture() -> None:
    """A name changes the bytes and not the picture."""
    plain = drawn(outlines(7)[0])
    one, other = named(plain, "one"), named(plain, "other")
    assert len({hashlib.sha256(png).hexdigest() for png in (plain, one, other)}) == 3
    with Image.open(io.BytesIO(one)) as image, Image.open(io.BytesIO(plain)) as source:
        image.load()
        assert image.text == {"Title": "one"}  # type: ignore[attr-defined]
        assert image.tobytes() == source.tobytes()
        assert image.size == (SIZE, SIZE)


@pytest.mark.parametrize("index", range(8))
def test_the_true_outline_overlaps_and_a_wrong_one_does_not(index: int) -> None:
    """The true outline overlaps and a wrong one does not."""
    outline = outlines(7)[index]
    assert overlap([traced(ellipse) for ellipse in outline], outline) > 0.95
    assert overlap([traced(ellipse, shift=15) for ellipse in outline], outline) < GOOD
    assert overlap([traced(ellipse, scale=0.8) for ellipse in outline], outline) < GOOD
    assert overlap([traced(ellipse, scale=1.2) for ellipse in outline], outline) < GOOD


def test_one_spheroid_of_two_is_not_enough() -> None:
    """One spheroid of two is not enough."""
    pair = outlines(7)[1]
    assert overlap([traced(pair[0])], pair) < GOOD


@pytest.mark.parametrize(
    "polygons",
    [None, "x", {}, [[]], [[[1, 2], [3, 4]]], [[[1], [2], [3]]], [[["a", "b"], [1, 2], [3, 4]]], [[[1, math.nan]] * 3],
     [[[1, math.inf]] * 3]],
)  # fmt: skip
def test_what_is_not_a_list_of_polygons_overlaps_nothing(polygons: Any) -> None:
    """What is not a list of polygons overlaps nothing."""
    assert not well_formed(polygons)
    assert overlap(polygons, outlines(7)[0]) == 0


def test_no_polygon_overlaps_nothing() -> None:
    """No polygon overlaps nothing."""
    assert overlap([], outlines(7)[0]) == 0
    assert overlap([], ()) == 0
