"""Examining sellers: hidden test items, canaries, honeytokens, drift. Pure; others ask, send and store."""
