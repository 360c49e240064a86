"""What the figures in docs/figures.md come from; each writes a file in benchmarks/results/."""
