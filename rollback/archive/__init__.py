"""Full backups: one file with all that a deployment needs to start from nothing."""
