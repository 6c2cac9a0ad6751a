"""This node's part in its community chain: the asyncio shell around node/ledger/pbft. Begin at community.py."""
