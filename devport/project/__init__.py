"""Text to model: what a project's files say, as plain values. `load` alone opens files."""
