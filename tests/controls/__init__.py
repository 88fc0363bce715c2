"""Negative controls: what devport does with one protection taken out."""
