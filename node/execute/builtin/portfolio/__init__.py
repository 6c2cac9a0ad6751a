"""Long-only mean-variance portfolios with a certificate of optimality."""
