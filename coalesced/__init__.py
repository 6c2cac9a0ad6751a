"""coalesced: a node that decides, per task, whether to run it here or to hire another agent, and says why."""

__version__ = "0.1.0"
