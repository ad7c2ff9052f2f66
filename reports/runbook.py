"""The runbook as the report needs it: its sections, its Quick Reference, and who answers for which area."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["QUICK_REFERENCE", "SECTIONS", "Section", "contact", "section"]

#: The rows of RUNBOOK.md, Quick Reference: the question that somebody has at 3 a.m., and seconds it may take.
QUICK_REFERENCE = {"App Error": 300, "DB Error": 900, "Config Error": 120, "Complete Failure": 1800}

_LEAD, _DATABASE, _ON_CALL = "DevOps Lead", "Database Admin", "On-Call"


@dataclass(frozen=True)
class Section:
    """One procedure of the runbook, which every whole run has to drill.

    Attributes:
        name: chapter and heading, as in the ``drill`` marker; only the chapter where it has no headings.
        title: what it is called in a table.
        issue: the row of the Quick Reference that it stands for; empty where it stands for none.
        owner: the role of RUNBOOK.md, Support Contacts, that answers for it.
        users: users are at work in its drills, and each of their writes is accounted for.
    """

    name: str
    title: str
    issue: str
    owner: str
    users: bool = True


SECTIONS = (
    Section("Pre-Rollback Checklist", "Before a rollback", "", _LEAD),
    Section("Application Rollback / Quick Rollback (Docker)", "Application", "App Error", _LEAD),
    Section("Application Rollback / Interrupted", "Application, interrupted", "App Error", _LEAD),
    Section("Application Rollback / Rollback with Zero Downtime (Blue-Green)", "Blue-green", "App Error", _LEAD),
    Section("Rollback Automation", "Automated rollback", "App Error", _LEAD),
    Section("Database Rollback / Rollback Individual Migration", "One migration", "DB Error", _DATABASE),
    Section("Database Rollback / Full Database Restoration", "Full restoration", "DB Error", _DATABASE),
    Section("Database Rollback / Rollback Database Schema Only", "Schema only", "DB Error", _DATABASE),
    Section("Emergency Procedures / Data Corruption Recovery", "Data corruption", "DB Error", _DATABASE),
    Section("Configuration Rollback / Environment Variables", "Environment files", "Config Error", _LEAD),
    Section("Configuration Rollback / Nginx Configuration Rollback", "nginx", "Config Error", _LEAD),
    Section("Configuration Rollback / SSL Certificate Rollback", "Certificates", "Config Error", _LEAD),
    Section("Infrastructure Rollback / Docker Compose Rollback", "Compose files", "Config Error", _LEAD),
    Section("Infrastructure Rollback / Rollback Monitoring Stack", "Monitoring stack", "", _LEAD),
    Section("Emergency Procedures / Complete System Failure", "Complete failure", "Complete Failure", _ON_CALL),
    Section("Emergency Procedures / Security Breach Response", "Security breach", "", _ON_CALL),
    Section("Post-Rollback Actions / Verification Checklist", "Verification", "", _LEAD, users=False),
    Section("Post-Rollback Actions / Communication, Lessons Learned", "Communication, post-mortem", "", _LEAD),
)
_BY_NAME = {one.name.casefold(): one for one in SECTIONS}


def section(name: str) -> Section:
    """Return the section of that name; one that the runbook does not have stands for itself."""
    return _BY_NAME.get(name.casefold()) or Section(name, name or "No section", "", _LEAD)


def contact(owner: str, contacts: dict[str, str]) -> str:
    """Return the role with its address, as rollback.toml has it under ``[contacts]``."""
    return f"{owner}, {contacts[owner]}" if owner in contacts else owner
