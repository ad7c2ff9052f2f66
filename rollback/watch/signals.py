"""What the watcher sees of a deployment: identity and health from inside the edge; requests and errors from logs."""

from __future__ import annotations

import json
import statistics
import time
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rollback.outcome import Refused, Stop
from rollback.verification.logs import error_lines
from rollback.watch.decision import Baseline, Sample
from rollback.watch.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from rollback.deployment import Answer, Deployment

__all__ = ["Request", "Sensor", "baseline_of", "requests_of", "sampled"]

_OK = 200
_SERVER_FAULT = 500
#: How far back the requests of the release before are looked for, in seconds.
_LOOK_BACK = 1800
_GROUP_WORDS = 3


@dataclass(frozen=True)
class Request:
    """One line of the access log.

    Attributes:
        stamp: the engine's time of the line.
        group: method and first words of the path.
        seconds: what it took.
        release: who answered, as the service says itself; "" where nobody did.
    """

    stamp: str
    group: str
    status: int
    seconds: float
    release: str

    @property
    def failed(self) -> bool:
        """The server's fault; a client that is told 429 or does not wait (499) is none."""
        return self.status >= _SERVER_FAULT

    @property
    def timed(self) -> bool:
        """Whether its time is the server's: a WebSocket (101) lasts as long as its user stays."""
        return self.status >= _OK


def requests_of(lines: Iterable[str]) -> list[Request]:
    """The requests of a JSON access log with the engine's time stamps; what is no request is none."""
    return [one for one in map(_request, lines) if one is not None]


def _request(line: str) -> Request | None:
    stamp, _, text = line.partition(" ")
    try:
        raw = json.loads(text)
        method, target = str(raw["request"]).split(" ")[:2]
        path = target.partition("?")[0]
        group = "/".join(path.split("/")[:_GROUP_WORDS])
        return Request(stamp, f"{method} {group}", int(raw["status"]), float(raw["seconds"]), str(raw["release"]))
    except (ValueError, KeyError, TypeError):
        return None


def sampled(
    at: float,
    ill: str | None,
    requests: list[Request] | None,
    errors: int | None = None,
    unread: Sequence[str] = (),
) -> Sample:
    """One sample from what was asked and read."""
    if requests is None:
        return Sample(at, ill, None, errors=errors, unread=[*unread])
    total = Counter(one.group for one in requests)
    failed = Counter(one.group for one in requests if one.failed)
    took = [one.seconds for one in requests if one.timed and not one.failed]
    counts = {group: (count, failed[group]) for group, count in total.items()}
    return Sample(at, ill, counts, statistics.median(took) if took else None, errors, [*unread])


def baseline_of(requests: list[Request], release: str, least: int) -> Baseline | None:
    """How the release before served; None where the log holds fewer than `least` of its answers."""
    its = [one for one in requests if one.release == release]
    took = [one.seconds for one in its if one.timed and not one.failed]
    if len(its) < least or not took:
        return None
    return Baseline(100 * sum(one.failed for one in its) / len(its), statistics.median(took))


@dataclass
class Sensor:
    """Looks at one deployment; each request of the log is seen once, whatever the clocks do.

    Attributes:
        images: what was deployed, by role: when something else runs, it is not what is watched.
    """

    deployment: Deployment
    images: Mapping[str, str]
    _versions: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._edge = self._tail(self.deployment.settings.edge.service)
        self._services = [self._tail(one.service) for one in self.deployment.settings.services.values()]

    def look(self) -> Sample:
        """One sample now; what cannot be read is None in it.

        Raises:
            Refused: something else was deployed meanwhile.
        """
        return sampled(time.monotonic(), self._ill(), self._requests(), *self._errors())

    def baseline(self, release: str, least: int) -> Baseline | None:
        """How a release served in the last half hour, as far as this edge's log goes back."""
        since = _stamp(datetime.now(UTC) - timedelta(seconds=_LOOK_BACK))
        return baseline_of(requests_of(Tail(self.deployment, self._edge.service, since).new()), release, least)

    def _ill(self) -> str | None:
        services = self.deployment.settings.services
        try:
            there = {one.service: one for one in self.deployment.containers() if one.running and not one.one_off}
            missing = [one.service for one in services.values() if one.service not in there]
            if missing:
                return f"{missing[0]} does not run"
            asked = [f"http://{there[one.service].name}:{one.port}" for one in services.values()]
            healths = [address + one.health for address, one in zip(asked, services.values(), strict=True)]
            versions = [address + one.version for address, one in zip(asked, services.values(), strict=True)]
            answers = self.deployment.fetch_all([*healths, *versions])
        except Stop:
            return None
        self._same({role: there[one.service].image for role, one in services.items()})
        bad = [(url, one.status) for url, one in zip([*healths, *versions], answers, strict=True) if one.status != _OK]
        if bad:
            return f"{bad[0][0]} answers {bad[0][1] or 'nothing'}"
        return self._identity(dict(zip(services, answers[len(services) :], strict=True)))

    def _same(self, images: Mapping[str, str]) -> None:
        other = [role for role, image in images.items() if image != (self.images.get(role) or image)]
        if other:
            raise Refused(
                f"The {other[0]} that runs is not the one that was to be watched: something else was deployed.",
                "`rollback watch` again, for that one",
            )

    def _identity(self, answers: Mapping[str, Answer]) -> str:
        """A service that is well and says that it is another release, or none, is not the one that was deployed."""
        for role, answer in answers.items():
            first = self._versions.setdefault(role, answer.version or "")
            if not answer.version or answer.version != first:
                return f"{role} says that it is {answer.version or 'no release'}, at first {first or 'none either'}"
        return ""

    def _requests(self) -> list[Request] | None:
        try:
            return requests_of(self._edge.new())
        except Stop:
            return None

    def _errors(self) -> tuple[int | None, list[str]]:
        """Error lines of the released services since the last look, and of which no log could be read.

        None where no log at all could be read; what is away for a moment is read later, unless its container is gone.
        """
        found, unread = [], []
        for one in self._services:
            try:
                found.append(error_lines("\n".join(one.new())))
            except Stop:
                unread.append(one.service)
        return (sum(found) if found else None), unread

    def _tail(self, service: str) -> Tail:
        return Tail(self.deployment, service, _stamp(datetime.now(UTC)))


def _stamp(at: datetime) -> str:
    return at.strftime("%Y-%m-%dT%H:%M:%S.%fZ")
