"""The documents' own tables and figures, one command each.

PYTHONPATH=operator:tests:benchmarks python -m documents.NAME
"""
