"""The loop around the decision: look, remember, decide; stand back for people and for earlier rollbacks."""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from rollback.outcome import Refused
from rollback.watch.decision import Baseline, Decision, Policy, Sample, Verdict, decide

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from rollback.journal import Journal
    from rollback.watch.memory import Memory

__all__ = ["Runs", "Watch", "no_rollback_of_a_rollback", "the_same_still"]

#: Procedures that put containers of the application there.
_PUTS = ("application", "compose", "contain", "environment", "recover", "switch")


@dataclass(frozen=True)
class Runs:
    """The container of a released service; all empty where it has none. `created` is the engine's time."""

    id: str = ""
    image: str = ""
    created: str = ""


def no_rollback_of_a_rollback(journal: Journal, there: Mapping[str, Runs], recorded: Mapping[str, set[str]]) -> None:
    """Refuse where what runs was put there by a rollback, of whatever kind.

    Args:
        journal: of the deployment.
        there: what runs, by role; what is missing was not deployed since either.
        recorded: image IDs of each recorded release.

    Raises:
        Refused: since the last rollback that was carried out nothing was deployed, or only what it led to.
    """
    entries = journal.entries()
    done = {one.run: one.at for one in entries if one.event == "end" and one.data.get("outcome") == "done"}
    to = [one for one in entries if one.event == "begin" and one.run in done and one.data["procedure"] in _PUTS]
    if not to:
        return
    procedure, version = str(to[-1].data["procedure"]), str(to[-1].data["arguments"].get("version") or "")
    same = {one.image for one in there.values() if one.image} <= recorded.get(version, set())
    if same or not _deployed_since(done[to[-1].run], there.values()):
        raise Refused(
            f"What runs was put there by the rollback {to[-1].run} ({procedure} {version}".rstrip()
            + "): a rollback is never rolled back by itself.",
            "look yourself: `rollback verify`, then `rollback application VERSION` if it has to be",
        )


def _deployed_since(at: str, there: Iterable[Runs]) -> bool:
    end = datetime.fromisoformat(at)
    return any(one.created and datetime.fromisoformat(one.created) > end for one in there)


def the_same_still(then: Mapping[str, Runs], now: Mapping[str, Runs]) -> None:
    """What was judged is what is taken back; a container that was not there at first may have come.

    Raises:
        Refused: something was deployed meanwhile, and be it the same image with other settings.
    """
    other = [role for role, one in then.items() if one.id and now[role].id != one.id]
    if other:
        raise Refused(
            f"The {other[0]} that runs is not the one that was watched: something else was deployed.",
            "`rollback watch` again, for that one",
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
