"""Has the world changed? Statistics of the day against history, and the decision."""
