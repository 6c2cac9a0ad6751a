"""Whether to do a task here or hire it, from whom, and how closely to check: pure, with every number and reason."""
