"""The words of the shop: categories with their nouns and tags, cities, and sentences."""

from __future__ import annotations

CATEGORIES: tuple[str, ...] = (
    "books",
    "garden",
    "kitchen",
    "cycling",
    "music",
    "games",
    "camping",
    "fashion",
    "pets",
    "art",
    "travel",
    "fitness",
)

NOUNS: dict[str, tuple[str, ...]] = {
    "books": ("Novel", "Atlas", "Cookbook", "Field Guide", "Biography", "Poetry Reader"),
    "garden": ("Watering Can", "Trowel", "Seed Box", "Plant Pot", "Pruner", "Bird Feeder"),
    "kitchen": ("Skillet", "Paring Knife", "Teapot", "Mixing Bowl", "Grater", "Coffee Mill"),
    "cycling": ("Saddle", "Pannier", "Helmet", "Bike Lamp", "Floor Pump", "Handlebar Bag"),
    "music": ("Ukulele", "Record", "Headphones", "Metronome", "Songbook", "Hand Drum"),
    "games": ("Board Game", "Card Deck", "Jigsaw", "Dice Set", "Chess Set", "Puzzle Cube"),
    "camping": ("Tent", "Sleeping Mat", "Lantern", "Camp Chair", "Stove", "Hammock"),
    "fashion": ("Scarf", "Rain Jacket", "Cardigan", "Belt", "Wool Hat", "Sneakers"),
    "pets": ("Dog Lead", "Cat Tree", "Feeding Bowl", "Chew Toy", "Carrier", "Pet Blanket"),
    "art": ("Brush Set", "Sketchbook", "Easel", "Ink Bottle", "Watercolours", "Print Kit"),
    "travel": ("Suitcase", "Neck Pillow", "Day Pack", "Wash Bag", "Money Belt", "Travel Mug"),
    "fitness": ("Yoga Mat", "Kettlebell", "Skipping Rope", "Foam Roller", "Gym Towel", "Grip Ring"),
}

TAGS: dict[str, tuple[str, ...]] = {
    "books": ("reading", "nature", "history", "cooking", "children"),
    "garden": ("balcony", "herbs", "birds", "tools", "spring"),
    "kitchen": ("baking", "tea", "coffee", "cast-iron", "children"),
    "cycling": ("commuting", "touring", "safety", "night", "tools"),
    "music": ("strings", "listening", "practice", "vinyl", "children"),
    "games": ("family", "strategy", "solo", "party", "children"),
    "camping": ("lightweight", "touring", "night", "nature", "family"),
    "fashion": ("wool", "rain", "winter", "commuting", "organic"),
    "pets": ("dogs", "cats", "outdoor-pets", "washable", "organic"),
    "art": ("painting", "drawing", "paper", "practice", "gift"),
    "travel": ("lightweight", "commuting", "family", "washable", "gift"),
    "fitness": ("home-workout", "strength", "stretching", "practice", "washable"),
}

ADJECTIVES: tuple[str, ...] = (
    "Folding",
    "Classic",
    "Compact",
    "Sturdy",
    "Little",
    "Nordic",
    "Everyday",
    "Bright",
    "Quiet",
    "Handmade",
    "Pocket",
    "Striped",
    "Weatherproof",
    "Slim",
    "Vintage",
    "Plain",
)

MAKERS: tuple[str, ...] = (
    "Almar",
    "Brevik",
    "Corvo",
    "Dunmore",
    "Elstead",
    "Farrow & Moss",
    "Halden",
    "Isola",
    "Juniper",
    "Karst",
    "Lumen",
    "Mirabel",
    "Norrland",
    "Ostra",
    "Pellow",
    "Quill",
)

PRAISES: tuple[str, ...] = (
    "made to last for years",
    "easy to clean and to store",
    "a favourite of beginners",
    "for those who use it every day",
    "repairable, with spare parts",
    "small enough for any flat",
)

AGE_BANDS: tuple[str, ...] = ("18-24", "25-34", "35-44", "45-54", "55+")
GENDERS: tuple[str, ...] = ("female", "male", "other")
CITIES: tuple[str, ...] = (
    "Lisbon",
    "Porto",
    "Zürich",
    "Bern",
    "Vienna",
    "Graz",
    "Oslo",
    "Bergen",
    "Gdańsk",
    "Kraków",
)
DEVICES: tuple[str, ...] = ("mobile", "desktop", "tablet")
PLACES: tuple[str, ...] = ("home", "work", "commute", "out")

ALL_TAGS: tuple[str, ...] = tuple(sorted({tag for tags in TAGS.values() for tag in tags}))
