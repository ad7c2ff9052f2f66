"""What each month runs: the drill and the rest, which leave nothing to nobody."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from drills.unit.collected import DRILLS
from reports.kind import REST, kind
from reports.run import Run

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
(CRON,) = re.findall(r"^```cron\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
JOBS = [line for line in CRON.splitlines() if line[0].isdigit()]


def in_the_workflow() -> list[str]:
    """What the monthly workflow types."""
    read: dict[str, Any] = YAML(typ="safe").load(ROOT / ".github/workflows/drill.yml")
    return [step["run"] for job in read["jobs"].values() for step in job["steps"] if "pytest" in step.get("run", "")]


@pytest.mark.parametrize("typed", [JOBS, in_the_workflow()], ids=["cron", "workflow"])
def test_the_second_command_runs_whatever_the_first_does_not(typed: list[str]) -> None:
    """One expression is the contrary of the other, in the same places: no test can be between them."""
    chosen = [re.findall(r'\.venv/bin/pytest (drills/ )?(?:-n 2 )?-m ("[^"]+"|\w+)', one) for one in typed]
    assert chosen == [[("drills/ ", "monthly")], [("", f'"{REST}"')]]
    assert REST == "not monthly"


def test_every_drill_that_always_runs_is_monthly() -> None:
    """What runs with the tests is in the monthly drill, interruptions among it."""
    assert [one.id for one in DRILLS if not one.marks & {"monthly", "exhaustive"}] == []


def test_what_the_monthly_drill_leaves_out_are_kills() -> None:
    """As the head of the report says."""
    left = [one for one in DRILLS if "monthly" not in one.marks]
    assert left
    assert [one.id for one in left if not re.search(r"\b(killed|aborted)\b", one.id)] == []


def test_the_rest_says_what_it_is() -> None:
    """It is whole in itself, and no monthly drill."""
    rest = kind(Run(asked=REST, whole=True))
    assert rest.name == "the rest of the month"
    assert kind(Run(asked=REST, narrowed=("drills/unit",))).name == f"a part of {rest.name}"


def test_the_readme_counts_the_monthly_drills() -> None:
    """Its figure is that of the markers."""
    (told,) = re.findall(r"(\d+) drills of the month", " ".join(README.split()))
    assert int(told) == sum("monthly" in one.marks for one in DRILLS)


def test_cron_starts_each_once_a_month() -> None:
    """On days of their own: two runs at once would take the host from each other."""
    assert [job.split()[2:5] for job in JOBS] == [[day, "*", "*"] for day in "12"]
    assert [job for job in JOBS if re.search(r"(?<!\\)%", job)] == [], "cron takes it for a line break"


def test_each_kind_of_run_has_a_history_of_its_own() -> None:
    """It lies in the folder around the report: that of another kind would be taken for last time."""
    folders = [Path(one).parent for one in re.findall(r"--report-dir (/srv/[^ ;`]+)", README)]
    assert len(folders) == len(JOBS) + 1
    assert len({*folders}) == len(folders)


def mailed(job: str, folder: Path) -> str:
    """What cron mails of a job, in a place where all its folders are."""
    line = " ".join(job.split()[5:]).replace("\\%", "%")
    for there in ("/srv/rollback", "/var/log"):
        assert there in line
        line = line.replace(there, f"{folder}{there}")
    return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize("job", JOBS, ids=["monthly", "rest"])
def test_cron_mails_how_this_run_ended(job: str, tmp_path: Path) -> None:
    """Its exit code and its last lines: never those of a run before, though there be no checkout any more."""
    (tmp_path / "var/log").mkdir(parents=True)
    (name,) = re.findall(r"/var/log/([\w.-]+)", job)
    log = tmp_path / "var/log" / name
    log.write_text("97 passed\n", encoding="utf-8")
    gone = mailed(job, tmp_path)
    assert "passed" not in gone + log.read_text(encoding="utf-8")
    assert re.search(r"^exit code [1-9]", gone, re.MULTILINE)
    program = tmp_path / "srv/rollback/.venv/bin/pytest"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho 1 failed\nexit 1\n", encoding="utf-8")
    program.chmod(0o755)
    assert mailed(job, tmp_path).splitlines() == ["1 failed", "exit code 1"]
