"""The trainer's tasks on real images, one command each.

PYTHONPATH=operator:trainer-image:benchmarks python -m medical.NAME

What was measured is stored run by run under ``.hpo/medical``, so that a command that was stopped goes on where it was.
"""
