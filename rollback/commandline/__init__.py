"""Groups of the command's words, each in a module of its own."""
