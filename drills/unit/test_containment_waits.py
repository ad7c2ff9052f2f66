"""What was started by a containment is waited for, also while it cannot be read yet."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from rollback.containment import certificate
from rollback.containment.certificate import Exchange
from rollback.containment.door import Door
from rollback.containment.isolation import Isolation
from rollback.containment.renewal import Renewal
from rollback.outcome import Failed
from rollback.parts.certificates import Pair
from rollback.plan import Reading
from rollback.procedures import containment

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def there(tmp_path: Path) -> Any:
    """A deployment with nothing in it, and an engine that does whatever it is asked."""
    settings = SimpleNamespace(
        timing=SimpleNamespace(healthy=30),
        database=SimpleNamespace(service="db"),
        containment=SimpleNamespace(redis=None),
        edge=SimpleNamespace(reload=[]),
    )
    engine = SimpleNamespace(ask=lambda *_: "")
    compose = SimpleNamespace(create=lambda *_: [], recreate=lambda *_, **__: [])
    return SimpleNamespace(
        settings=settings, engine=engine, compose=compose, state=tmp_path, project="p", root=tmp_path,
        containers=list, serving=lambda _: [], in_edge=lambda _: None, run_folder=lambda _: tmp_path,
    )  # fmt: skip


def exchange(one: Any) -> None:
    """Of no certificate in no place."""
    Exchange(one, Pair(one.root, one.root), ()).carry_out()


WAITS: dict[str, tuple[type, str, Callable[[Any], object]]] = {
    "at hand": (Renewal, "at_hand", lambda one: Renewal(one, {}).have_at_hand()),
    "anew": (Renewal, "anew", lambda one: Renewal(one, {}).make_anew()),
    "the page": (Door, "reading", lambda one: Door(one, "p_contained").open([])),
    "the certificate": (Exchange, "reading", exchange),
    "open": (
        containment._Procedure,  # noqa: SLF001 -- what waits in it
        "_is_open",
        lambda one: containment._Procedure(one, {"run": "r"})._open(),  # noqa: SLF001 -- what waits in it
    ),
}


@pytest.mark.parametrize(("of", "name", "act"), WAITS.values(), ids=WAITS)
def test_what_cannot_be_read_yet_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, of: type, name: str, act: Callable[[Any], object]
) -> None:
    """A program that starts refuses at first: that is no failure of what started it."""
    said: Iterator[Any] = iter(
        [Failed("refused: it is starting"), Reading(holds=False, seen="not yet"), Reading(holds=True, seen="")]
    )

    def read(_: object) -> Any:
        now = next(said)
        if isinstance(now, Failed):
            raise now
        return now

    monkeypatch.setattr(of, name, read)
    monkeypatch.setattr(Renewal, "_only_ill", lambda _: False)
    monkeypatch.setattr(Isolation, "open", lambda _, served: served())
    monkeypatch.setattr(Exchange, "_lying", lambda _: ())
    monkeypatch.setattr(Exchange, "_recorded", lambda _: ())
    monkeypatch.setattr("rollback.parts.certificates.key_of", lambda _: "key")
    monkeypatch.setattr(certificate, "Revoked", SimpleNamespace(of=lambda _: SimpleNamespace(add=lambda _: None)))
    for part in ("image", "remove", "_certificates", "configuration"):
        monkeypatch.setattr(Door, part, lambda *_, **__: "")
    monkeypatch.setattr("rollback.parts.files.write", lambda *_, **__: None)
    act(there(tmp_path))
    assert next(said, None) is None
