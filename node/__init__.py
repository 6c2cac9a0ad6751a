"""One agent: decides, hires, executes, verifies, records. Never imports coalesced."""
