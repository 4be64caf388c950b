"""What a torture section finds, as a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        section: where it comes from.
        what: what was tried.
        result: what happened.
        goal: what is promised.
        met: whether it is kept.
        findings: a line for each failure, enough to repeat it.
    """

    section: str
    what: str
    result: str
    goal: str
    met: bool
    findings: tuple[str, ...] = ()


def table(rows: Sequence[Row]) -> str:
    """Return the rows as a Markdown table, then the findings."""
    lines = ["| section | what | result | goal | met |", "|---|---|---|---|---|"]
    lines += [
        f"| {row.section} | {row.what} | {row.result} | {row.goal} | {'yes' if row.met else 'NO'} |"
        for row in rows
    ]
    found = [f"- {row.section}, {row.what}: {finding}" for row in rows for finding in row.findings]
    return "\n".join([*lines, "", *found] if found else lines)
