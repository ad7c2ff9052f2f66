"""A visit: a user signs in, makes a project, and everything of it is gone afterwards, from database and uploads.

What the account had before is written down before it signs in. A visit that was killed is cleaned up by the next one.
"""

from __future__ import annotations

import json
import time
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from rollback import commands, lock, private, progress
from rollback.database import server
from rollback.engine import POLL_SECONDS
from rollback.outcome import Failed, Refused, Stop
from rollback.parts import files
from rollback.verification import picture
from rollback.verification.account import Account, account
from rollback.verification.door import Door, Reply, door
from rollback.verification.line import NotTested
from rollback.verification.traces import Belongings, Traces

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from rollback.deployment import Deployment
    from rollback.verification.line import Seen

__all__ = ["Visit", "user", "visit"]

OK, CREATED, ACCEPTED, NO_CONTENT, GONE = 200, 201, 202, 204, 404
PREFIX = "rollback verify "
_NOTE, _LOCK = "visit.json", "visit.lock"
_PICTURE = "rollback-verify.png"


@dataclass
class Visit:
    """A user who is signed in, with a project of its own.

    Attributes:
        project: name of the project: nobody else's has it.
        others: access tokens of further sign-ins of this visit, which end with it.
    """

    deployment: Deployment
    door: Door
    account: Account
    project: str
    token: str = field(default="", repr=False)
    others: list[str] = field(default_factory=list, repr=False)
    _id: str = ""
    _stored: list[str] = field(default_factory=list)

    def sign_in(self) -> None:
        """Sign in, and be known by it.

        Raises:
            Failed: the answer is another one; also below.
        """
        progress.tell("signs in")
        who = {"email": self.account.login, "password": self.account.password}
        self.token = _text(self.door.send("POST", "/api/auth/login", who), OK, "access_token", "signing in")
        me = self.door.send("GET", "/api/auth/me", token=self.token)
        if _text(me, OK, "email", "asking who is signed in") != self.account.login:
            raise Failed("The API says that somebody else is signed in.")

    def make_project(self) -> None:
        """Make the project."""
        made = self.door.send("POST", "/api/projects", {"name": self.project}, self.token)
        self._id = _text(made, CREATED, "id", "making a project")

    def upload(self, traces: Traces) -> str:
        """Upload the picture and read it back, byte for byte; returns its id."""
        progress.tell("uploads a picture")
        content = picture.drawn()
        sent = self.door.upload(f"/api/projects/{self._id}/images", _PICTURE, content, self.token)
        image = _text(sent, CREATED, "id", "uploading a picture")
        stored = traces.stored_as(image)
        if stored is None:
            raise Failed("The upload was answered with 201 and the database does not have it.")
        self._stored.append(stored)
        back = self.door.send("GET", f"/api/images/{image}/file", token=self.token)
        if back.status != OK or back.body != content:
            raise Failed(f"Reading the picture back: {back.told() if back.status != OK else 'other bytes came back'}.")
        return image

    def segment(self, image: str) -> None:
        """Have the picture segmented and see the spheroid found."""
        asked = self.door.send("POST", f"/api/images/{image}/segment", token=self.token)
        job = _text(asked, ACCEPTED, "job_id", "asking for a segmentation")
        self._await(job)
        back = self.door.send("GET", f"/api/images/{image}/segmentation", token=self.token)
        if back.status != OK:
            raise Failed(f"Reading the segmentation: {back.told()}.")
        wrong = picture.found(json.loads(back.body).get("polygons"))
        if wrong:
            raise Failed(f"The segmentation is wrong: {wrong}.")

    def _await(self, job: str) -> None:
        limit, began = self.deployment.settings.verify.segment_seconds, time.monotonic()
        while (now := self.door.send("GET", f"/api/jobs/{job}", token=self.token)).text("status") != "done":
            waited = time.monotonic() - began
            if now.status != OK or now.text("status") == "failed" or waited > limit:
                raise Failed(f"The segmentation is not done after {waited:.0f} s (limit {limit:g} s): {now.told()}.")
            progress.tell(f"waits for the segmentation, {waited:.0f} of {limit:g} s")
            time.sleep(POLL_SECONDS)

    def leave(self) -> list[str]:
        """Delete the project and sign out, as a user does; returns what of it was answered otherwise."""
        asked = [("DELETE", f"/api/projects/{self._id}", self.token)] if self._id else []
        asked += [("POST", "/api/auth/logout", token) for token in (self.token, *self.others) if token]
        told = []
        for method, path, token in asked:
            try:
                answer = self.door.send(method, path, token=token)
            except Failed as stop:
                told.append(stop.found)
                continue
            told += [] if answer.status == NO_CONTENT else [f"{method} {path} was answered with {answer.told()}"]
        return told

    def kept_files(self) -> list[str]:
        """Pictures of this visit that still lie in the uploads."""
        return [name for name in self._stored if _lies(self.deployment, name)]


def _text(reply: Reply, status: int, name: str, doing: str) -> str:
    value = reply.text(name) if reply.status == status else ""
    if not value:
        raise Failed(f"{doing[:1].upper()}{doing[1:]} was answered with {reply.told()}.")
    return value


@contextmanager
def visit(deployment: Deployment) -> Iterator[tuple[Visit, Traces]]:
    """A user who is signed in and has a project, while the block runs.

    Raises:
        NotTested: no account, no way in, or somebody else pays a visit now.
        Failed: the user could not sign in, or something of the visit has stayed.
    """
    who, way = account(deployment), door(deployment)
    with ExitStack() as stack:
        try:
            stack.enter_context(lock.held(private.folder(deployment.state) / _LOCK, "verify", patience=0))
        except Refused as stop:
            raise NotTested(stop.found, stop.next_step) from stop
        session = stack.enter_context(server.session_of(deployment))
        traces = Traces(session, deployment.settings.verify, deployment.settings.backup.uploads)
        note = deployment.state / _NOTE
        before = _cleaned(deployment, traces, who.login, note)
        one = Visit(deployment, way, who, f"{PREFIX}{time.time_ns():x}")
        files.write(note, json.dumps(asdict(before)) + "\n", mode=0o600)
        with _gone_afterwards(one, traces, before, note):
            one.sign_in()
            one.make_project()
            yield one, traces


def _cleaned(deployment: Deployment, traces: Traces, login: str, note: Path) -> Belongings:
    """What the account has, without what a killed visit has left."""
    if note.exists():
        raw: dict[str, Any] = json.loads(note.read_text(encoding="utf-8"))
        _without(deployment, traces.put_back(login, Belongings(**raw)))
        note.unlink()
    return traces.belongings(login)


@contextmanager
def _gone_afterwards(one: Visit, traces: Traces, before: Belongings, note: Path) -> Iterator[None]:
    """However the block ends; what went wrong in it is told before what went wrong with the cleaning."""
    wrong: list[str] = []
    try:
        yield
    except Stop as stop:
        wrong.append(stop.found)
    finally:
        left = [*one.leave(), *(f"{name} still lies in the uploads" for name in one.kept_files())]
        _without(one.deployment, [*traces.put_back(one.account.login, before), *one.kept_files()])
        stayed = traces.left(one.account.login, before) + one.kept_files()
        if not stayed:
            note.unlink(missing_ok=True)
    left += [f"something of it stays in {', '.join(stayed)}"] if stayed else []
    if wrong or left:
        raise Failed("; ".join([*wrong, *(f"tidying up: {text}" for text in left)]))


def _uploads(deployment: Deployment) -> tuple[str, str]:
    table = deployment.settings.backup.uploads
    running = [one.id for one in deployment.serving(table.service) if one.running]
    if not running:
        raise Failed(f"`{table.service}` does not run: its uploads cannot be looked at.")
    return running[0], table.path.rstrip("/")


def _lies(deployment: Deployment, name: str) -> bool:
    container, folder = _uploads(deployment)
    result = deployment.engine.run(commands.execute(container, ["test", "-e", f"{folder}/{name}"]))
    if result.code not in (0, 1):
        raise Failed(f"The uploads cannot be looked at: {result.err.strip()}.")
    return result.code == 0


def _without(deployment: Deployment, names: list[str]) -> None:
    """Take files away that no row speaks of any more."""
    if names:
        container, folder = _uploads(deployment)
        deployment.engine.ask(commands.execute(container, ["rm", "-f", "--", *(f"{folder}/{one}" for one in names)]))


def user(deployment: Deployment) -> Seen:
    """A user signs in, uploads a picture, has it segmented, and reads everything back.

    Raises:
        NotTested: see `visit`.
        Failed: what was answered otherwise, or what of it has stayed.
    """
    began = time.monotonic()
    with visit(deployment) as (one, traces):
        image = one.upload(traces)
        one.segment(image)
    seconds = time.monotonic() - began
    return True, f"signed in, uploaded, segmented, read back in {seconds:.1f} s; nothing of it stays"
