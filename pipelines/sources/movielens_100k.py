"""MovieLens 100k as a raw zone: ratings, movies with genres, users with a profile.

u.data is `user item rating unix-seconds` (tabs), u.user `id|age|gender|occupation|zip`, u.item 24
columns (latin-1): id, title, release date, video date, link and one flag per genre of u.genre.
Days begin in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from pipelines.sources.field_values import title_and_year
from pipelines.sources.intake import Intake, open_text
from pipelines.sources.losses import Losses
from pipelines.sources.raw_zone import ImportSummary

_COMMAND = "movielens-100k"
_ITEM_FIELDS_BEFORE_GENRES = 5
_UNKNOWN_GENRE = "unknown"


def import_movielens_100k(
    source: Path, raw: Path, first: str | None, last: str | None
) -> ImportSummary:
    """What was written: every rating as an event; movies and users on their first day.

    Args:
        source: folder with u.data, u.user, u.item and u.genre, plain or .gz.
        raw: root of the raw zone.
        first: first day (UTC), or None for the day of the first rating.
        last: last day (UTC), or None for the day of the last rating.

    Raises:
        SourceError: a file is missing.
        ConfigError: the range is wrong or holds no rating.
    """
    genres = [name for name, _ in _lines(source, "u.genre", "|", 2, Losses())]
    with Intake(raw, first, last) as intake:
        for user, item, rating, seconds in _lines(source, "u.data", "\t", 4, intake.losses):
            intake.rating(user, item, rating, seconds, "u.data_not_a_number")
        width = _ITEM_FIELDS_BEFORE_GENRES + len(genres)
        for fields in _lines(source, "u.item", "|", width, intake.losses):
            intake.entity("items", fields[0], _movie(fields, genres))
        for fields in _lines(source, "u.user", "|", 5, intake.losses):
            intake.entity("profiles", fields[0], _profile(fields))
        return intake.finish()


def _movie(fields: list[str], genres: list[str]) -> dict[str, object]:
    item, name, released = fields[:3]
    title, year = title_and_year(name)
    release_date = _release_date(released)
    if year is None and release_date:
        year = int(release_date[:4])
    flags = zip(genres, fields[_ITEM_FIELDS_BEFORE_GENRES:], strict=True)
    return {
        "item_id": item,
        "title": title,
        "year": year,
        "release_date": release_date,
        "genres": [genre for genre, flag in flags if flag == "1" and genre != _UNKNOWN_GENRE],
    }


def _release_date(text: str) -> str | None:
    try:
        return datetime.strptime(text, "%d-%b-%Y").replace(tzinfo=UTC).date().isoformat()
    except ValueError:
        return None


def _profile(fields: list[str]) -> dict[str, object]:
    user, age, gender, occupation, postcode = fields
    return {
        "user_id": user,
        "age": int(age) if age.isdigit() else None,
        "gender": gender or None,
        "occupation": occupation or None,
        # Canadian codes begin with a letter; it names the province, as the digit does the region.
        "zip_area": postcode[:1] or None,
    }


def _lines(
    source: Path, name: str, separator: str, width: int, losses: Losses
) -> Iterator[list[str]]:
    with open_text(source, name, "latin-1", _COMMAND) as lines:
        for line in losses.at_lines(Path(lines.name), lines):
            fields = line.rstrip("\n").split(separator)
            if len(fields) == width:
                yield fields
            else:
                losses.drop(f"{name}_wrong_number_of_fields")
