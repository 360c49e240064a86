"""After the Spark steps no file that they wrote holds the key or a raw user id."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from feature_store.tables import EVENTS
from tests.dayfold.forget_fixture import files_naming
from tests.key_search import files_with, forms_of
from tests.pipelines.workbench import KEY, MONDAY, Workbench, event

pytestmark = pytest.mark.spark

USER = "anna-0001"


def test_the_spark_steps_write_neither_the_key_nor_a_raw_id(
    bench: Callable[..., Workbench], capfd: pytest.CaptureFixture[str]
) -> None:
    shop = bench()
    shop.write(
        MONDAY,
        [event(f"{MONDAY} 10:00", USER, "i1"), event(f"{MONDAY} 10:01", USER, "i1", "hover")],
        [{"user_id": USER, "updated_at": f"{MONDAY}T00:00:00Z", "gender": "female"}],
    )
    shop.run_all(MONDAY)
    assert len(shop.rows(EVENTS)) == 1
    assert files_with(shop.root, forms_of(KEY)) == []
    assert files_naming(Path(shop.lake.root), USER) == []
    said = "".join(capfd.readouterr())
    assert USER not in said
    assert KEY.hex() not in said.lower()


def test_the_search_would_find_the_key(tmp_path: Path) -> None:
    for number, form in enumerate(forms_of(KEY)):
        (tmp_path / f"{number}.bin").write_bytes(b"x" + form + b"y")
    assert len(files_with(tmp_path, forms_of(KEY))) == len(forms_of(KEY))
