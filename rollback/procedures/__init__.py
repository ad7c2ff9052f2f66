"""Procedures: one module a procedure of the runbook. Each surveys the world and returns a Plan."""
