"""devport: run the services of a project, each on a port that stays the same."""

__version__ = "0.1.0"
