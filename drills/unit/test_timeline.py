"""The picture of a drill."""

from xml.etree import ElementTree as ET

from fixtures.faults import candidates
from fixtures.history import History, Mark, Request, Sample
from fixtures.scenario import Scenario
from fixtures.timeline import svg

MARKS = (Mark("fault injected", 10, 0), Mark("rollback started", 20, 0), Mark("rollback ended", 30, 0))


def samples(count: int, bad: int) -> tuple[Sample, ...]:
    """Samples of which every `bad`-th is not ok."""
    return tuple(Sample("read", i / 10, i / 10 + 0.05, i % bad != 0, "v4.0.0") for i in range(1, count))


def parsed(text: str) -> ET.Element:
    """The text as XML."""
    return ET.fromstring(text)  # noqa: S314 - our own text


def test_an_empty_history_says_so() -> None:
    """An empty history says so."""
    text = svg(History(), "nothing")
    parsed(text)
    assert "nothing was recorded" in text


def test_it_is_xml_whatever_the_names_hold() -> None:
    """It is xml whatever the names hold."""
    text = svg(History(marks=(Mark("<&>", 1, 0),), samples=samples(20, 3)), 'a "drill" & <more>')
    assert parsed(text).tag.endswith("svg")
    assert "<script" not in text


def test_fault_and_rollback_are_shaded_and_outages_red() -> None:
    """Fault and rollback are shaded and outages red."""
    text = svg(History(samples=samples(400, 50), marks=MARKS), "t")
    assert 'class="fault"' in text
    assert 'class="roll"' in text
    assert text.count('class="down"') == 7


def test_without_failures_nothing_is_red() -> None:
    """Without failures nothing is red."""
    text = svg(History(samples=samples(400, 1000), marks=MARKS), "t")
    assert 'class="down"' not in text
    assert 'class="req ' not in text


def test_a_failed_request_is_marked() -> None:
    """A failed request is marked."""
    failed = Request("fresh", "read", "/", "GET", 21, 21.1, 502, ok=False, reason="502", release=None)
    assert 'class="req failed"' in svg(History(requests=(failed,), samples=samples(400, 1000), marks=MARKS), "t")


def test_a_failed_request_is_marked_by_what_it_is_laid_to() -> None:
    """Those of the fault and those of the rollback have rows of their own; the rollback's is there when it is empty."""
    early, late = (
        Request("fresh", "read", "/", "GET", at, at + 0.1, 502, ok=False, reason="502", release=None) for at in (12, 35)
    )
    scenario = Scenario.back_to("v4.0.0", candidates.crash())
    marks = (*MARKS, Mark("cutover begun", 22, 0), Mark("edge switched", 25, 0))
    both = svg(History(requests=(early, late), samples=samples(400, 1000), marks=marks), "t", scenario)
    assert both.count('class="req fault"') == both.count('class="req rollback"') == 1
    only = svg(History(requests=(early,), samples=samples(400, 1000), marks=marks), "t", scenario)
    assert "0 by rollback" in only
    assert 'class="req rollback"' not in only


def test_a_long_and_bad_drill_stays_small() -> None:
    """A long and bad drill stays small."""
    failed = tuple(
        Request("fresh", "read", "/", "GET", i / 30, i / 30, 502, ok=False, reason="", release=None)
        for i in range(30000)
    )
    flapping = History(requests=failed, samples=samples(10000, 2), marks=MARKS * 30)
    assert len(svg(flapping, "t").encode()) < 60_000


def test_all_at_one_instant_does_not_divide_by_nothing() -> None:
    """All at one instant does not divide by nothing."""
    parsed(svg(History(samples=(Sample("ml", 5, 5, ok=False, release=None),)), "t"))


def test_a_rollback_that_never_ended_is_shaded_to_the_end() -> None:
    """A rollback that never ended is shaded to the end."""
    text = svg(History(samples=samples(400, 50), marks=MARKS[:2]), "t")
    assert 'class="roll"' in text
