"""Every error that Dayfold raises on purpose.

    DayfoldError            a user's mistake or a broken promise of the data; shown as one message
    |- ConfigError          a setting or a dataset declaration is wrong (names file and key)
    |- SourceError          a raw file or a public data set cannot be read
    |- OrderError           a day may not run now (an earlier day is open, or this one is published)
    |- MissingPartition     a step's input is not there yet
    |- SchemaMismatch       rows do not have the declared columns
    |- CheckFailed          a table's check found bad rows
    |- ConcurrentWrite      another process wrote the same partition
    |- OnlineStoreError     the online store does not answer
    |- TrainingError        a scorer could not be trained (NaN loss, no rows, no candidate)
    `- RegistryError        the model registry says something else than the ledger

A message says what was expected, what was found, where (table, day, file, key) and the next
command to type.
"""

from __future__ import annotations


class DayfoldError(Exception):
    """Base of every error with a message for the user."""


class ConfigError(DayfoldError):
    """A setting or a dataset declaration is wrong."""


class SourceError(DayfoldError):
    """A raw file or a public data set cannot be read."""


class OrderError(DayfoldError):
    """A day may not run now."""


class MissingPartition(DayfoldError):
    """A step's input is not there yet."""


class SchemaMismatch(DayfoldError):
    """Rows do not have the declared columns."""


class CheckFailed(DayfoldError):
    """A table's check found bad rows."""


class ConcurrentWrite(DayfoldError):
    """Another process wrote the same partition."""


class OnlineStoreError(DayfoldError):
    """The online store does not answer."""


class TrainingError(DayfoldError):
    """A scorer could not be trained."""


class RegistryError(DayfoldError):
    """The model registry says something else than the ledger."""
