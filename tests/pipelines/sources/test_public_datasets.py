from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from conf.errors import ConfigError, SourceError
from pipelines.sources.movielens_100k import import_movielens_100k
from pipelines.sources.movietweetings import import_movietweetings
from pipelines.sources.online_retail import import_online_retail

Rows = Callable[[Path, str, str], list[dict[str, Any]]]
Tree = Callable[[Path], dict[str, bytes]]

DAY_1, DAY_3 = 1_362_096_000, 1_362_268_800  # 2013-03-01 and 2013-03-03, midnight UTC
HEADER = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n"


@pytest.fixture
def movietweetings(tmp_path: Path) -> Path:
    source = tmp_path / "movietweetings"
    source.mkdir()
    ratings = [
        f"7::0002::9::{DAY_3 + 5}",
        f"7::0001::8::{DAY_1 + 60}",
        f"8::0001::6::{DAY_1}",
        "8::0001::six::1",
        "8::0001",
    ]
    movies = [
        "0001::Été à (Paris) (1969)::Drama|War",
        "0002::No Year::",
        "0003::Unseen (2000)::War",
    ]
    with gzip.open(source / "ratings.dat.gz", "wt", encoding="utf-8") as file:
        file.write("\n".join(ratings) + "\n")
    (source / "movies.dat").write_text("\n".join(movies) + "\n", encoding="utf-8")
    return source


@pytest.fixture
def movielens(tmp_path: Path) -> Path:
    source = tmp_path / "ml-100k"
    source.mkdir()
    (source / "u.data").write_text(f"1\t10\t5\t{DAY_1}\n2\t11\t2\t{DAY_3}\n1\t11\t3\t{DAY_3}\n")
    (source / "u.genre").write_text("unknown|0\nAction|1\nDrama|2\n\n")
    (source / "u.user").write_text("1|24|M|writer|85711\n2|53|F|other|T8H1N\n3|30|F|artist|1\n")
    (source / "u.item").write_text(
        "10|Café (1995)|01-Jan-1995||http://x|0|1|1\n11|unknown||||1|0|0\n", encoding="latin-1"
    )
    return source


@pytest.fixture
def online_retail(tmp_path: Path) -> Path:
    folder = tmp_path / "online-retail" / "by-day"
    folder.mkdir(parents=True)
    (folder / "2011-07-01.csv").write_text(
        HEADER
        + "1002,A, lost ,-3,2011-07-01 10:00:00,0.0,,United Kingdom\n"
        + "1001,B,RED MUG ,2,2011-07-01 09:00:00,1.25,17850.0,France\n"
        + "1001,B,RED MUG ,2,2011-07-01 09:00:00,1.25,17850.0,France\n"
        + "C1003,B,RED MUG,-1,2011-07-01 11:00:00,1.25,17850.0,France\n"
        + "1004,B,RED MUG,1,soon,1.25,17850.0,France\n"
        + "1005,B\n"
    )
    with gzip.open(folder / "2011-07-03.csv.gz", "wt") as file:
        file.write(
            HEADER
            + "1006,A,BLUE CUP,1,2011-07-03 09:00:00,3.5,17851.0,Spain\n"
            + "1007,B,MUG RED,1,2011-07-03 09:30:00,9.99,17851.0,Spain\n"
        )
    return folder.parent


def test_movietweetings_ratings_become_events_in_the_order_of_their_times(
    movietweetings: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    summary = import_movietweetings(movietweetings, raw, None, None)
    assert (summary.days, summary.events, summary.profiles, summary.items) == (3, 3, 0, 2)
    assert summary.skipped == {
        "ratings_not_a_number": 1,
        "ratings_wrong_number_of_fields": 1,
        "items_never_in_an_event": 1,
    }
    assert summary.examples == {
        "ratings_not_a_number": f"{movietweetings / 'ratings.dat.gz'}, line 4",
        "ratings_wrong_number_of_fields": f"{movietweetings / 'ratings.dat.gz'}, line 5",
        "items_never_in_an_event": f"{movietweetings / 'movies.dat'}, line 3",
    }
    assert rows_of(raw, "events", "2013-03-01") == [
        {
            "event_timestamp": f"2013-03-01T00:0{minute}:00+00:00",
            "event_type": "rating",
            "user_id": user,
            "item_id": "0001",
            "value": value,
        }
        for minute, user, value in ((0, "8", 6.0), (1, "7", 8.0))
    ]
    assert rows_of(raw, "events", "2013-03-02") == []


def test_a_movie_is_known_on_the_day_of_its_first_rating_and_not_before(
    movietweetings: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    import_movietweetings(movietweetings, raw, None, None)
    assert rows_of(raw, "items", "2013-03-01") == [
        {
            "item_id": "0001",
            "title": "Été à (Paris)",
            "year": 1969,
            "genres": ["Drama", "War"],
            "updated_at": "2013-03-01T00:00:00+00:00",
        }
    ]
    (late,) = rows_of(raw, "items", "2013-03-03")
    assert (late["title"], late["year"], late["genres"]) == ("No Year", None, [])


@pytest.mark.parametrize("name", ["movietweetings", "movielens", "online_retail"])
def test_day_by_day_gives_the_bytes_of_one_import(
    name: str, tmp_path: Path, tree_of: Tree, request: pytest.FixtureRequest
) -> None:
    source = request.getfixturevalue(name)
    run = {
        "movietweetings": import_movietweetings,
        "movielens": import_movielens_100k,
        "online_retail": import_online_retail,
    }[name]
    month = "2011-07" if name == "online_retail" else "2013-03"
    run(source, tmp_path / "at-once", None, None)
    for ds in (f"{month}-01", f"{month}-02", f"{month}-03"):
        run(source, tmp_path / "by-day", ds, ds)
    assert tree_of(tmp_path / "by-day") == tree_of(tmp_path / "at-once")


def test_an_import_clears_what_a_killed_one_left(
    movietweetings: Path, tmp_path: Path, tree_of: Tree
) -> None:
    spill = tmp_path / "raw" / ".spill" / "events"
    spill.mkdir(parents=True)
    (spill / "2013-03-01").write_bytes(b'0\t{"left":"behind"}\n')
    import_movietweetings(movietweetings, tmp_path / "raw", None, None)
    import_movietweetings(movietweetings, tmp_path / "clean", None, None)
    assert tree_of(tmp_path / "raw") == tree_of(tmp_path / "clean")


def test_a_range_that_begins_late_brings_the_items_known_by_then(
    movietweetings: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    summary = import_movietweetings(movietweetings, raw, "2013-03-02", "2013-03-04")
    assert (summary.days, summary.events, summary.items) == (3, 1, 2)
    (early,) = rows_of(raw, "items", "2013-03-02")
    assert (early["item_id"], early["updated_at"][:10]) == ("0001", "2013-03-01")
    assert rows_of(raw, "items", "2013-03-03")[0]["item_id"] == "0002"


def test_movielens_profiles_land_on_the_users_first_day(
    movielens: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    summary = import_movielens_100k(movielens, raw, None, None)
    assert (summary.events, summary.profiles, summary.items) == (3, 2, 2)
    assert summary.skipped == {"profiles_never_in_an_event": 1}
    assert rows_of(raw, "profiles", "2013-03-01") == [
        {
            "user_id": "1",
            "age": 24,
            "gender": "M",
            "occupation": "writer",
            "zip_area": "8",
            "updated_at": "2013-03-01T00:00:00+00:00",
        }
    ]
    assert rows_of(raw, "profiles", "2013-03-03")[0]["zip_area"] == "T"


def test_movielens_movies_have_latin_1_titles_and_genres_by_name(
    movielens: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    import_movielens_100k(movielens, raw, None, None)
    (cafe,) = rows_of(raw, "items", "2013-03-01")
    assert (cafe["title"], cafe["year"], cafe["release_date"]) == ("Café", 1995, "1995-01-01")
    assert cafe["genres"] == ["Action", "Drama"]
    (unknown,) = rows_of(raw, "items", "2013-03-03")
    assert (unknown["year"], unknown["genres"]) == (None, [])


def test_online_retail_keeps_its_dirt_and_says_what_it_means(
    online_retail: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    summary = import_online_retail(online_retail, raw, None, None)
    assert (summary.days, summary.events, summary.profiles) == (3, 6, 0)
    assert summary.skipped == {"invoice_date_not_a_time": 1, "wrong_number_of_fields": 1}
    rows = rows_of(raw, "events", "2011-07-01")
    ids = [row.pop("event_id") for row in rows]
    assert ids[0] == ids[1]
    assert len({*ids}) == len(ids) - 1
    sale, again, lost, returned = rows
    assert (
        sale
        == again
        == {
            "event_timestamp": "2011-07-01T09:00:00+01:00",
            "event_type": "purchase",
            "user_id": "17850",
            "item_id": "B",
            "value": 2.0,
            "price": 1.25,
            "request_id": "1001",
            "country": "France",
        }
    )
    assert (lost["user_id"], lost["value"], lost["event_type"]) == (None, -3.0, "purchase")
    assert (returned["event_type"], returned["value"]) == ("return", -1.0)
    assert rows_of(raw, "events", "2011-07-02") == []


def test_online_retail_items_take_the_name_of_their_first_priced_sale(
    online_retail: Path, tmp_path: Path, rows_of: Rows
) -> None:
    raw = tmp_path / "raw"
    import_online_retail(online_retail, raw, None, None)
    first = {
        row["item_id"]: (row["title"], row["price"]) for row in rows_of(raw, "items", "2011-07-01")
    }
    assert first == {"A": ("lost", None), "B": ("RED MUG", 1.25)}
    later = {
        row["item_id"]: (row["title"], row["price"]) for row in rows_of(raw, "items", "2011-07-03")
    }
    assert later == {"A": ("BLUE CUP", 3.5)}


def test_a_missing_file_is_named_with_what_was_found_and_what_to_type(
    movietweetings: Path, tmp_path: Path
) -> None:
    (movietweetings / "movies.dat").unlink()
    with pytest.raises(SourceError) as error:
        import_movietweetings(movietweetings, tmp_path / "raw", None, None)
    assert f"Expected movies.dat or movies.dat.gz in {movietweetings}" in str(error.value)
    assert "found ['ratings.dat.gz']" in str(error.value)
    assert "dayfold import movietweetings --source DIR" in str(error.value)
    assert not (tmp_path / "raw" / ".spill").exists()


def test_a_folder_without_day_files_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"Expected files YYYY-MM-DD\.csv"):
        import_online_retail(tmp_path / "nowhere", tmp_path / "raw", None, None)


def test_a_day_file_without_a_column_is_named_with_the_column(
    online_retail: Path, tmp_path: Path
) -> None:
    (online_retail / "by-day" / "2011-07-01.csv").write_text("InvoiceNo,StockCode\n1,2\n")
    with pytest.raises(SourceError, match=r"2011-07-01\.csv: expected the columns.*'CustomerID'"):
        import_online_retail(online_retail, tmp_path / "raw", None, None)


def test_a_range_beyond_the_data_is_refused_with_the_range_there_is(
    online_retail: Path, movietweetings: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="--from 2011-07-01 --to 2011-07-03"):
        import_online_retail(online_retail, tmp_path / "raw", "2012-01-01", None)
    with pytest.raises(ConfigError, match="--from 2011-07-01 --to 2011-07-03"):
        import_online_retail(online_retail, tmp_path / "raw", "2012-01-01", "2012-01-02")
    with pytest.raises(ConfigError, match="--from 2013-03-01 --to 2013-03-03"):
        import_movietweetings(movietweetings, tmp_path / "raw", "2014-01-01", None)
    assert not list(tmp_path.glob("raw/*"))
