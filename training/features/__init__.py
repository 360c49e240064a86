"""What is known of users and items as of an instant, read from the lake's state tables. NumPy."""
