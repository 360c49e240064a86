"""The torch steps: scorers, fit, evaluate, drift, gate, registry, recommend, publish."""
