"""`rollback notify`, `rollback postmortem`: what is told of a run, derived from the journal and never typed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from rollback.commandline.options import HERE, AsJson, Directory
from rollback.console import Speaker
from rollback.deployment import Deployment
from rollback.documents import delivery, incident, postmortem
from rollback.documents.notification import END, PROGRESS, START, Message
from rollback.operations import Operations
from rollback.outcome import UsageError

__all__ = ["notify", "write_postmortem"]

Output = Annotated[Path | None, typer.Option("--output", "-o", help="A new file; else standard output.")]
Run = Annotated[str, typer.Argument(help="Id of a run (`rollback history`), or `latest`.")]


class Stage(StrEnum):
    """What is told."""

    START = START
    PROGRESS = PROGRESS
    END = END


def notify(  # noqa: PLR0913 -- the words of the command
    run: Run = incident.LATEST,
    *,
    stage: Annotated[Stage, typer.Option(help="Of which stage it tells.")] = Stage.END,
    only_print: Annotated[bool, typer.Option("--print", help="Print the text; send nothing.")] = False,
    test: Annotated[bool, typer.Option("--test", help="Send a test to every target of every severity.")] = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Tell people of a run: status, impact as measured, next steps, contacts of its severity.

    Each rollback sends its start, the moment users are served again and its end by itself, if [notify] in
    rollback.toml names a `targets_file` (0600, a URL of apprise a line; `critical=URL` for one severity). This
    command sends again, or prints. Exit 50: a target did not take it.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    if test:
        _send(deployment, speaker, [_test(deployment, severity) for severity in incident.SCENARIOS])
        return
    entries = Operations(deployment, speaker).journal.entries()
    message = delivery.message_of(deployment, incident.find(entries, run), stage.value)
    if only_print:
        speaker.say(f"{message.subject}\n\n{message.body}".rstrip())
        speaker.document(subject=message.subject, body=message.body, severity=message.severity)
        return
    _send(deployment, speaker, [message])


def _test(deployment: Deployment, severity: str) -> Message:
    name = deployment.settings.deployment.name
    return Message(f"[{name}] test of the rollback notifications ({severity})", "Nothing has happened.\n", severity)


def _send(deployment: Deployment, speaker: Speaker, messages: list[Message]) -> None:
    path = delivery.configured(deployment)
    sent = [one for message in messages for one in delivery.send(path, message)]
    for one in sent:
        speaker.say(f"{'sent to' if one.ok else 'NOT taken by'} {one.target} ({one.seconds:.1f} s)")
    delivery.undelivered(sent)
    speaker.document(sent=[one.__dict__ for one in sent])


def write_postmortem(
    run: Run = incident.LATEST,
    *,
    output: Output = None,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Write the post-mortem of a run as Markdown: timeline, commands with exit codes, impact, open questions.

    All facts come from the journal; causes and lessons are left to those who were there.
    """
    deployment, speaker = Deployment.load(directory), Speaker(as_json)
    entries = Operations(deployment, speaker).journal.entries()
    found = incident.find(entries, run)
    table = deployment.settings
    objective = table.objectives.of(found.procedure)
    text = postmortem.written(found, table.contacts, table.deployment.name, objective)
    if output is None:
        speaker.say(text.rstrip())
    else:
        _write(output, text)
        speaker.say(f"written to {output}")
    speaker.document(run=found.run, text=text, file=str(output) if output else None)


def _write(path: Path, text: str) -> None:
    """What somebody has written into one already is not written over.

    Raises:
        UsageError: the file is there.
    """
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{path} is there already.", "name another file") from None
