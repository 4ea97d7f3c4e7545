"""A pool: two supervised workers make thumbnails behind one queue.

A picture that crashes a worker fails its own asker and nobody else; one that may be tried twice
goes to another worker. One that waited too long is answered, not made; when too many wait, the next
one is refused at once. In the end the pool grows, finishes what it has, and tells what it did.
"""

import anyio
from attrs import frozen

from actors import Actor, ProcExited, Request, on
from supervision import Pool, PoolSpec, SupervisorSpec, serve
from supervision.pool import JobExpired, PoolFull


@frozen
class Thumbnail(Request[str]):
    """Ask for a small version of a picture."""

    picture: str


class Painter(Actor[Thumbnail]):
    """Make thumbnails."""

    crashed = False  # of all painters together, for the sake of the example

    @on(Thumbnail)
    async def paint(self, message: Thumbnail) -> str:
        """Make one; it takes a while."""
        if message.picture == "broken.png":
            raise ValueError("not a picture")
        if message.picture == "cursed.png" and not Painter.crashed:
            Painter.crashed = True
            raise MemoryError
        await anyio.sleep(0.02)
        return f"small {message.picture} by {self.context.path.rpartition('/')[2]}"


async def main() -> None:
    """Have pictures made."""
    Painter.crashed = False
    spec = PoolSpec("painters", Painter, size=2, queue_limit=3)
    async with serve(SupervisorSpec("gallery", [spec])) as app:
        pool = Pool[Thumbnail](app.find("painters"))
        print(await pool.ask(Thumbnail("ada.png")))
        print(await pool.ask(Thumbnail("grace.png")))
        try:
            await pool.ask(Thumbnail("broken.png"))
        except ProcExited as error:
            print("broken.png:", repr(error.__cause__))
        print(await pool.ask(Thumbnail("cursed.png"), attempts=2))

        for name in "ab":
            pool.tell(Thumbnail(f"{name}.png"))
        try:
            await pool.ask(Thumbnail("late.png"), job_timeout=0.001)
        except JobExpired as error:
            print(error)
        for name in "cde":
            pool.tell(Thumbnail(f"{name}.png"))
        try:
            await pool.ask(Thumbnail("one-too-many.png"))
        except PoolFull as error:
            print(error)

        await pool.resize(3)
        await pool.drain()
        counts = await pool.statistics()
        print("done:", counts.done, "failed:", counts.failed, "retried:", counts.retried)
        print("refused:", counts.refused, "expired:", counts.expired, "workers:", counts.size)


if __name__ == "__main__":
    anyio.run(main)
