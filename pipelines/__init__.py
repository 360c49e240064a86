"""Spark steps and the sources of the raw zone."""
