"""The verbs, one module each: its docstring is its usage, its `run(context, argv)` gives the exit status."""
