"""Studies from Python: ``Study`` and ``tune``, which ``hpo_operator`` itself offers."""
