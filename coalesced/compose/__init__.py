"""The composition root: the only place that builds a node out of its parts."""
