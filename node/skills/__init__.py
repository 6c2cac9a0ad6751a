"""Skill labels and what is near them: pure."""
