"""Statements on OTP's semantics as scripts, each with the diary it must give.

>>> RULES[0].number, RULES[0].diary
('1.2.3', '+a +b !c -b -a')
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from tests.semantics.scripts import (
    AnyChild,
    Command,
    Crash,
    Delete,
    End,
    Kill,
    KillTogether,
    RestartOne,
    Script,
    Start,
    Terminate,
    Tree,
    Wait,
    Worker,
)

__all__ = ["RULES", "Rule"]


@frozen
class Rule:
    """Be a numbered statement, a script that shows it, and the diary of the root's children."""

    number: str
    script: Script
    diary: str


def rule(
    number: str, diary: str, children: list[AnyChild], commands: list[Command], **options: Any
) -> Rule:
    """Make a rule about a root with these children and options, to which this happens."""
    return Rule(number, Script(Tree("top", children, **options), commands), diary)


A, B, C = Worker("a"), Worker("b"), Worker("c")
QA, QB = Worker("qa"), Worker("qb")

RULES = (
    rule("1.2.3", "+a +b !c -b -a", [A, B, Worker("c", starts=("fail",))], []),
    rule(
        "1.2.5",
        "~a +a ~b -a",
        [Worker("a", starts=("ignore",))],
        [RestartOne("top", "a"), Start("top", Worker("b", starts=("ignore",)))],
    ),
    rule(
        "1.3",
        "+a +b +c -a +a -b -c -a",
        [A, Worker("b", restart="transient"), Worker("c", restart="temporary")],
        [End("top/a"), End("top/b"), End("top/c")],
    ),
    rule(
        "1.3.1",
        "+a +b -a -b +b -b",
        [Worker("a", restart="transient"), Worker("b", restart="transient")],
        [End("top/a", reason="shutdown detail"), Kill("top/b")],
    ),
    rule(
        "1.3.5",
        "+t -t",
        [Tree("t", (Worker("a"),), max_restarts=0, restart="transient")],
        [Crash("top/t/a")],
    ),
    rule(
        "1.4.2",
        "+a +b +c -b -c -a +a +b +c -c -b -a",
        [A, B, C],
        [Crash("top/b")],
        strategy="one_for_all",
    ),
    rule(
        "1.4.3",
        "+a +b +c -b -c +b +c -c -b -a",
        [A, B, C],
        [Crash("top/b")],
        strategy="rest_for_one",
    ),
    rule(
        "1.4.4",
        "+a +b +c -a -b -c +a +b +c -c -b -a",
        [Worker("a", restart="transient"), B, C],
        [End("top/a"), Terminate("top", "b"), Crash("top/c")],
        strategy="one_for_all",
    ),
    rule(
        "1.4.5",
        "+a +b -a -b +a -a",
        [A, Worker("b", restart="temporary")],
        [Crash("top/a")],
        strategy="one_for_all",
    ),
    rule(
        "1.4.7 rest_for_one, a first",
        "+qa +qb -qa -qb +qa +qb -qb -qa",
        [QA, QB],
        [KillTogether(("top/qa", "top/qb"))],
        strategy="rest_for_one",
        max_restarts=1,
    ),
    rule(
        "1.4.7 rest_for_one, b first",
        "+qa +qb -qb -qa +qb -qb",
        [QA, QB],
        [KillTogether(("top/qb", "top/qa"))],
        strategy="rest_for_one",
        max_restarts=1,
    ),
    rule(
        "1.4.8",
        "+t +b +n1 -t +t -n1 -b -t",
        [Tree("t", (Worker("a"),), strategy="one_for_all", max_restarts=0), B],
        [Start("top", Worker("n1")), Start("top/t", Worker("n2")), Crash("top/t/a")],
    ),
    rule(
        "1.5.4",
        "+a +b -b !b !b !b -a",
        [A, Worker("b", starts=("ok",), then="fail")],
        [Crash("top/b")],
    ),
    rule(
        "1.6.3",
        "+a +b +c -c -b -a +a !b -a +a +b +c -c -b -a",
        [A, Worker("b", starts=("ok", "fail")), C],
        [Crash("top/c")],
        strategy="one_for_all",
    ),
    rule(
        "1.6.4",
        "+a +b +c -b -c +b !c +c -c -b -a",
        [A, B, Worker("c", starts=("ok", "fail"))],
        [Crash("top/b")],
        strategy="rest_for_one",
    ),
    rule(
        "1.6.5",
        "+a +b +c -a -c -b +a !b -a",
        [A, Worker("b", starts=("ok", "slow fail")), C],
        [Crash("top/a"), Terminate("top", "b"), Wait(3)],
        strategy="one_for_all",
    ),
    rule(
        "1.6.7",
        "+a +b -b -a +a !b +n1 -n1 -a +a +b +n1 -n1 -b -a",
        [A, Worker("b", starts=("ok", "slow fail"))],
        [Crash("top/b"), Start("top", Worker("n1")), Wait(3)],
        strategy="one_for_all",
    ),
    rule(
        "1.9.3",
        "+a +b +c -a -b -c",
        [
            Worker("a", restart="transient", significant=True),
            Worker("b", restart="temporary", significant=True),
            C,
        ],
        [End("top/a"), Crash("top/b")],
        auto_shutdown="all_significant",
    ),
    rule(
        "1.9.4",
        "+a +b -a -b +b -b",
        [Worker("a", restart="transient", significant=True), B],
        [Terminate("top", "a"), Crash("top/b")],
        auto_shutdown="any_significant",
    ),
    rule(
        "1.10.3",
        "+a +b +c -a +a -c -a +c +a -a -c -b",
        [A, B, C],
        [Terminate("top", "a"), Delete("top", "a"), Start("top", Worker("a")), Crash("top/c")],
        strategy="rest_for_one",
    ),
)
