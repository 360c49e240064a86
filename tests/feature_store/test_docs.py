"""The Python of docs/point-in-time.md runs, and says what the log says."""

from __future__ import annotations

from pathlib import Path

import pytest

from conf.dataset import load_dataset
from tests.feature_store.event_log import happened, written

DOCS = Path(__file__).parents[2] / "docs" / "point-in-time.md"


def test_the_snippets_of_the_docs_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log = [
        happened("2026-02-10", "2026-02-10", "in time", item="i00007"),
        happened("2026-02-11", "2026-02-10", "a day late", item="i00007"),
        happened("2026-02-12", "2026-02-10", "two days late", item="i00007"),
    ]
    written(tmp_path / "lake" / "simulated", log, load_dataset("simulated"))
    monkeypatch.setenv("DAYFOLD__HOME", str(tmp_path))
    snippets = [part.split("```")[0] for part in DOCS.read_text().split("```python\n")[1:]]
    for snippet in snippets:
        exec(snippet, {})  # noqa: S102
    assert capsys.readouterr().out.splitlines() == [
        "1 events of the 10th arrived after the 11th",
        "i00007 click 2",
    ]
