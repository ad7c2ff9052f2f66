"""`python -m rollback` is the `rollback` command."""

from rollback.cli import main

main()
