"""The shells of the two roles: the client who hires, the contractor who works."""
