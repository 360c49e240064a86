"""Ask a promoted version for a list: python example.py  (see README.md for what may be asked)."""

from pathlib import Path

from dayfold_light import RequestError, load

recommender = load(Path(__file__).parent)
question = {"user_id": "somebody new", "context": {"hour": 20}, "top_n": 5}

print(f"version {recommender.version}, as of the end of {recommender.day}")
for entry in recommender.recommend(question):
    print(f"{entry['rank']:>2}. {entry['item_id']:<12} {entry['score']:+.3f}  {entry['reason']}")

best = recommender.explain(question)[0]
print(f"{best['item_id']} begins at {best['start']:+.3f}, and then:")
for group, added in best["attributions"].items():
    print(f"    {group:<11}{added:+.3f}")

try:
    recommender.recommend({"top_n": "ten"})
except RequestError as error:
    print(f"a mistake is named: {error}")
