"""Is a cluster ready for studies: pure judgement of what its API server told. ``cli.doctor_facts`` asks it."""
