"""What is in a volume, set aside before the archive's takes its place, and put back by whoever takes that back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rollback import commands, progress
from rollback.outcome import Failed

if TYPE_CHECKING:
    from rollback.recovery.ground import Ground

__all__ = ["Aside"]


@dataclass(frozen=True)
class Aside:
    """One volume, and the copy of what was in it.

    Attributes:
        key: of the volume in the Compose files.
        name: on the engine.
        what: it is called by in the folder of the run.
    """

    ground: Ground
    key: str
    name: str
    what: str

    @property
    def kept(self) -> str:
        """The volume with the copy."""
        return self.ground.kept_volume(self.key)

    @property
    def is_aside(self) -> bool:
        """Whether the volume's place was made free."""
        return self.ground.noted(self._aside) is not None

    @property
    def _aside(self) -> str:
        return f"{self.what}-aside.json"

    @property
    def _copied(self) -> str:
        return f"{self.what}-copied.json"

    @property
    def _replaced(self) -> str:
        return f"{self.what}-replaced.json"

    def _is_copied(self) -> bool:
        return self.ground.noted(self._copied) is not None and self.ground.volumes().there(self.kept)

    def copy(self) -> None:
        """A copy from before anything was done to it; made once, so that it stays the one from before.

        Raises:
            Failed: it is no copy.
        """
        if self._is_copied():
            return
        volumes = self.ground.volumes()
        progress.tell(f"{self.name} is copied to {self.kept}")
        volumes.set_aside(self.name, self.kept, self.ground.run)
        good, told = volumes.is_copy(self.name, self.kept)
        if not good:
            raise Failed(f"{self.name} could not be copied: {told}.", "nothing was changed in it; look at the disk")
        self.ground.note(self._copied, {"volume": self.kept, "labels": volumes.labels(self.name)})

    def make_way(self) -> None:
        """Remove the volume; what was in it lies in a copy that was compared. Containers that had it go as well.

        Raises:
            Failed: the copy is gone.
        """
        if not self._is_copied():
            raise Failed(f"The copy of {self.name} is gone: nothing is removed.", "`rollback abort`, then begin again")
        self.ground.freed(self.name)
        if self.ground.volumes().there(self.name):
            self.ground.volumes().remove(self.name)
        self.ground.note(self._aside, {"volume": self.name})

    def has_copy(self) -> bool:
        """Whether the copy is there."""
        return self.ground.volumes().there(self.kept)

    def drop_copy(self) -> None:
        """Nobody needs it any more."""
        if self.has_copy():
            self.ground.volumes().remove(self.kept)

    def put_back(self) -> None:
        """What was in the volume is in it again, if its place was made free.

        What was put there is set aside in turn, because users may have written to it.

        Raises:
            Failed: it could not be copied back; both copies are there.
        """
        volumes, later = self.ground.volumes(), self.ground.kept_volume(f"{self.key}_restored")
        if not self._is_copied() or (volumes.there(self.name) and not self.is_aside):
            return
        self.ground.freed(self.name)
        # half a copy of a killed try is made anew, a whole one never: what is there by then may be half put back
        if volumes.there(self.name) and self.ground.noted(self._replaced) is None:
            volumes.set_aside(self.name, later, self.ground.run)
        self.ground.note(self._replaced, {"volume": later})
        if volumes.there(self.name):
            volumes.remove(self.name)
        # made here and not by Compose, whose container would put into it what the image has there
        labels: dict[str, Any] = (self.ground.noted(self._copied) or {}).get("labels", {})
        self.ground.deployment.engine.ask(commands.make_volume(self.name, labels))
        volumes.copy(self.kept, self.name)
        good, told = volumes.is_copy(self.kept, self.name)
        if not good:
            text = f"{self.kept} could not be copied back to {self.name}: {told}."
            raise Failed(text, "both are there; look at the disk")
        self.ground.forget(self._aside)
