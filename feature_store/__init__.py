"""The nouns: tables, the lake that holds them, and point-in-time reads. Knows no step's code."""
