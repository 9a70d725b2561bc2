"""A study with a hidden memory limit: how soon a search stops to suggest what cannot be trained."""
