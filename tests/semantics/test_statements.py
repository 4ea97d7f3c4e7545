"""Tests of `STATEMENTS.md`: every statement has its tests, or a reason why it has none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import frozen

HERE = Path(__file__).parent

# The numbers of the page on OTP's semantics; one that ends in 0 is the table of a section.
STATEMENTS = """
    1.1.1 1.1.2 1.1.3 1.1.4 1.1.5 1.1.6 1.1.7 1.1.8
    1.2.1 1.2.2 1.2.3 1.2.4 1.2.5 1.2.6 1.2.7 1.2.8
    1.3.0 1.3.1 1.3.2 1.3.3 1.3.4 1.3.5 1.3.6
    1.4.1 1.4.2 1.4.3 1.4.4 1.4.5 1.4.6 1.4.7 1.4.8 1.4.9 1.4.10
    1.5.1 1.5.2 1.5.3 1.5.4 1.5.5 1.5.6 1.5.7 1.5.8 1.5.9
    1.6.1 1.6.2 1.6.3 1.6.4 1.6.5 1.6.6 1.6.7 1.6.8 1.6.9 1.6.10
    1.7.1 1.7.2 1.7.3 1.7.4 1.7.5 1.7.6 1.7.7
    1.8.1 1.8.2 1.8.3 1.8.4 1.8.5 1.8.6
    1.9.1 1.9.2 1.9.3 1.9.4 1.9.5 1.9.6 1.9.7
    1.10.0 1.10.1 1.10.2 1.10.3 1.10.4
    1.11.1 1.11.2
    1.12.1 1.12.2 1.12.3 1.12.4
    1.15.2 1.15.3 1.15.4
"""

# The mistakes of re-implementations: those with a number on that page, and those of Python alone.
MISTAKES = [f"mistake {number}" for number in range(1, 30 + 7 + 1)]

NUMBER = r"\d+\.\d+\.\d+|mistake \d+"

FEWEST_WORDS = 4
"""A reason with less than so many words is none."""


@frozen
class Row:
    """Hold one row of the table: a statement, its tests, and what is different here."""

    statement: str
    tests: tuple[str, ...]
    difference: str


def read_rows(text: str) -> list[Row]:
    """Read the rows of all tables. Raises ValueError when one cannot be read."""
    rows: list[Row] = []
    for line in text.splitlines():
        if not line.startswith("|") or set(line) <= set("|- ") or "| Tests |" in line:
            continue
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if len(cells) != 3 or not re.fullmatch(NUMBER, cells[0]):
            raise ValueError(f"not a row: {line}")
        parts = [] if cells[1] == "none" else cells[1].split("<br>")
        names = [re.fullmatch(r"`(\w+)`", part.strip()) for part in parts]
        if None in names:
            raise ValueError(f"not a list of tests: {line}")
        rows.append(Row(cells[0], tuple(name[1] for name in names if name), cells[2]))
    return rows


def list_tests(sources: Mapping[str, str]) -> list[tuple[str, str]]:
    """List file and name of each test in these sources."""
    return [
        (file, node.name)
        for file, source in sources.items()
        for node in ast.parse(source).body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    ]


def faults(
    statements: Sequence[str], rows: Sequence[Row], tests: Iterable[tuple[str, str]]
) -> list[str]:
    """List what is wrong: with the table, with the tests, or between the two."""
    found: list[str] = []
    listed = [row.statement for row in rows]
    if listed != list(statements):
        found.append(f"the statements are not those of the page: {' '.join(listed)}")
    names = [name for _, name in tests]
    found += [f"{name} is there twice" for name in dict.fromkeys(names) if names.count(name) > 1]
    for row in rows:
        found += faults_of(row, names)
    known = tuple(map(beginning, statements))
    found += [f"{name} is named after no statement" for name in names if not name.startswith(known)]
    return found


def faults_of(row: Row, names: Sequence[str]) -> list[str]:
    """List what is wrong with one row, given the names of all tests."""
    own = beginning(row.statement)
    found = [f"{row.statement}: there is no {name}" for name in row.tests if name not in names]
    found += [
        f"{name} is not in the row of {row.statement}"
        for name in names
        if name.startswith(own) and name not in row.tests
    ]
    if not row.tests and len(row.difference.split()) < FEWEST_WORDS:
        found.append(f"{row.statement}: neither a test nor a reason")
    return found


def beginning(statement: str) -> str:
    """Return how the names of a statement's tests begin, or of a mistake's."""
    if statement.startswith("mistake "):
        return f"test_mistake_{int(statement.split()[1]):02}_"
    return f"test_{statement.replace('.', '_')}_"


def test_every_statement_has_its_tests_or_a_reason() -> None:
    """Each statement has one row in order, whose tests exist and are all that bear its number."""
    sources = {path.name: path.read_text("utf-8") for path in HERE.glob("test_1_*.py")}
    sources |= {path.name: path.read_text("utf-8") for path in HERE.glob("test_mistakes*.py")}
    rows = read_rows((HERE / "STATEMENTS.md").read_text("utf-8"))
    assert faults([*STATEMENTS.split(), *MISTAKES], rows, list_tests(sources)) == []
    assert [row.statement for row in rows[-len(MISTAKES) :] if not row.tests] == []


def test_each_test_stands_in_the_file_of_its_section() -> None:
    """The files are named after the sections whose tests they hold."""
    strays = [
        f"{path.name}: {name}"
        for path in HERE.glob("test_1_*.py")
        for _, name in list_tests({path.name: path.read_text("utf-8")})
        if [int(part) for part in path.name.split("_")[1:3]]
        != [int(part) for part in name.split("_")[1:3]]
    ]
    assert strays == []
