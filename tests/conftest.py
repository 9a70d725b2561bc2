"""Fixtures that every test may ask for."""

from hypothesis import settings

pytest_plugins = ["stand.fixtures"]

# How long an example may take is no property of the code under test.
settings.register_profile("no clock", deadline=None)
settings.load_profile("no clock")
