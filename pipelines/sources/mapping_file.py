"""Reads a mapping file; what is wrong with it is said by file, line or key, with the right form."""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from conf.errors import ConfigError
from conf.problems import validation_message
from conf.yaml_files import read_yaml
from pipelines.sources.mapping import Mapping


def load_mapping(path: Path) -> Mapping:
    """The mapping in a YAML file.

    Raises:
        ConfigError: the file is missing or not YAML, or a key in it is wrong.
    """
    if not path.exists():
        raise ConfigError(
            f"Expected a mapping file at {path}, found none. "
            "docs/raw-zone.md has one to begin with; then: dayfold import table --mapping FILE.yaml"
        )
    try:
        return Mapping.model_validate(read_yaml(path))
    except ValidationError as error:
        raise ConfigError(
            f"{validation_message(str(path), error, Mapping)}\n"
            "Correct these keys (docs/raw-zone.md explains them) and run the import again: "
            f"dayfold import table --mapping {path} --raw DIR"
        ) from error
