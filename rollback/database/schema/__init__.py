"""A schema brought back in place: what differs as SQL, rehearsed on a copy, proven on the live database."""
