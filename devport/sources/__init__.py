"""What feeds the lifecycles with facts, beside the processes: dependencies, probes, sockets, files.

`assembly` hangs the sources that a service's Policy asks for on its job; the engine knows none of them.
"""
