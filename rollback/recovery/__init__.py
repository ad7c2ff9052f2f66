"""Rebuilding a deployment from a full backup: what is left is kept, what is gone comes back, in order."""
