"""Certificates and proofs between nodes: what is asked of peers, and what peers are shown."""
