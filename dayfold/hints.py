"""Commands in messages, made complete: what a person copies must act on the same places."""

from __future__ import annotations

import os
import re
import shlex

from conf.origins import FLAGS, PREFIX
from conf.settings import Settings, named_dataset

_TAKES = {
    **dict.fromkeys(("run", "step", "ui", "quarantine replay", "lineage"), "dataset raw lake"),
    "day reopen": "dataset raw lake",
    **dict.fromkeys(("status", "report", "recommend", "upkeep", "forget"), "dataset lake"),
    **dict.fromkeys(("day waive", "quarantine"), "dataset lake"),
    "audit leaks": "dataset raw",
}
"""Which of the three flags a command takes."""
_COMMAND = re.compile(
    # The longer name of two that begin alike comes first.
    rf"\bdayfold (?P<name>{'|'.join(sorted(_TAKES, reverse=True))})\b(?=(?P<rest>[^`;\n]*))"
)


def complete(text: str) -> str:
    """`text` with the dataset, raw zone and lake of this process in each command that needs them.

    A raw zone or lake is needed if a flag of this process named it: the environment of whoever
    copies the command still has the others.
    """
    given = _given()
    return _COMMAND.sub(lambda found: _completed(found, given), text) if given else text


def _given() -> dict[str, str]:
    given = {}
    dataset = named_dataset()
    if dataset not in (None, Settings.model_fields["dataset"].default):
        given["dataset"] = str(dataset)
    for flag in ("raw", "lake"):
        variable = f"{PREFIX}{flag.upper()}"
        if variable in FLAGS and variable in os.environ:
            given[flag] = os.environ[variable]
    return given


def _completed(found: re.Match[str], given: dict[str, str]) -> str:
    takes = _TAKES[found["name"]].split()
    missing = [flag for flag in given if flag in takes and f" --{flag}" not in found["rest"]]
    return " ".join([found[0], *(f"--{flag} {shlex.quote(given[flag])}" for flag in missing)])
