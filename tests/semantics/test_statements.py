"""Tests of `STATEMENTS.md`: every statement has its tests, or a reason why it has none."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

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

ROW = re.compile(r"\| (\d+\.\d+\.\d+|mistake \d+) \| (none|`\w+`(?:<br>`\w+`)*) \| (.*)\|")


def rows() -> Iterator[tuple[str, list[str], str]]:
    """Go through the table: a statement, its tests, and what is different here."""
    for line in (HERE / "STATEMENTS.md").read_text("utf-8").splitlines():
        if not line.startswith("|") or set(line) <= set("|- ") or "| Tests |" in line:
            continue
        match = ROW.fullmatch(line)
        assert match, f"not a row: {line}"
        yield match[1], re.findall(r"`(\w+)`", match[2]), match[3]


def all_tests() -> Iterator[tuple[str, str]]:
    """Go through the tests of statements and mistakes: file and name."""
    for path in (*HERE.glob("test_1_*.py"), *HERE.glob("test_mistakes*.py")):
        for node in ast.parse(path.read_text("utf-8")).body:
            name = getattr(node, "name", "")
            if name.startswith("test_"):
                yield path.name, name


def beginning(statement: str) -> str:
    """Return how the names of a statement's tests begin, or of a mistake's."""
    if statement.startswith("mistake "):
        return f"test_mistake_{int(statement.split()[1]):02}_"
    return f"test_{statement.replace('.', '_')}_"


def test_every_statement_has_its_tests_or_a_reason() -> None:
    """Each statement has one row in order, whose tests exist, and who bears its number is there."""
    assert [statement for statement, _, _ in rows()] == [*STATEMENTS.split(), *MISTAKES]
    names = [name for _, name in all_tests()]
    assert len(names) == len(set(names))
    for statement, listed, difference in rows():
        own = {name for name in names if name.startswith(beginning(statement))}
        assert own <= set(listed) <= set(names), statement
        assert listed or len(difference.split()) > 3, f"{statement}: neither a test nor a reason"
        assert listed or statement not in MISTAKES, statement


def test_each_test_stands_in_the_file_of_its_section() -> None:
    """Tests are named after statements, and files after the sections whose tests they hold."""
    known = tuple(map(beginning, [*STATEMENTS.split(), *MISTAKES]))
    for file, name in all_tests():
        assert name.startswith(known)
        if file.startswith("test_1_"):
            section, own = (list(map(int, text.split("_")[1:3])) for text in (file, name))
            assert section == own, f"{file}: {name}"
