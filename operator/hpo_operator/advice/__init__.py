"""A first study for a data set: what to search and how long, from what ``hpo data check`` measured."""
