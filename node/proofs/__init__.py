"""What can be shown about a node and what it shows: certificates, their leaves, "at least X", whom to believe: pure."""
