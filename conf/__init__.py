"""Typed settings: what a dataset is and how the day runs. Imports nothing of the other layers."""
