"""How hired work is paid for: one interface with two adapters, `none` and credits in escrow on the community chain."""
