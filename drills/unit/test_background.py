"""Work in a thread of its own ends when told to, and hides nothing."""

import asyncio
import threading
import time

import pytest

from fixtures.background import Background, StuckError, pause


def test_it_ends_what_is_in_flight() -> None:
    """It ends what is in flight."""
    ended: list[str] = []

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()
        await asyncio.sleep(0.05)
        ended.append("in flight")

    background = Background("t", work, patience=5)
    background.start()
    background.stop()
    assert ended == ["in flight"]
    assert "t" not in {thread.name for thread in threading.enumerate()}


def test_an_error_comes_out_when_it_is_stopped() -> None:
    """An error comes out when it is stopped."""

    async def work(_: asyncio.Event) -> None:
        raise LookupError("a defect of the traffic")

    background = Background("t", work, patience=5)
    background.start()
    with pytest.raises(LookupError, match="a defect"):
        background.stop()


def test_work_that_does_not_end_is_cancelled_and_reported() -> None:
    """Work that does not end is cancelled and reported."""

    async def work(_: asyncio.Event) -> None:
        await asyncio.Event().wait()

    background = Background("t", work, patience=0.05)
    background.start()
    with pytest.raises(StuckError, match="had to be cancelled"):
        background.stop()


def test_stopping_twice_or_before_the_start_does_nothing() -> None:
    """Stopping twice or before the start does nothing."""

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()

    background = Background("t", work, patience=5)
    background.stop()
    background.start()
    background.stop()
    background.stop()


def test_it_cannot_be_started_twice() -> None:
    """It cannot be started twice."""

    async def work(stop: asyncio.Event) -> None:
        await stop.wait()

    background = Background("t", work, patience=5)
    background.start()
    with pytest.raises(RuntimeError, match="started already"):
        background.start()
    background.stop()


def test_a_pause_ends_early_when_told_to_stop() -> None:
    """A pause ends early when told to stop."""

    async def paused() -> tuple[bool, bool]:
        stop, loop = asyncio.Event(), asyncio.get_running_loop()
        on = await pause(stop, loop.time() + 0.01)
        loop.call_later(0.01, stop.set)
        return on, await pause(stop, loop.time() + 60)

    started = time.monotonic()
    assert asyncio.run(paused()) == (True, False)
    assert time.monotonic() - started < 5
