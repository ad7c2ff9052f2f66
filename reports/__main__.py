"""``python -m reports``: build the report again from the results of the last run."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from reports import measured
from reports.build import RECORD, NotBuiltError, build
from reports.lines import BadLineError, read

ROOT = Path(__file__).parents[1]
README, KEPT = ROOT / "README.md", ROOT / "drills" / "measured.jsonl"

BUILT, DAMAGED, NOT_BUILT = 0, 1, 3


def main(argv: list[str] | None = None) -> int:
    """Return 0 when the page stands, 3 when it was not built, 1 when drills.jsonl is damaged."""
    options = _parser().parse_args(argv)
    try:
        if options.readme:
            _readme(options.output)
            return BUILT
        print(build(options.results, options.output))  # noqa: T201 -- the answer of the command
    except NotBuiltError as error:
        print(f"warning: the HTML report was not built: {error}", file=sys.stderr)  # noqa: T201 -- the same
        return NOT_BUILT
    except (BadLineError, measured.NoPlaceError) as error:
        print(f"error: {error}", file=sys.stderr)  # noqa: T201 -- the same
        return DAMAGED
    return BUILT


def _readme(output: Path) -> None:
    measured.keep(output / RECORD, KEPT)
    README.write_text(measured.placed(README.read_text(encoding="utf-8"), read(KEPT)), encoding="utf-8")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m reports", description=__doc__)
    parser.add_argument("--results", type=Path, default=Path("reports/latest/allure-results"))
    parser.add_argument("--output", type=Path, default=Path("reports/latest"))
    parser.add_argument(
        "--readme", action="store_true", help="take this run's figures into drills/measured.jsonl and the README"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main())
