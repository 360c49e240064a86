"""The pseudonym column: equal to conf.pseudonym, and silent about key and ids."""

from __future__ import annotations

import random
import secrets
import string

import pyarrow.parquet as pq
import pytest
from pyspark.sql import SparkSession

from conf.pseudonym import pseudonym
from pipelines.pseudonym_column import key_frame, with_pseudonym

pytestmark = pytest.mark.spark


def _random_ids(count: int) -> list[str]:
    dice = random.Random(7)
    letters = string.printable + "äß日本😀"
    ids = ["".join(dice.choices(letters, k=dice.randrange(1, 200))) for _ in range(count)]
    return [*ids, "", "x" * 64, "x" * 65]


def test_the_column_is_the_hmac_of_the_python_side(spark: SparkSession) -> None:
    key = secrets.token_bytes(32)
    ids = _random_ids(200)
    rows = spark.createDataFrame([(n, text) for n, text in enumerate(ids)], "n int, user_id string")
    found = with_pseudonym(rows, key_frame(spark, key), "user_id").collect()
    assert {row["n"]: row["user_id"] for row in found} == {
        n: pseudonym(key, text) for n, text in enumerate(ids)
    }


def test_no_user_stays_no_user(spark: SparkSession) -> None:
    rows = spark.createDataFrame([(None,)], "user_id string")
    keys = key_frame(spark, secrets.token_bytes(32))
    assert with_pseudonym(rows, keys, "user_id").collect()[0]["user_id"] is None


def test_neither_plan_nor_files_hold_the_key(
    spark: SparkSession, tmp_path_factory: pytest.TempPathFactory, capfd: pytest.CaptureFixture[str]
) -> None:
    key = secrets.token_bytes(32)
    inner = bytes(byte ^ 0x36 for byte in key)
    rows = spark.createDataFrame([("alice-0001",)], "user_id string")
    replaced = with_pseudonym(rows, key_frame(spark, key), "user_id")
    limits = {
        "spark.sql.debug.maxToStringFields": "1000",
        "spark.sql.maxPlanStringLength": "999999",
    }
    before = {name: str(spark.conf.get(name)) for name in limits}
    for settings in (limits, before):
        for name, value in settings.items():
            spark.conf.set(name, value)
        replaced.explain("extended")
        replaced.explain("formatted")
    plans = capfd.readouterr().out.lower()
    assert "sha2" in plans
    folder = tmp_path_factory.mktemp("written")
    replaced.write.mode("overwrite").parquet(str(folder))
    files = [path for path in folder.iterdir() if path.suffix == ".parquet"]
    assert sum(pq.read_table(path).num_rows for path in files) == 1
    for secret in (key, inner):
        assert secret.hex() not in plans
        assert all(secret not in path.read_bytes() for path in files)
    assert all(b"alice-0001" not in path.read_bytes() for path in files)
