"""The database: safety backups and the schema a release can work with."""
