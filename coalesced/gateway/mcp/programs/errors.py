"""What stops a change to somebody else's configuration file."""


class EditError(Exception):
    """The file cannot be read, understood or written; the text says which and what to do."""
