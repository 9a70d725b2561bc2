"""The built-in tasks: each turns a configuration and a data volume into a ``loop.Learner``."""
