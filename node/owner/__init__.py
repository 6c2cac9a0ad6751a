"""A node as its owner sees and commands it: what the control API serves. Views out, no business of its own."""
