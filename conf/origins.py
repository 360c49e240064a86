"""Where a setting was set: by a flag, an environment variable or a YAML file."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pydantic import BaseModel, ValidationError

from conf.problems import Place, problem_lines

PREFIX = "DAYFOLD__"
FLAGS: dict[str, str] = {}
"""What the command line of this process has set: the flag by its variable."""


def refusal(
    error: ValidationError,
    model: type[BaseModel],
    environment: Mapping[str, str],
    files: Mapping[str, Mapping[str, object]],
    hide: Callable[[str], str],
) -> str:
    """Each wrong setting with where it was set, and what to correct.

    Args:
        error: what pydantic found.
        model: the settings.
        environment: the variables of the process.
        files: what each YAML file sets, the one that overrules the others first.
        hide: takes passwords out of what is shown.
    """

    def origin(place: Place) -> str:
        sources = _sources(place, environment, files)
        return f"from {' and '.join(sources)}" if sources else ""

    wrong = (_sources(problem["loc"], environment, files) for problem in error.errors())
    places = dict.fromkeys(place for sources in wrong for place in sources)
    lines = problem_lines(error, model, origin, hide)
    unset = " or unset" if any(place.startswith(PREFIX) for place in places) else ""
    return "\n".join(
        [
            "The settings are not valid:",
            *lines,
            f"Next: correct{unset} {', '.join(places) or 'them'}, then run the same command again.",
        ]
    )


def _sources(
    place: Place, environment: Mapping[str, str], files: Mapping[str, Mapping[str, object]]
) -> list[str]:
    """The flags or variables that set the setting at `place` or a part of it; else the file."""
    dotted = "__".join(str(part) for part in place)
    found = []
    for variable in environment:
        name = variable.removeprefix(PREFIX).lower()
        if variable.startswith(PREFIX) and (
            f"{dotted}__".startswith(f"{name}__") or f"{name}__".startswith(f"{dotted}__")
        ):
            found.append(FLAGS.get(variable, variable))
    return found or [file for file, values in files.items() if _holds(values, place)][:1]


def _holds(values: Mapping[str, object], place: Place) -> bool:
    """Whether a file sets the key at `place`, or the list or value that it stands in."""
    level: object = values
    for part in place:
        if not isinstance(level, Mapping):
            return True
        if part not in level:
            return False
        level = level[str(part)]
    return True
