"""The running of services: decisions (lifecycle, group), processes, output and the one loop."""
