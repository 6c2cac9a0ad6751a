"""What travels between two nodes: messages, codec, framing, channel, receipts. Pure."""
