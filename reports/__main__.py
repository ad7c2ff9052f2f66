"""``python -m reports``: build the report again from the results of the last run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports.build import NotBuiltError, build
from reports.lines import BadLineError

BUILT, DAMAGED, NOT_BUILT = 0, 1, 3


def main(argv: list[str] | None = None) -> int:
    """Return 0 when the page stands, 3 when it was not built, 1 when drills.jsonl is damaged."""
    options = _parser().parse_args(argv)
    try:
        print(build(options.results, options.output))  # noqa: T201 -- the answer of the command
    except NotBuiltError as error:
        print(f"warning: the HTML report was not built: {error}", file=sys.stderr)  # noqa: T201 -- the same
        return NOT_BUILT
    except BadLineError as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 -- the same
        return DAMAGED
    return BUILT


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("reports/latest/allure-results"))
    parser.add_argument("--output", type=Path, default=Path("reports/latest"))
    return parser


if __name__ == "__main__":
    sys.exit(main())
