"""The interactive console: the command line's words, over the same control calls."""
