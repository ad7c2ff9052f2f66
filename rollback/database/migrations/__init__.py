"""Migrations as a team writes them: found, read, judged by their text, and seen to go up, down and up again."""
