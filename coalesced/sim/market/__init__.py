"""The market simulator: a vectorised world of sellers, tasks and clients in which policies are compared."""
