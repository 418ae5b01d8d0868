"""Pure text: facts in, lines out. Nothing here reads a clock, a socket or the terminal."""
