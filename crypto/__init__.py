"""Primitives on the cryptography package: no I/O, no clock, no entropy of their own."""
