"""The paper's experiments run again: its tables, its sensitivity analysis, its theorem and its criteria."""
