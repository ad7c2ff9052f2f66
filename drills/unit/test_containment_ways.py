"""Whether anybody inside gets out: an attempt that fails is a proof only where the same attempt can succeed."""

from __future__ import annotations

import os
import shutil
import subprocess
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment import ways
from rollback.containment.door import Door
from rollback.outcome import Failed

if TYPE_CHECKING:
    from pathlib import Path

DOOR = "172.24.0.2/80"


def told(
    monkeypatch: pytest.MonkeyPatch, *said: str, addresses: tuple[str, ...] = ("172.17.0.1",), lasting: bool = True
) -> Any:
    """What is made of what the containers a, b, ... say, on a host with these addresses."""
    monkeypatch.setattr(ways, "lasts", lambda *_: lasting)
    monkeypatch.setattr(ways, "_addresses", lambda _: addresses)
    answers = dict(zip("abc", said, strict=False))
    there: Any = SimpleNamespace(engine=SimpleNamespace(ask=lambda argv: answers[name_in(argv)]))
    return ways.out(there, [{"Id": one} for one in answers], "nginx", DOOR)


def name_in(argv: list[str]) -> str:
    """Beside which container an attempt is made."""
    return next(one.partition(":")[2] for one in argv if one.startswith("container:"))


def test_a_host_without_a_known_address_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever tries nothing reaches nothing."""
    found = told(monkeypatch, f"{DOOR}\n", addresses=())
    assert (found.holds, "nothing was tried" in found.seen) == (False, True)


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ((f"{DOOR}\n", f"{DOOR}\n"), ""),
        ((f"{DOOR}\n", ""), "b is not proven: it does not reach the doorkeeper either"),
        ((f"{DOOR}\n172.17.0.1/9\n", f"{DOOR}\n"), "a reaches 172.17.0.1/9"),
        (("172.17.0.1/9\n172.17.0.1/9\n", ""), "a reaches 172.17.0.1/9; b is not proven"),
    ],
    ids=["nobody", "a probe that cannot", "somebody", "each"],
)
def test_who_does_not_reach_the_doorkeeper_is_not_proven(
    monkeypatch: pytest.MonkeyPatch, said: tuple[str, ...], seen: str
) -> None:
    """Whatever the reason is, that he reaches the host neither says nothing."""
    found = told(monkeypatch, *said)
    assert (found.holds, found.seen.startswith(seen)) == (not seen, True)


def test_who_ends_during_the_attempt_is_not_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """It loses the way to the doorkeeper by that; what it has reached before counts all the same."""
    found = told(monkeypatch, f"{DOOR}\n", "", lasting=False)
    assert (found.holds, found.seen.startswith("none of 1 containers")) == (True, True)
    assert not told(monkeypatch, "172.17.0.1/9\n", lasting=False).holds


def attempted(path: str, **env: str) -> list[str]:
    """What the attempt itself prints, on this host."""
    seen = {"PATH": path, "SECONDS_EACH": "1", "KNOWN_SECONDS": "5", "WAYS": "", "WAYS6": "", **env}
    bash = shutil.which("bash") or "bash"
    return subprocess.run([bash, "-c", ways._TRY], env=seen, capture_output=True, text=True, check=True).stdout.split()  # noqa: SLF001 -- the attempt itself


def test_the_attempt_reaches_what_is_there(tmp_path: Path) -> None:
    """In IPv6 as well where an interface has it; without its programs it reaches nothing, not even the doorkeeper."""
    with ways._listener() as port:  # noqa: SLF001 -- what is to be reached
        here, path = f"127.0.0.1/{port}", os.environ["PATH"]
        assert attempted(path, KNOWN=here, WAYS="127.0.0.1/1") == [here]
        assert attempted(path, KNOWN="127.0.0.1/1", WAYS=here) == [here]
        assert attempted(str(tmp_path), KNOWN=here, WAYS=here) == []
        # some of them: networks of others come and go
        own = [f"{one}/{port}" for one in ways._addresses6()[:3]]  # noqa: SLF001 -- those of this host
        assert bool({*attempted(path, KNOWN=here, WAYS6=" ".join(own))} - {here}) == bool(own)
        local = [one for one in own if "%" in one]
        assert bool({*attempted(path, KNOWN=here, WAYS6=" ".join(local))} - {here}) == bool(local)


def test_the_addresses_of_this_host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither loopback nor the interfaces to single containers; a kernel without IPv6 has none."""
    table = tmp_path / "if_inet6"
    table.write_text(
        "00000000000000000000000000000001 01 80 10 80       lo\n"
        "fd000000000000000000000000000002 04 40 00 82     eth0\n"
        "fe8000000000000000424dfffe4b9bd3 20ec 40 20 80 br-15c1\n"
        "fe80000000000000986ef4fffeda8dd8 2100 40 20 80 veth3c0\n"
    )
    monkeypatch.setattr(ways, "_IPV6", table)
    assert ways._addresses6() == ["fd00::2", "fe80::42:4dff:fe4b:9bd3%"]  # noqa: SLF001 -- the rule itself
    monkeypatch.setattr(ways, "_IPV6", tmp_path / "none")
    assert ways._addresses6() == []  # noqa: SLF001 -- the rule itself


def test_the_doorkeeper_is_asked_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    """At its end of the closed network: at the other one nobody inside may reach it."""
    settings = SimpleNamespace(edge=SimpleNamespace(http_port=80))
    one: Any = SimpleNamespace(project="p", settings=settings)
    ends = {"p_doorkeeper": {"IPAddress": "172.18.0.2"}, "p_contained": {"IPAddress": "172.24.0.2"}}
    monkeypatch.setattr(Door, "_network_settings", lambda _: {"Networks": ends})
    assert Door(one, "p_contained").address() == DOOR
    del ends["p_contained"]
    with pytest.raises(Failed, match="not in the closed network"):
        Door(one, "p_contained").address()
