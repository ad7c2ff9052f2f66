"""One self-contained page from the results of a run, and the summary beside it."""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock, Timeout

from reports import answers, front, lines, page, past, policy, run, secrecy, summary, toolchain
from reports.configuration import configuration

if TYPE_CHECKING:
    from collections.abc import Mapping

RECORD = "drills.jsonl"
PAGE = "index.html"
SUMMARY = "summary.md"
HISTORY = "history.jsonl"
#: So long a run waits for another one that writes to the same history.
LOCK_SECONDS = 60
POLICY = Path(__file__).parents[1] / "drills" / "gate.toml"


class NotBuiltError(RuntimeError):
    """The page was not built; the message says why. The summary is there all the same."""


class NoToolsError(NotBuiltError):
    """Node, npm or the registry is not at hand: nothing is wrong with the run, and nothing could be built of it."""


def build(results: Path, output: Path, secrets: Mapping[str, str] | None = None) -> Path:
    """Write ``summary.md`` and ``index.html`` into ``output`` and return the path of the page.

    An older page is removed first, so that no page of another run can be taken for this one.

    Args:
        results: the folder of Allure results.
        output: the folder that holds drills.jsonl and run.json; the history is kept beside this folder.
        secrets: what must not be in the page, each with its name.

    Raises:
        NoToolsError: Node, npm or the registry is not at hand.
        NotBuiltError: no results, or Allure failed, or the page would ask a host or tell a secret, or the history
            cannot be written to.
        BadLineError: drills.jsonl, run.json or the history is damaged.
    """
    target = output / PAGE
    # a page that stood is a point in history already
    again = target.exists()
    target.unlink(missing_ok=True)
    summarise(output)
    if not any(results.glob("*-result.json")):
        raise NotBuiltError(f"there are no results in {results}")
    try:
        html, point = _generate(results, output)
        html = page.closed(_fronted(html, output))
    except (toolchain.NotAtHandError, page.AsksOutsideError) as error:
        raise NotBuiltError(str(error)) from error
    told = sorted(set(secrecy.in_page(html, secrets or {})) | set(secrecy.in_text(point, secrets or {})))
    if told:
        raise NotBuiltError(f"it would tell secrets: {', '.join(told)}")
    # only a page that stands is a point in history, and only of a run that came to its end
    if not again and not run.read(output / run.FILE).unfinished:
        _remember(_history(output), point)
    return _put(target, html)


def _remember(history: Path, point: str) -> None:
    """Add a point; of two runs that end at once neither loses its own."""
    try:
        with FileLock(f"{history}.lock", timeout=LOCK_SECONDS):
            _put(history, "\n".join([*past.earlier(history), point]) + "\n")
    except Timeout as error:
        raise NotBuiltError(f"another run has held {history.name} for {LOCK_SECONDS} s") from error


def summarise(output: Path) -> Path:
    """Write ``summary.md`` from ``drills.jsonl``, ``run.json`` and the history.

    Raises:
        BadLineError: one of them is damaged.
    """
    output.mkdir(parents=True, exist_ok=True)
    was, drills, given = _read(output)
    return _put(output / SUMMARY, summary.render(was, drills, given))


def _read(output: Path) -> tuple[run.Run, list[lines.Drill], answers.Answers]:
    was, drills = run.read(output / run.FILE), lines.read(output / RECORD)
    earlier, now = past.read(_history(output), was.started), datetime.now(UTC)
    exempt, wrong = policy.known(POLICY)
    was = replace(was, gate=(*was.gate, *(one for one in wrong if one not in was.gate)))
    ahead = past.ahead(_history(output), now)
    return was, drills, answers.answers(was, drills, earlier, exempt, now.date(), ahead=ahead)


def _fronted(html: str, output: Path) -> str:
    was, drills, given = _read(output)
    return page.fronted(html, front.front(was, drills, given, page.places(html)))


def _history(output: Path) -> Path:
    return output.resolve().parent / HISTORY


def _generate(results: Path, output: Path) -> tuple[str, str]:
    try:
        interpreter = toolchain.node()
        allure = toolchain.allure(interpreter, toolchain.cache())
    except toolchain.NotAtHandError as error:
        raise NoToolsError(str(error)) from error
    with tempfile.TemporaryDirectory(prefix="spheroseg-report-") as folder:
        return _run_allure(interpreter, allure, results.resolve(), output.resolve(), Path(folder))


def _run_allure(
    interpreter: toolchain.Node, allure: Path, results: Path, output: Path, folder: Path
) -> tuple[str, str]:
    history, config, before = folder / HISTORY, folder / toolchain.CONFIGURATION.name, _history(output)
    started = run.read(output / run.FILE).started
    history.write_text("".join(f"{line}\n" for line in past.earlier(before, started)), encoding="utf-8")
    beside = [path for path in (output / SUMMARY, output / RECORD, output / run.FILE) if path.is_file()]
    wanted = configuration(lines.read(output / RECORD), history, past.read(before, started), beside)
    (folder / "wanted.json").write_text(json.dumps(wanted), encoding="utf-8")
    shutil.copyfile(toolchain.CONFIGURATION, config)
    # `generate` never holds its gate against anything; `run` does, and here what it runs lays the results down
    copy = f"require('fs').cpSync({json.dumps(str(results))}, 'allure-results', {{recursive: true}})"
    argv = [str(allure), "run", "-c", str(config), "--cwd", str(folder), "-o", f"{folder}/page", "--silent"]
    argv += ["--ignore-logs", "--", str(interpreter.executable), "-e", copy]
    said = toolchain.run(interpreter, argv, folder, toolchain.GENERATE_SECONDS, "Allure failed", held=True)
    made = folder / "page" / PAGE
    if not made.is_file():
        # a plugin that fails is no failure to Allure
        raise NotBuiltError(f"Allure left no page: {toolchain.gist(said)}")
    return made.read_text(encoding="utf-8"), history.read_text(encoding="utf-8").splitlines()[-1]


def _put(target: Path, text: str) -> Path:
    # renamed into place: whoever opens it sees a whole file or none
    part = target.with_suffix(target.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(target)
