"""Networks of real node processes on this machine: described, started, disturbed, taken down."""
