"""Whole nodes in virtual time: a deterministic loop, a seeded network, faults, and checkers that run beside."""
