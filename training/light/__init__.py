"""The light client: what a promoted version answers with, on NumPy and ONNX Runtime alone.

This package is copied into every version as `dayfold_light`, so nothing in it imports anything of
Dayfold. Letters: U users, I items of the catalogue, P items of a list, D vector width.

    from dayfold_light import load
    recommender = load("light")
    recommender.recommend({"user_id": "...", "profile": {"city": "Berlin"}, "top_n": 10})
"""

from __future__ import annotations

from .known import FORMAT, FormatError
from .recommender import Recommender, load
from .request import RequestError

__all__ = ["FORMAT", "FormatError", "Recommender", "RequestError", "load"]
