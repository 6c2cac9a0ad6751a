"""Proof of access to compute: a chained exact-integer matrix benchmark, and memory that must be held: pure."""
