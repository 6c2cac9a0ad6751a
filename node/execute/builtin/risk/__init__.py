"""Monte-Carlo value at risk and expected shortfall of a portfolio."""
