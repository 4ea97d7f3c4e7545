"""Tests of the stop report in the log of `run`: real processes, real signals, nothing lost."""

from __future__ import annotations

import re
import signal
from collections.abc import Callable

import pytest
from loguru import logger

from actors import CancellationToken, task
from supervision import ChildSpec, SupervisorSpec, run
from tests.kit.shops import STARTED, Shop, each_loop, report, start

__all__ = ["start"]

pytestmark = pytest.mark.real_time


@each_loop
def test_who_did_not_stop_in_time(start: Callable[..., Shop], loop: str) -> None:
    """An orderly stop with a late child says so again at the end, behind a summary."""
    shop = start("late", loop)
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    assert shop.end() == 0
    killed = re.compile(r"WARNING /shop/b killed( after \d\.\d s)?: did not stop in time")
    assert any(map(killed.fullmatch, shop.said))
    assert "INFO /shop/a stopped" in shop.said
    assert report(shop) == [
        "WARNING /shop 2 procs stopped in N s; 1 not in time",
        "WARNING /shop/b did not stop within 0.1 s, and was killed",
    ]


@each_loop
def test_an_error_is_told_with_its_place(start: Callable[..., Shop], loop: str) -> None:
    """Errors raised while stopping are in the report with the place in the user's code."""
    shop = start("bad_stop", loop)
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    assert shop.end() == 0
    assert "INFO /shop/a stopped" in shop.said
    assert report(shop) == [
        "WARNING /shop 2 procs stopped in N s; 1 error",
        "ERROR /shop/b raised while stopping: OSError: disk full"
        " at shop_of_run.py:N in BadStop.on_stop",
    ]


@each_loop
@pytest.mark.parametrize("how", ["grace", "second signal"])
def test_nothing_is_lost_when_everything_is_killed(
    start: Callable[..., Shop], loop: str, how: str
) -> None:
    """Killed after the grace, or by a second signal, the report has what went before, too."""
    options = ["--grace", "0.3"] if how == "grace" else []
    shop = start("deaf_and_bad", loop, *options)
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    if how == "second signal":
        shop.until("/shop/c raised while stopping")
        shop.tell(signal.SIGINT)
    assert shop.end() == (1 if how == "grace" else 130)
    summary, error, *killed = report(shop)
    assert summary == "WARNING /shop 3 procs stopped in N s; 2 killed, 1 error"
    assert error.startswith("ERROR /shop/c raised while stopping: OSError: disk full")
    assert sorted(re.sub(r"\d\.\d+ s", "N s", line) for line in killed) == [
        "WARNING /shop/a was killed before it was told to stop",
        "WARNING /shop/b was killed after N s",
    ]


@each_loop
def test_a_proc_that_swallows_its_kill_is_named(start: Callable[..., Shop], loop: str) -> None:
    """What has not ended when the process is ended by force is named, behind what had ended."""
    shop = start("impatient_undead", loop, "--grace", "0.5")
    shop.until(STARTED)
    shop.tell(signal.SIGTERM)
    assert shop.end() == 1
    assert shop.took < 3
    assert report(shop) == [
        "WARNING /shop 2 procs stopped in N s; 1 killed, 1 error, 1 not ended",
        "ERROR /shop/in/c raised while stopping: OSError: disk full"
        " at shop_of_run.py:N in BadStop.on_stop",
        "WARNING /shop/a was killed before it was told to stop",
        "ERROR /shop not ended: /shop/in/b",
    ]
    assert "ending the process, exit code 1" in shop.said[-1]


def test_a_blocked_loop_names_who_is_left(start: Callable[..., Shop]) -> None:
    """When the loop itself is blocked, all who are left are named, from outside of it."""
    shop = start("impatient_blocking", "asyncio", "--grace", "0.1")
    shop.until("blocks")
    shop.tell(signal.SIGTERM)
    assert shop.end() == 1
    assert report(shop)[-1].startswith("ERROR /shop not ended: /shop/a, /shop/b")
    assert shop.said[-1].endswith(": ending the process, exit code 1")


@each_loop
@pytest.mark.parametrize("target", ["gives_up", "bad_both"])
def test_a_tree_that_ends_by_itself_is_reported(
    start: Callable[..., Shop], loop: str, target: str
) -> None:
    """When the tree gives up or does not start, its stop is in the log, before the last line."""
    shop = start(target, loop)
    assert shop.end() == 1
    assert report(shop) == [
        "WARNING /shop 1 proc stopped in N s; 1 error",
        "ERROR /shop/a raised while stopping: OSError: disk full"
        " at shop_of_run.py:N in BadStop.on_stop",
    ]


async def _brief(shutdown: CancellationToken) -> None:
    """Be done at once."""


async def _bad_end(shutdown: CancellationToken) -> None:
    await shutdown.wait()
    raise OSError("disk full")


def test_without_log_only_what_went_wrong_is_told() -> None:
    """With `log=False` a stop that went wrong is still reported; one that went well is not."""
    job = ChildSpec("once", task(_brief), restart="transient", significant=True)
    bad = ChildSpec("bad", task(_bad_end))
    for children, lines in [([job], 1), ([bad, job], 3)]:
        tree = SupervisorSpec("job", children, auto_shutdown="any_significant")
        heard: list[str] = []
        handler = logger.add(heard.append, format="{level} {message}")
        try:
            with pytest.raises(SystemExit):
                run(tree, log=False)
        finally:
            logger.remove(handler)
        assert len(heard) == lines
        assert heard[-1] == "INFO /job ended by itself; exit code 0\n"
