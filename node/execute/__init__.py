"""Runs a task in a worker process and checks a result; chooses nothing."""
