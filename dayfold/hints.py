"""Commands in messages, made complete: what a person copies must act on the same dataset."""

from __future__ import annotations

import re

from conf.settings import Settings, named_dataset

_COMMAND = re.compile(
    r"\bdayfold (run|step|status|report|recommend|ui|day waive|quarantine replay|quarantine|"
    r"lineage|upkeep|forget|audit leaks)\b(?! --dataset)(?![^`;\n]* --dataset)"
)


def complete(text: str) -> str:
    """`text` with the dataset of this process in each command that would need it."""
    dataset = named_dataset()
    if dataset in (None, Settings.model_fields["dataset"].default):
        return text
    return _COMMAND.sub(lambda found: f"{found[0]} --dataset {dataset}", text)
