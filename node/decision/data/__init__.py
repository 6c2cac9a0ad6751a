"""Figures of hardware, models and prices, dated and with their sources; the owner's configuration comes first."""
