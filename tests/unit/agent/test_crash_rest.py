"""The crash self-test judges when nothing moves any more, not when a time is over."""

from __future__ import annotations

from itertools import count

from vaguemestre_agent.selftest.crash.rest import come_to_rest


class Queue:
    """Orders that end one by one, each after some questions; ``kept`` never end."""

    def __init__(self, ending: int, kept: int, questions_each: int) -> None:
        self.left = ending
        self.kept = kept
        self.questions_each = questions_each
        self.asked = 0

    async def moving(self) -> frozenset[str]:
        self.asked += 1
        if self.asked % self.questions_each == 0 and self.left:
            self.left -= 1
        return frozenset(f"o-{number}" for number in range(self.left + self.kept))


async def test_a_long_queue_that_moves_is_waited_for() -> None:
    queue, seconds = Queue(ending=40, kept=0, questions_each=3), count(0, 30)
    assert await come_to_rest(queue.moving, 120.0, 0.0, lambda: next(seconds))
    assert queue.left == 0
    assert next(seconds) > 120 * 10  # far longer in all than the patience with each


async def test_what_never_ends_is_given_up_after_the_patience_and_not_before() -> None:
    queue, seconds = Queue(ending=5, kept=2, questions_each=1), count(0, 30)
    assert not await come_to_rest(queue.moving, 120.0, 0.0, lambda: next(seconds))
    assert queue.left == 0
