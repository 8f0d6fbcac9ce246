"""One batched policy in one world with many seeds, all of them a round further at a time."""

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from bandit.errors import BadPmf
from sims.running.batched import Batched, Seated
from sims.running.draws import generators, uniforms
from sims.running.playing import Timing, marks_of
from sims.running.ridges import Places
from sims.worlds.base import BATCH_N, NEVER, Batch, BatchWorld, Flags, Floats, Whole


class _Chunk(NamedTuple):
    """Some rounds of all seeds, rounds first: `(t, n, …)`; None where nothing is out of order."""

    contexts: Floats
    expected: Floats
    rewards: Floats
    told: Floats
    offered: Flags | None
    delays: Whole | None
    best: Floats
    uniforms: Floats


class _Lessons(NamedTuple):
    """Of some seeds, one each."""

    rows: Places
    contexts: Floats
    drawn: Places
    rewards: Floats


def play_together(
    world: BatchWorld,
    seat: Seated,
    seeds: Sequence[int],
    rounds_n: int,
    timing: Timing,
    watch: Callable[[int], None] = lambda rounds_n: None,
) -> Floats:
    """What `playing.play` gives for each of some seeds, `(n, m, 3)`, up to rounding.

    Args:
        world: Where.
        seat: Who; untrained, of as many seeds.
        seeds: Of the rounds and draws.
        rounds_n: At least 1.
        timing: When lessons are learned.
        watch: Told rounds so far, now and then.

    Raises:
        BadPmf: The floor is above 1/k.
    """
    timing.check()
    marks = np.array(marks_of(rounds_n))
    found = np.zeros((len(seeds), len(marks), 3))
    sums = np.zeros((len(seeds), 3))
    queue = _Queue(seat.policy, timing)
    first = 0
    for chunk in _chunks(world, seeds, rounds_n):
        steps = np.concatenate([sums[None], _play(chunk, seat, queue, first)]).cumsum(axis=0)
        last = first + len(steps) - 1
        here = np.flatnonzero((marks > first) & (marks <= last))
        found[:, here] = steps[marks[here] - first].transpose(1, 0, 2)
        sums, first = steps[-1], last
        watch(last)
    return found


def _play(chunk: _Chunk, seat: Seated, queue: "_Queue", first: int) -> Floats:
    """Reward, expected reward and regret of each round and seed, `(t, n, 3)`."""
    t_n, n = chunk.uniforms.shape
    rows = np.arange(n)
    steps = np.empty((t_n, n, 3))
    for t in range(t_n):
        offered = None if chunk.offered is None else chunk.offered[t]
        contexts = chunk.contexts[t]
        pmf = _with_floor(seat.policy.pmf(contexts, offered), seat.floor, offered)
        drawn = _draw(pmf, chunk.uniforms[t])
        expected = chunk.expected[t, rows, drawn]
        steps[t, :, 0] = chunk.rewards[t, rows, drawn]
        steps[t, :, 1] = expected
        steps[t, :, 2] = chunk.best[t] - expected
        lessons = _Lessons(rows, contexts, drawn, chunk.told[t, rows, drawn])
        queue.learn(first + t, lessons, None if chunk.delays is None else chunk.delays[t])
    return steps


def _with_floor(pmf: Floats, floor: float, offered: Flags | None) -> Floats:
    """See `bandit.policies.pmf.with_floor`."""
    total = pmf.sum(axis=1, keepdims=True)
    if floor == 0.0:
        return np.asarray(pmf / total)
    k = np.array(float(pmf.shape[1])) if offered is None else offered.sum(axis=1, keepdims=True)
    rest = 1.0 - k * floor
    if rest.min() < -1e-9:
        raise BadPmf(f"floor is {floor!r} for {int(k.max())} actions, must be in [0, 1/k]")
    mixed = floor + np.maximum(rest, 0.0) / total * pmf
    return mixed if offered is None else np.where(offered, mixed, 0.0)


def _draw(pmf: Floats, uniform: Floats) -> Places:
    """See `bandit.policies.pmf.draw_one`, of which this is each row."""
    sums = np.cumsum(pmf, axis=1)
    total = sums[:, -1:]
    place = (sums <= uniform[:, None] * total).sum(axis=1)
    return np.asarray(np.minimum(place, (sums < total).sum(axis=1)))


class _Queue:
    """Lessons that are under way; due ones are learned in the order of their rounds."""

    def __init__(self, policy: Batched, timing: Timing) -> None:
        self._policy, self._timing = policy, timing
        self._waiting: dict[int, list[_Lessons]] = {}

    def learn(self, number: int, lessons: _Lessons, delays: Whole | None) -> None:
        """Take in the lessons of a round, and teach what is due after it."""
        delay_n, join_n = self._timing
        if delays is None and delay_n == 0 and join_n is None:
            self._policy.learn(*lessons)
            return
        if join_n is not None:
            if delays is not None:
                in_time = ((delays != NEVER) & (delays < join_n)).any(axis=1)
                lessons = lessons._replace(rewards=np.where(in_time, lessons.rewards, 0.0))
            self._waiting.setdefault(number + join_n + delay_n, []).append(lessons)
        else:
            for copy in range(1 if delays is None else delays.shape[1]):
                self._await(number, lessons, None if delays is None else delays[:, copy])
        for due in self._waiting.pop(number, ()):
            self._policy.learn(*due)

    def _await(self, number: int, lessons: _Lessons, delays: Whole | None) -> None:
        delay_n = self._timing.delay_n
        if delays is None:
            self._waiting.setdefault(number + delay_n, []).append(lessons)
            return
        for delay in np.unique(delays[delays != NEVER]).tolist():
            which = np.flatnonzero(delays == delay)
            rows, contexts, drawn, rewards = lessons
            some = _Lessons(rows[which], contexts[which], drawn[which], rewards[which])
            self._waiting.setdefault(number + delay + delay_n, []).append(some)


def _chunks(world: BatchWorld, seeds: Sequence[int], rounds_n: int) -> Iterator[_Chunk]:
    batches = [world.batches(generators(seed)[0], BATCH_N) for seed in seeds]
    draws = [uniforms(seed, rounds_n, BATCH_N) for seed in seeds]
    for _ in range(0, rounds_n, BATCH_N):
        luck = np.stack([next(one) for one in draws], axis=1)
        yield _stacked([next(one) for one in batches], luck)


def _stacked(batches: Sequence[Batch], luck: Floats) -> _Chunk:
    """Rounds first, so that those of one round lie side by side."""
    n = len(luck)
    expected = np.stack([batch.expected[:n] for batch in batches], axis=1)
    rewards = np.stack([batch.rewards[:n] for batch in batches], axis=1)
    honest = all(batch.told is batch.rewards for batch in batches)
    offered = np.stack([batch.offered[:n] for batch in batches], axis=1)
    whole = bool(offered.all())
    at_once = all(batch.delays.shape[1] == 1 and not batch.delays.any() for batch in batches)
    return _Chunk(
        contexts=np.stack([batch.contexts[:n] for batch in batches], axis=1),
        expected=expected,
        rewards=rewards,
        told=rewards if honest else np.stack([batch.told[:n] for batch in batches], axis=1),
        offered=None if whole else offered,
        delays=None if at_once else np.stack([batch.delays[:n] for batch in batches], axis=1),
        best=(expected if whole else np.where(offered, expected, -np.inf)).max(axis=2),
        uniforms=luck,
    )
