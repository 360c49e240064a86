"""MovieTweetings as a raw zone: ratings from tweets, movies with year and genres.

ratings.dat is `user::imdb_id::rating 0-10::unix seconds`, movies.dat `id::title (year)::genres`.
Days begin in UTC.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pipelines.sources.field_values import title_and_year
from pipelines.sources.intake import Intake, open_text
from pipelines.sources.raw_zone import ImportSummary

_COMMAND = "movietweetings"
_RATING_FIELDS = 4
_MOVIE_FIELDS = 3


def import_movietweetings(
    source: Path, raw: Path, first: str | None, last: str | None
) -> ImportSummary:
    """What was written: every rating as an event, every movie on the day of its first rating.

    Args:
        source: folder with ratings.dat and movies.dat, plain or .gz.
        raw: root of the raw zone.
        first: first day (UTC), or None for the day of the first rating.
        last: last day (UTC), or None for the day of the last rating.

    Raises:
        SourceError: a file is missing.
        ConfigError: the range is wrong or holds no rating.
    """
    with Intake(raw, first, last) as intake:
        for user, item, rating, seconds in _fields(source, "ratings.dat", _RATING_FIELDS, intake):
            intake.rating(user, item, rating, seconds, "ratings_not_a_number")
        for item, name, genres in _fields(source, "movies.dat", _MOVIE_FIELDS, intake):
            intake.entity("items", item, {"item_id": item, **_movie(name, genres)})
        return intake.finish()


def _movie(name: str, genres: str) -> dict[str, object]:
    title, year = title_and_year(name)
    return {
        "title": title,
        "year": year,
        "genres": [genre for genre in genres.split("|") if genre],
    }


def _fields(source: Path, name: str, width: int, intake: Intake) -> Iterator[list[str]]:
    with open_text(source, name, "utf-8", _COMMAND) as lines:
        for line in intake.losses.at_lines(Path(lines.name), lines):
            fields = line.rstrip("\n").split("::")
            if len(fields) == width:
                yield fields
            else:
                intake.losses.drop(f"{name.removesuffix('.dat')}_wrong_number_of_fields")
