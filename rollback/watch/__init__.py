"""Automated rollback: a release is watched after its deployment, and taken back when it is bad."""
