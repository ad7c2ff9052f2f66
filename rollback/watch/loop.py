"""The loop around the decision: look, remember, decide; stand back for people and for earlier rollbacks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from rollback.outcome import Refused
from rollback.watch.decision import Baseline, Decision, Policy, Sample, Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from rollback.journal import Journal
    from rollback.watch.memory import Memory

__all__ = ["Watch", "no_rollback_of_a_rollback"]

_APPLICATION = "application"


def no_rollback_of_a_rollback(journal: Journal, images: Mapping[str, str], recorded: Mapping[str, set[str]]) -> None:
    """Refuse where what runs was put there by a rollback.

    Args:
        journal: of the deployment.
        images: what runs, by role.
        recorded: image IDs of each recorded release.

    Raises:
        Refused: the last rollback of the application that was carried out led to just these images.
    """
    entries = journal.entries()
    done = {one.run for one in entries if one.event == "end" and one.data.get("outcome") == "done"}
    to = [one for one in entries if one.event == "begin" and one.run in done and one.data["procedure"] == _APPLICATION]
    if not to:
        return
    version = str(to[-1].data["arguments"]["version"])
    if set(images.values()) <= recorded.get(version, set()):
        raise Refused(
            f"{version} was put there by the rollback {to[-1].run}: a rollback is never rolled back by itself.",
            "look yourself: `rollback verify`, then `rollback application VERSION` if it has to be",
        )


@dataclass(frozen=True)
class Watch:
    """One watch of one deployment.

    Attributes:
        look: gives one sample.
        tell: what is seen meanwhile.
        say: what is to be read afterwards.
    """

    policy: Policy
    baseline: Baseline | None
    look: Callable[[], Sample]
    journal: Journal
    memory: Memory
    tell: Callable[[str], None]
    say: Callable[[str], None]

    def decided(self) -> Decision:
        """Look once an interval until something is decided.

        Raises:
            Refused: somebody began to work on the deployment meanwhile: the watch is theirs now.
        """
        samples = self.memory.recalled()
        if samples:
            self.tell(f"goes on after {len(samples)} samples of the watch that was interrupted")
        begun = self._begun()
        while True:
            due = time.monotonic() + self.policy.interval
            samples.append(self.look())
            self.memory.keep(samples[-1])
            if self._begun() != begun:
                raise Refused("An operator works on the deployment: the watch stands back.", "`rollback history`")
            decision = decide(samples, self.policy, self.baseline)
            if decision.verdict is not Verdict.WATCHING:
                self.say(f"what the watch saw: {self.memory.put_by(decision, self.policy, self.baseline)}")
                return decision
            self.tell(decision.sentence)
            # the interval itself, not a wait for something
            time.sleep(max(0.0, due - time.monotonic()))

    def _begun(self) -> int:
        return sum(one.event == "begin" for one in self.journal.entries())
