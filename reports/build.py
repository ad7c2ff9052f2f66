"""One self-contained page from the results of a run, and the summary beside it."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

from reports import lines, page, summary, toolchain
from reports.configuration import configuration

RECORD = "drills.jsonl"
PAGE = "index.html"
SUMMARY = "summary.md"
HISTORY = "history.jsonl"


class NotBuiltError(RuntimeError):
    """The page was not built; the message says why. The summary is there all the same."""


def build(results: Path, output: Path) -> Path:
    """Write ``summary.md`` and ``index.html`` into ``output`` and return the path of the page.

    An older page is removed first, so that no page of another run can be taken for this one.

    Args:
        results: the folder of Allure results.
        output: the folder that holds drills.jsonl; the history is kept beside this folder.

    Raises:
        NotBuiltError: no results, or Node, npm or the registry is not at hand, or the page would ask a host.
        BadLineError: drills.jsonl is damaged.
    """
    target = output / PAGE
    target.unlink(missing_ok=True)
    summarise(output)
    if not any(results.glob("*-result.json")):
        raise NotBuiltError(f"there are no results in {results}")
    try:
        html = page.closed(_generate(results, output))
    except (toolchain.NotAtHandError, page.AsksOutsideError) as error:
        raise NotBuiltError(str(error)) from error
    return _put(target, html)


def summarise(output: Path) -> Path:
    """Write ``summary.md`` from ``drills.jsonl``, both in ``output``.

    Raises:
        BadLineError: drills.jsonl is damaged.
    """
    output.mkdir(parents=True, exist_ok=True)
    return _put(output / SUMMARY, summary.render(lines.read(output / RECORD)))


def _generate(results: Path, output: Path) -> str:
    interpreter = toolchain.node()
    allure = toolchain.allure(interpreter, toolchain.cache())
    history = output.resolve().parent / HISTORY
    with tempfile.TemporaryDirectory(prefix="spheroseg-report-") as folder:
        html, lengthened = _run_allure(interpreter, allure, results.resolve(), output.resolve(), Path(folder))
        # only a page that stands is a point in history
        _put(history, lengthened)
    return html


def _run_allure(
    interpreter: toolchain.Node, allure: Path, results: Path, output: Path, folder: Path
) -> tuple[str, str]:
    history, config = folder / HISTORY, folder / "allurerc.json"
    before = output.parent / HISTORY
    history.write_text(before.read_text(encoding="utf-8") if before.is_file() else "", encoding="utf-8")
    beside = [path for path in (output / SUMMARY, output / RECORD) if path.is_file()]
    config.write_text(json.dumps(configuration(lines.read(output / RECORD), history, beside)), encoding="utf-8")
    argv = [str(allure), "generate", "-c", str(config), "-o", f"{folder}/page", str(results)]
    said = toolchain.run(interpreter, argv, folder, toolchain.GENERATE_SECONDS, "Allure failed")
    made = folder / "page" / PAGE
    if not made.is_file():
        # a plugin that fails is no failure to Allure: it exits with 0
        raise NotBuiltError(f"Allure left no page: {toolchain.gist(said)}")
    return made.read_text(encoding="utf-8"), history.read_text(encoding="utf-8")


def _put(target: Path, text: str) -> Path:
    # renamed into place: whoever opens it sees a whole file or none
    part = target.with_suffix(target.suffix + ".part")
    part.write_text(text, encoding="utf-8")
    return part.replace(target)
