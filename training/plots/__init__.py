"""Pictures of a day and of a candidate: from arrays to Matplotlib figures, nothing is read here."""
