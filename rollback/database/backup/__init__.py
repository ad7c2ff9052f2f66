"""Backups that are proven: taken in one snapshot, signed, sealed, restored and compared."""
