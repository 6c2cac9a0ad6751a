"""The node as an OpenAI-compatible endpoint on loopback: what its owner's programs ask, it has done here or hires."""
