"""Exposing services on the tailnet: the program tailscale, its API, and what is recorded of both.

Loaded only where a service is exposed or was; it knows nothing of supervisors, options and rows.
"""

from devport.tailscale.exposure import Tailnet, down

__all__ = ["Tailnet", "down"]
