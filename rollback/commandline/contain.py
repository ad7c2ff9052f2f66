"""`rollback contain`: what is done after a breach, as a whole and part by part."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from rollback.commandline.options import HERE, AsJson, Directory, PlanOnly, Yes, carry_out, understood
from rollback.console import Speaker
from rollback.containment import source
from rollback.deployment import Deployment
from rollback.operations import Operations
from rollback.outcome import UsageError
from rollback.parts.certificates import Pair
from rollback.procedures import containment_survey as containment

__all__ = ["containments"]

containments = typer.Typer(
    cls=understood("all", r"--(?!help).*|-[yC].*"),
    help="After a breach: shut, keep the evidence, change every secret, take back what was given out, open again.\n\n"
    "`rollback contain --yes` does it in that order (the word `all` may be left out); each part can be carried out"
    " alone. A failure opens nothing, and what was opened and does not serve is shut again.",
    no_args_is_help=True,
)


Compromised = Annotated[
    str | None, typer.Option("--compromised-at", help="When the intruder came in, or an instant surely before it.")
]
Recorded = Annotated[str | None, typer.Option("--release", help="Whose files are right; else the newest before it.")]
Patched = Annotated[str | None, typer.Option("--patched", help="The release that closes the hole: its images' tag.")]
NewCertificate = Annotated[
    Path | None, typer.Option("--certificate", help="The edge's new certificate with its chain, issued for a new key.")
]
NewKey = Annotated[Path | None, typer.Option("--key", help="The private key of --certificate; for its owner alone.")]
Plain = Annotated[bool, typer.Option("--plain", help="Although the backup is not sealed.")]


def _contained(  # noqa: PLR0913 -- the words of the command
    parts: tuple[str, ...],
    directory: Path,
    origin: containment.Origin | None = None,
    pair: Pair | None = None,
    *,
    plan: bool,
    yes: bool,
    as_json: bool,
) -> None:
    deployment, speaker = Deployment.load(directory), Speaker(as_json, yes)

    def surveyed(run: str) -> dict[str, Any]:
        return containment.survey(deployment, parts, run, origin, pair)

    carry_out(Operations(deployment, speaker), speaker, containment.NAME, surveyed, plan_only=plan)


@containments.command("all")
def everything(  # noqa: PLR0913 -- the words of the command
    *,
    compromised_at: Compromised = None,
    release: Recorded = None,
    patched: Patched = None,
    plain: Plain = False,
    certificate: NewCertificate = None,
    key: NewKey = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """All of it, in order; what fails leaves the deployment shut, and `rollback resume` goes on.

    Without --compromised-at nothing is restored: what an intruder has planted in the database stays there.
    """
    origin = _origin(compromised_at, release, patched, plain=plain)
    parts = tuple(one for one in containment.PARTS if one != "restore" or origin is not None)
    _contained(parts, directory, origin, _pair(certificate, key), plan=plan, yes=yes, as_json=as_json)


@containments.command()
def restore(  # noqa: PLR0913 -- the words of the command
    *,
    compromised_at: Compromised = None,
    release: Recorded = None,
    patched: Patched = None,
    plain: Plain = False,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """The database and the files as they were before the compromise; what was planted is listed and removed.

    From the newest backup before it that is signed, sealed and proven by a restore. What was revoked stays revoked.
    Files that he left or changed are kept with the run.
    """
    origin = _origin(compromised_at, release, patched, plain=plain)
    if origin is None:
        raise UsageError("Nobody has said when the intruder came in.", "say --compromised-at TIME")
    _contained(("restore",), directory, origin, plan=plan, yes=yes, as_json=as_json)


def _origin(
    compromised_at: str | None, release: str | None, patched: str | None, *, plain: bool
) -> containment.Origin | None:
    if compromised_at is None:
        if release or patched or plain:
            raise UsageError("--release, --patched and --plain are about a restore.", "say --compromised-at TIME too")
        return None
    return containment.Origin(source.instant(compromised_at), release, patched, plain)


@containments.command()
def isolate(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Outside only a maintenance page, inside no way out; `rollback contain reopen` undoes it.

    Every container moves into a network without a way out and without an address of this host; an nginx of ours holds
    the edge's ports. No rule of the host's firewall is touched. Operators of [containment] allow get past the page.
    Who cannot be moved is stopped until it is reopened: the monitoring stack, whoever lives in the network of the host.
    """
    _contained(("isolate",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def preserve(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Logs, processes, connections, changed files and the database into a sealed archive outside of the checkout.

    Of the monitoring stack as well. What could not be had, such as a database that somebody keeps locked, is said and
    signed with it. While the deployment is isolated every connection to the database is noted, and ended for the dump.
    """
    _contained(("preserve",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def rotate(  # noqa: PLR0913 -- the words of the command
    *,
    certificate: NewCertificate = None,
    key: NewKey = None,
    plan: PlanOnly = False,
    yes: Yes = False,
    as_json: AsJson = False,
    directory: Directory = HERE,
) -> None:
    """Every secret of [containment.secrets] gets another value, in the checkout and in all that is recorded.

    A line that cannot be rewritten is told before anything changes, and so is a secret that Compose files have from
    elsewhere: typed in `environment:`, in another env file, or a file of `secrets:`. What stands in commands, build
    arguments and other files is not looked for. The services are made anew with the new ones. Values are never
    printed; what was revoked is known by its hash for good. The key of the edge's certificate changes with
    --certificate and --key: a pair from your authority, which passes the gates of `rollback certificates` first.
    Nothing makes one here: clients would not trust it.
    """
    _contained(("rotate",), directory, None, _pair(certificate, key), plan=plan, yes=yes, as_json=as_json)


def _pair(certificate: Path | None, key: Path | None) -> Pair | None:
    if certificate is None or key is None:
        if certificate or key:
            raise UsageError("A certificate and its key come together.", "say --certificate FILE and --key FILE")
        return None
    return Pair(certificate.absolute(), key.absolute())


@containments.command()
def revoke(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Tokens and sessions end, every user has to set a new password, strangers lose their sign-in at the database."""
    _contained(("revoke",), directory, plan=plan, yes=yes, as_json=as_json)


@containments.command()
def reopen(*, plan: PlanOnly = False, yes: Yes = False, as_json: AsJson = False, directory: Directory = HERE) -> None:
    """Everybody back into his own networks, the edge back at its ports, the checklist read.

    What fails on the way, or a checklist that does not hold, shuts it again. The monitoring stack is started with the
    rest, and brought up as its files say.
    """
    _contained(("reopen",), directory, plan=plan, yes=yes, as_json=as_json)
