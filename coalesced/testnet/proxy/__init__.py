"""Stands between the nodes of a testnet and makes their network a bad one: delay, jitter, loss, partitions."""
