"""Documents derived from the live system and the journal."""
