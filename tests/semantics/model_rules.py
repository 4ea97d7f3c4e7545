"""Statements on OTP's semantics as scripts, each with the diary it must give.

>>> RULES[0].number, RULES[0].diary
('1.2.3', '+a +b !c -b -a')
"""

from __future__ import annotations

from attrs import frozen

from tests.semantics.scripts import (
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


ABC = [Worker("a"), Worker("b"), Worker("c")]

RULES = (
    Rule(
        "1.2.3",
        Script(Tree("top", [Worker("a"), Worker("b"), Worker("c", starts=["fail"])]), []),
        "+a +b !c -b -a",
    ),
    Rule(
        "1.2.5",
        Script(
            Tree("top", [Worker("a", starts=["ignore"])]),
            [RestartOne("top", "a"), Start("top", Worker("b", starts=["ignore"]))],
        ),
        "~a +a ~b -a",
    ),
    Rule(
        "1.3",
        Script(
            Tree("top", [Worker("a"), Worker("b", "transient"), Worker("c", "temporary")]),
            [End("top/a"), End("top/b"), End("top/c")],
        ),
        "+a +b +c -a +a -b -c -a",
    ),
    Rule(
        "1.3.1",
        Script(
            Tree("top", [Worker("a", "transient"), Worker("b", "transient")]),
            [End("top/a", "shutdown detail"), Kill("top/b")],
        ),
        "+a +b -a -b +b -b",
    ),
    Rule(
        "1.3.5",
        Script(
            Tree("top", [Tree("t", [Worker("a")], max_restarts=0, restart="transient")]),
            [Crash("top/t/a")],
        ),
        "+t -t",
    ),
    Rule(
        "1.4.2",
        Script(Tree("top", ABC, "one_for_all"), [Crash("top/b")]),
        "+a +b +c -b -c -a +a +b +c -c -b -a",
    ),
    Rule(
        "1.4.3",
        Script(Tree("top", ABC, "rest_for_one"), [Crash("top/b")]),
        "+a +b +c -b -c +b +c -c -b -a",
    ),
    Rule(
        "1.4.4",
        Script(
            Tree("top", [Worker("a", "transient"), Worker("b"), Worker("c")], "one_for_all"),
            [End("top/a"), Terminate("top", "b"), Crash("top/c")],
        ),
        "+a +b +c -a -b -c +a +b +c -c -b -a",
    ),
    Rule(
        "1.4.5",
        Script(
            Tree("top", [Worker("a"), Worker("b", "temporary")], "one_for_all"), [Crash("top/a")]
        ),
        "+a +b -a -b +a -a",
    ),
    Rule(
        "1.4.7 rest_for_one, a first",
        Script(
            Tree("top", [Worker("qa"), Worker("qb")], "rest_for_one", max_restarts=1),
            [KillTogether(["top/qa", "top/qb"])],
        ),
        "+qa +qb -qa -qb +qa +qb -qb -qa",
    ),
    Rule(
        "1.4.7 rest_for_one, b first",
        Script(
            Tree("top", [Worker("qa"), Worker("qb")], "rest_for_one", max_restarts=1),
            [KillTogether(["top/qb", "top/qa"])],
        ),
        "+qa +qb -qb -qa +qb -qb",
    ),
    Rule(
        "1.4.8",
        Script(
            Tree("top", [Tree("t", ABC[:1], "one_for_all", max_restarts=0), Worker("b")]),
            [Start("top", Worker("n1")), Start("top/t", Worker("n2")), Crash("top/t/a")],
        ),
        "+t +b +n1 -t +t -n1 -b -t",
    ),
    Rule(
        "1.5.4",
        Script(
            Tree("top", [Worker("a"), Worker("b", starts=["ok"], then="fail")], max_restarts=3),
            [Crash("top/b")],
        ),
        "+a +b -b !b !b !b -a",
    ),
    Rule(
        "1.6.3",
        Script(
            Tree("top", [Worker("a"), Worker("b", starts=["ok", "fail"]), ABC[2]], "one_for_all"),
            [Crash("top/c")],
        ),
        "+a +b +c -c -b -a +a !b -a +a +b +c -c -b -a",
    ),
    Rule(
        "1.6.4",
        Script(
            Tree("top", [*ABC[:2], Worker("c", starts=["ok", "fail"])], "rest_for_one"),
            [Crash("top/b")],
        ),
        "+a +b +c -b -c +b !c +c -c -b -a",
    ),
    Rule(
        "1.6.5",
        Script(
            Tree(
                "top", [Worker("a"), Worker("b", starts=["ok", "slow fail"]), ABC[2]], "one_for_all"
            ),
            [Crash("top/a"), Terminate("top", "b"), Wait(3)],
        ),
        "+a +b +c -a -c -b +a !b -a",
    ),
    Rule(
        "1.6.7",
        Script(
            Tree("top", [Worker("a"), Worker("b", starts=["ok", "slow fail"])], "one_for_all"),
            [Crash("top/b"), Start("top", Worker("n1")), Wait(3)],
        ),
        "+a +b -b -a +a !b +n1 -n1 -a +a +b +n1 -n1 -b -a",
    ),
    Rule(
        "1.9.3",
        Script(
            Tree(
                "top",
                [
                    Worker("a", "transient", significant=True),
                    Worker("b", "temporary", significant=True),
                    Worker("c"),
                ],
                auto_shutdown="all_significant",
            ),
            [End("top/a"), Crash("top/b")],
        ),
        "+a +b +c -a -b -c",
    ),
    Rule(
        "1.9.4",
        Script(
            Tree(
                "top",
                [Worker("a", "transient", significant=True), Worker("b")],
                auto_shutdown="any_significant",
            ),
            [Terminate("top", "a"), Crash("top/b")],
        ),
        "+a +b -a -b +b -b",
    ),
    Rule(
        "1.10.3",
        Script(
            Tree("top", ABC, "rest_for_one"),
            [
                Terminate("top", "a"),
                Delete("top", "a"),
                Start("top", Worker("a")),
                Crash("top/c"),
            ],
        ),
        "+a +b +c -a +a -c -a +c +a -a -c -b",
    ),
)
