"""A network of the engine against what Compose files say of it: only what they say, or leave to Compose, counts."""

from __future__ import annotations

from typing import Any

import pytest

from rollback.parts.networks import _like

LIVE: dict[str, Any] = {
    "Internal": False,
    "Attachable": False,
    "EnableIPv6": False,
    "Driver": "bridge",
    "Options": {"com.docker.network.bridge.name": "br9"},
    "Labels": {"com.docker.compose.network": "default", "team": "7"},
    "IPAM": {"Config": [{"Subnet": "10.9.0.0/24", "Gateway": "10.9.0.1"}]},
}
SAID = {
    "nothing": ({}, True),
    "all of it": (
        {
            "driver": "bridge", "internal": False, "enable_ipv6": False, "labels": {"team": 7},
            "driver_opts": {"com.docker.network.bridge.name": "br9"}, "ipam": {"config": [{"subnet": "10.9.0.0/24"}]},
        },
        True,
    ),
    "internal": ({"internal": True}, False),
    "attachable": ({"attachable": True}, False),
    "with IPv6": ({"enable_ipv6": True}, False),
    "a driver": ({"driver": "macvlan"}, False),
    "an option": ({"driver_opts": {"com.docker.network.bridge.name": "br8"}}, False),
    "a label": ({"labels": {"team": "8"}}, False),
    "a subnet": ({"ipam": {"config": [{"subnet": "10.8.0.0/24"}]}}, False),
    "a gateway": ({"ipam": {"config": [{"subnet": "10.9.0.0/24", "gateway": "10.9.0.254"}]}}, False),
}  # fmt: skip


@pytest.mark.parametrize(("said", "alike"), SAID.values(), ids=SAID)
def test_what_the_files_say_is_compared(said: dict[str, Any], *, alike: bool) -> None:
    """Each by itself."""
    assert _like(said, LIVE) is alike


def test_a_network_that_the_files_do_not_shut_is_open() -> None:
    """What they leave out is what Compose makes of it."""
    assert not _like({}, {**LIVE, "Internal": True})


def test_an_engine_that_lists_nothing_is_asked_for_nothing() -> None:
    """Options and ranges are null where there are none."""
    assert _like({}, {**LIVE, "Options": None, "IPAM": {"Config": None}})
