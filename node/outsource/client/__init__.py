"""The buying role: decide, hire, judge, settle."""
