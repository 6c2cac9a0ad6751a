"""The skills that every node can sell without a model: each is a package of task (input), work and check."""
