"""Rows repaired from a backup: which differ, what becomes of each, and the one transaction that does it."""
