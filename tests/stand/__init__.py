"""The cluster test stand: a real Kubernetes API server, scheduler and controllers, and a node that runs processes.

Why it exists: an operator is a conversation with an API server, and a mock of that server agrees with whoever wrote it.
The stand needs no container engine and no root: `python -m stand up` gives a cluster, `stand.fixtures` gives it to
pytest.
"""
