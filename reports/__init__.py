"""Builds the report from recorded results; reads files only."""
