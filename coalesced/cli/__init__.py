"""The command line: one file a noun, all of it over the control socket of the running daemon."""
