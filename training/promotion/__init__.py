"""From candidate to champion: paired comparison, the gate, and the versions that it admits."""
