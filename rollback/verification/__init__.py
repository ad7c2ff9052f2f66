"""The lines of the verification checklist, each read from the live system (RUNBOOK, Verification Checklist)."""
