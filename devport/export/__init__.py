"""The project for other managers: a plan in, files out; one module for each format, with its own quoting."""
