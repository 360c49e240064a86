"""Figures of a day: sketches of its scores, its positives, how good the published lists were."""
