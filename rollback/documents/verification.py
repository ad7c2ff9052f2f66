"""The verification checklist of the runbook, each line read from the live system (RUNBOOK, Verification)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from html.parser import HTMLParser
from typing import TYPE_CHECKING

from rollback import commands, look
from rollback.outcome import Stop
from rollback.parts import files

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from rollback.deployment import Deployment
    from rollback.release import Release

__all__ = ["Line", "identities", "verify"]

OK = 200
LOG_LINES = 50
_ERROR = re.compile(
    r"\b(?:ERROR|FATAL|CRITICAL|PANIC|Traceback)\b|\[(?:error|crit|alert|emerg)\]|\"level\":\s*\"(?:error|fatal)\""
)
MAX_ERRORS = 5  # MAX_ERROR_RATE of the runbook's automation script


@dataclass(frozen=True)
class Line:
    """One line of the checklist."""

    check: str
    ok: bool
    seen: str


def verify(deployment: Deployment, release: Release | None, *, since: str | None = None) -> list[Line]:
    """Run the whole checklist; it never stops at the first failure.

    Args:
        deployment: the live system.
        release: what should be running; None when only soundness is asked for.
        since: UTC time from which error lines in the logs count; None counts the last lines.
    """
    lines: list[Line] = []
    with look.shared():
        for name, check in _checks(deployment, release, since):
            try:
                ok, seen = check()
            except Stop as stop:
                ok, seen = False, stop.found
            lines.append(Line(name, ok, seen))
    return lines


def _checks(
    deployment: Deployment, release: Release | None, since: str | None
) -> Iterator[tuple[str, Callable[[], tuple[bool, str]]]]:
    yield "services", lambda: _services(deployment)
    yield "database", lambda: _database(deployment)
    yield "api", lambda: _api(deployment)
    yield "frontend", lambda: _frontend(deployment)
    yield "errors", lambda: _errors(deployment, since)
    if release is not None:
        yield "identity", lambda: _identity(deployment, release)
        yield "images", lambda: _images(deployment, release)
        yield "environment", lambda: _files(deployment, release, "environment")
        yield "compose", lambda: _files(deployment, release, "compose")


def _services(deployment: Deployment) -> tuple[bool, str]:
    wanted = set(deployment.config(deployment.compose)["services"])
    well = {one.service for one in deployment.containers() if one.well and not one.one_off}
    ill = sorted(wanted - well)
    return not ill, f"not well: {', '.join(ill)}" if ill else f"{len(wanted)} of {len(wanted)} running and healthy"


def _database(deployment: Deployment) -> tuple[bool, str]:
    head = deployment.migrations()[-1:]
    rows = deployment.sql("SELECT count(*) FROM users")
    broken = deployment.sql(
        "SELECT (SELECT count(*) FROM pg_index WHERE NOT indisvalid)"
        " + (SELECT count(*) FROM pg_constraint WHERE NOT convalidated)"
    )
    return (
        broken == "0",
        f"migration {head[0] if head else '(none)'}, {rows} users, {broken} invalid indexes or constraints",
    )


def _api(deployment: Deployment) -> tuple[bool, str]:
    for role, service in deployment.settings.services.items():
        if service.upstream and service.health.startswith("/api"):
            answer = deployment.through_edge(service.health)
            return (
                answer.status == OK,
                f"{role} {service.health} answered {answer.status or 'nothing'}: {answer.body[:300]}",
            )
    return False, "rollback.toml names no service with a health path under /api"


class _Assets(HTMLParser):
    """Collects what a page asks for."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "link": "href", "img": "src"}.get(tag)
        self.found += [value for key, value in attrs if key == wanted and value and _of_this_host(value)]


def _of_this_host(address: str) -> bool:
    """`//host/path` is another host's; the edge cannot answer for it."""
    return address.startswith("/") and not address.startswith("//")


def _frontend(deployment: Deployment) -> tuple[bool, str]:
    page = deployment.through_edge("/")
    if page.status != OK:
        return False, f"the page answered {page.status or 'nothing'}: {page.body[:120]}"
    parser = _Assets()
    parser.feed(page.body)
    if not parser.found:
        return False, "the page names no asset at all"
    answers = deployment.fetch_all([deployment.edge_url(path) for path in parser.found])
    lost = [path for path, one in zip(parser.found, answers, strict=True) if one.status != OK]
    return not lost, f"missing: {', '.join(lost)}" if lost else f"the page and all {len(parser.found)} assets it names"


def _errors(deployment: Deployment, since: str | None) -> tuple[bool, str]:
    found, read = 0, 0
    for service in deployment.settings.services.values():
        for one in deployment.serving(service.service):
            read += 1
            tail = None if since else LOG_LINES
            result = deployment.engine.run(commands.logs(one.name, tail=tail, since=since))
            found += error_lines(result.out) + error_lines(result.err)
    if not read:
        return False, "no container whose log could be read"
    window = f"since {since}" if since else f"in the last {LOG_LINES} lines of each service"
    return found <= MAX_ERRORS, f"{found} error lines {window} (limit {MAX_ERRORS})"


def error_lines(log: str) -> int:
    """The number of lines that report an error; one that says so twice is one line."""
    return sum(1 for line in log.splitlines() if _ERROR.search(line))


def identities(deployment: Deployment) -> dict[str, str]:
    """What each released service answers as its version, asked from inside the edge; "" for no answer."""
    there = {one.service: one.name for one in deployment.containers() if one.running and not one.one_off}
    asked = {role: one for role, one in deployment.settings.services.items() if one.service in there}
    urls = [f"http://{there[one.service]}:{one.port}{one.version}" for one in asked.values()]
    answers = deployment.fetch_all(urls) if urls else []
    said = {role: answer.version or "" for role, answer in zip(asked, answers, strict=True)}
    return {role: said.get(role, "") for role in deployment.settings.services}


def _identity(deployment: Deployment, release: Release) -> tuple[bool, str]:
    now = identities(deployment)
    wrong = [
        f"{role} answers {now.get(role) or 'nothing'} instead of {record.identity}"
        for role, record in release.images.items()
        if now.get(role) != record.identity
    ]
    return not wrong, "; ".join(wrong) or ", ".join(f"{role} {version}" for role, version in now.items())


def _images(deployment: Deployment, release: Release) -> tuple[bool, str]:
    wrong = [
        f"{record.service} runs {one.image[:19]} instead of {record.id[:19]}"
        for record in release.images.values()
        for one in deployment.serving(record.service)
        if one.image != record.id
    ]
    return not wrong, "; ".join(wrong) or f"as recorded in {release.version}"


def _files(deployment: Deployment, release: Release, group: str) -> tuple[bool, str]:
    wrong = files.differing(deployment.root, release.files[group])
    return not wrong, f"not as recorded: {', '.join(wrong)}" if wrong else f"as recorded in {release.version}"
