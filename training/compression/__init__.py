"""Smaller variants of a registered version's scorer; nothing here promotes one."""
