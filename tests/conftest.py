"""No test touches the checkout's own .dayfold/: each test run has a home of its own."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile

_HOME = tempfile.mkdtemp(prefix="dayfold-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["DAYFOLD__HOME"] = _HOME
os.environ["DAYFOLD_KEY"] = "00112233445566778899aabbccddeeff" * 2
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
os.environ["DO_NOT_TRACK"] = "true"
# tests run two at once: threads of both, on two cores, only wait for each other
for _threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_threads, "1")
