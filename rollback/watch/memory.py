"""What a watch has seen, kept in the state folder: a watcher that was killed goes on with its window."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from rollback import lock, private
from rollback.watch.decision import Sample

if TYPE_CHECKING:
    from pathlib import Path

    from rollback.watch.decision import Baseline, Decision, Policy

__all__ = ["KEPT", "Memory"]

#: Watches that are kept; one of five minutes has about 60 kB.
KEPT = 20


@dataclass(frozen=True)
class Memory:
    """The samples of one watch.

    Attributes:
        path: the file.
        about: what is watched; samples of something else, or of another boot, are not gone on with.
    """

    path: Path
    about: dict[str, Any]

    def recalled(self) -> list[Sample]:
        """The samples so far; a last line that was cut by a kill is none."""
        lines = self.path.read_text(encoding="utf-8").splitlines() if self.path.exists() else []
        read = [one for one in map(_parsed, lines) if one is not None]
        if not read or read[0] != self._head():
            self._begin()
            return []
        return [Sample(**one) for one in read[1:]]

    def keep(self, sample: Sample) -> None:
        """Add a sample."""
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(asdict(sample)) + "\n")

    def put_by(self, decision: Decision, policy: Policy, baseline: Baseline | None) -> Path:
        """The watch is over: the next one begins anew, and what led to the decision stays to be read.

        Returns:
            where: the samples, then a line with the decision and what else it follows from. The newest `KEPT` stay.
        """
        from_what = {"policy": asdict(policy), "baseline": baseline and asdict(baseline)}
        said = {"verdict": decision.verdict, "sentence": decision.sentence, **from_what}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(said) + "\n")
        folder = private.folder(self.path.parent / "watches")
        kept = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}.jsonl"
        self.path.replace(kept)
        for one in sorted(folder.glob("*.jsonl"))[:-KEPT]:
            one.unlink()
        return kept

    def _head(self) -> dict[str, Any]:
        return {"about": self.about, "boot": lock.boot()}

    def _begin(self) -> None:
        private.folder(self.path.parent)
        self.path.write_text(json.dumps(self._head()) + "\n", encoding="utf-8")
        self.path.chmod(0o600)


def _parsed(line: str) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None
