"""`dayfold setup`, `dayfold key`: what a home needs before its first day."""

from __future__ import annotations

from rich.console import Console

_console = Console(emoji=False, highlight=False)


def setup() -> None:
    """Make the databases and the key under .dayfold/ (`make setup` does it)."""
    from conf.pseudonym import make_key
    from dayfold.airflow_home import prepare
    from dayfold.workplace import open_workplace

    workplace = open_workplace()
    make_key(workplace.settings.path(workplace.settings.key_file))
    prepare(workplace.home)
    _console.print(f"Ready: databases and key are under {workplace.home}", soft_wrap=True)


def key() -> None:
    """Make the key that replaces user ids, if there is none."""
    from conf.pseudonym import make_key
    from dayfold.workplace import open_workplace

    settings = open_workplace().settings
    path = settings.path(settings.key_file)
    make_key(path)
    _console.print(
        f"The key is in {path} (mode 600). Keep it: a new key changes every id.", soft_wrap=True
    )
