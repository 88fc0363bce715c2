"""All services of this user as they are right now, and what can be done to them from another process.

Works on records, locks and signals; asks a supervisor over its control socket where one answers. It
knows no command line.
"""
