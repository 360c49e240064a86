"""A benchmark's result file: name, commit, load and machine, time, summary, raw rows."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from conf.lineage import code_version

RESULTS = Path(__file__).parent / "results"


def write_result(name: str, summary: dict[str, float], rows: list[dict[str, Any]]) -> Path:
    """Write `results/<name>.json` and give its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    content = {
        "name": name,
        "commit": code_version(),
        "load": [round(load, 2) for load in os.getloadavg()],
        "machine": f"{os.cpu_count()} cores, {platform.machine()}",
        "python": platform.python_version(),
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "summary": {key: round(value, 6) for key, value in summary.items()},
        "rows": rows,
    }
    path.write_text(json.dumps(content, indent=1) + "\n")
    return path
