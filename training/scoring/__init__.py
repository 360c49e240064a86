"""A model's scores: retriever and ranker as one composite, ranks in the catalogue, metrics."""
