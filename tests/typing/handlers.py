"""Handlers and replies: both shapes, plain and coroutine, and what cannot be a handler.

A line with ignore comments is a wrong use: an error in mypy and in pyright.
"""

from __future__ import annotations

from typing import assert_type

from attrs import frozen

from actors import Actor, Refusal, Reply, Request, on


@frozen
class Put:
    text: str


@frozen
class Count(Request[int]):
    pass


@frozen
class Find(Request[str | None]):
    text: str


class Missing(Refusal):
    pass


Message = Put | Count | Find


class Plain(Actor[Message]):
    @on(Put)
    def put(self, message: Put) -> None:
        assert_type(message.text, str)

    @on(Count)
    def count(self, message: Count) -> int:
        raise Missing

    @on(Find)
    def find(self, message: Find) -> str | None:
        return None


class Coroutines(Actor[Message]):
    @on(Put)
    async def put(self, message: Put) -> None: ...

    @on(Count)
    async def count(self, message: Count) -> int:
        return 1

    @on(Find)
    async def find(self, message: Find) -> str:
        return message.text


class Replying(Actor[Message]):
    @on(Put)
    def put(self, message: Put) -> None: ...

    @on(Count)
    def count(self, message: Count, reply: Reply[int]) -> None:
        reply.send(1)
        reply.fail(Missing())
        reply.send("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        reply.fail("1")  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        reply.fail(Missing)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]

    @on(Find)
    async def find(self, message: Find, reply: Reply[str | None]) -> None:
        reply.send(None)


class Stacked(Actor[Put | Count]):
    @on(Put)
    def put(self, message: Put | Count) -> None: ...

    @on(Count)
    def count(self, message: Put | Count) -> int:
        return 1


class WrongReturn(Actor[Message]):
    @on(Put)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def put(self, message: Put) -> int:
        return 1

    @on(Count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def count(self, message: Count) -> str:
        return "1"


class WrongCoroutine(Actor[Message]):
    @on(Put)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def put(self, message: Put) -> int:
        return 1

    @on(Count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    async def count(self, message: Count) -> str:
        return "1"


class WrongReply(Actor[Message]):
    @on(Put)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def put(self, message: Put, reply: Reply[int]) -> None: ...

    @on(Count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def count(self, message: Count, reply: Reply[str]) -> None: ...


class WrongReplyReturn(Actor[Count]):
    @on(Count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def count(self, message: Count, reply: Reply[int]) -> int:
        return 1


class WrongMessage(Actor[Message]):
    @on(Put)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def put(self, message: Count) -> None: ...

    @on(Find)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def find(self) -> str:
        return ""


class NothingReturned(Actor[Count]):
    @on(Count)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType, reportCallIssue, reportUntypedFunctionDecorator]
    def count(self, message: Count) -> None: ...


def replies(reply: Reply[int | str], narrow: Reply[int]) -> None:
    narrower: Reply[int] = reply
    assert_type(reply.wanted, bool)

    wider: Reply[int | str] = narrow  # type: ignore[assignment]  # pyright: ignore[reportAssignmentType]
    print(narrower, wider)


on("Put")  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
on(Put("text"))  # type: ignore[call-overload]  # pyright: ignore[reportArgumentType, reportCallIssue]
