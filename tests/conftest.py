"""No test touches the checkout's own .dayfold/: each test run has a home of its own."""

from __future__ import annotations

import os
import tempfile

os.environ["DAYFOLD__HOME"] = tempfile.mkdtemp(prefix="dayfold-tests-")
os.environ["DAYFOLD_KEY"] = "00112233445566778899aabbccddeeff" * 2
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
