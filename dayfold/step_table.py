"""The README's table of steps, generated from the declarations: `python -m dayfold.step_table`."""

from __future__ import annotations

from dayfold.day import STEPS


def step_table() -> str:
    """A Markdown table: step, what it does, tables read and written, engine."""
    lines = ["| step | does | reads | writes | engine |", "|---|---|---|---|---|"]
    for step in STEPS:
        reads = ["raw zone"] * step.reads_raw + [table.key for table in step.reads]
        earlier = [
            f"{table.key} (earlier days)" for table in step.before if table not in step.reads
        ]
        name = f"`{step.name}`" + (" per scorer" if step.mapped else "")
        writes = ", ".join(table.key for table in step.writes) or "-"
        lines.append(
            f"| {name} | {step.doc} | {', '.join([*reads, *earlier])} | {writes} | {step.engine} |"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    print(step_table())  # noqa: T201
