"""Signed PBFT with one block in flight (Castro & Liskov 1999): pure, driven by a shell. Begin at core.py."""
