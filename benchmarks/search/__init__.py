"""Search quality against peers: one simulated asynchronous cluster, the same problems and budgets for every method."""
