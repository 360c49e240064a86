"""What a person sees of a day and of a candidate in MLflow: notes, pictures, tables, costs."""
