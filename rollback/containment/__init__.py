"""After a breach: shut, keep the evidence, change every secret, take back what was given out, clean, open again."""
