"""What market makers say of sellers: made from probes, signed, checked, and believed as far as it came true. Pure."""
