"""The selling role: quote, do the work, sign for it."""
