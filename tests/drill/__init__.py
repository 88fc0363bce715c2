"""Random walks of a real devport: services that misbehave, wishes, faults, and what has to hold after each.

`python -m tests.drill.walk --seed N --steps M` repeats a walk; `tests/e2e/test_walks.py` runs some of them.
"""
