"""The operator under load: many studies at once on a real API server, with Pods that only pretend to train."""
