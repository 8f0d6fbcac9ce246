"""Lessons per second of a learning policy, beside a bare VW `learn` loop over the same examples."""

import random
import statistics
import time
from typing import cast

import msgspec
import vowpal_wabbit_next as vw

from bandit.policies import Lesson, build
from bandit.policies.base import LearningPolicy
from bandit.specs import PolicySpec
from bandit.wire import RankRequest
from tests.bench.bodies import SURFACE, bodies
from tests.bench.serving import VW_ARGUMENTS, _text

ACTIONS_N = 20


def lessons(count: int) -> list[Lesson]:
    """Make lessons from the benchmark's requests."""
    rng = random.Random(2)
    made = []
    for body in bodies(ACTIONS_N, requests_n=count):
        request = msgspec.json.decode(body, type=RankRequest)
        made.append(
            Lesson(
                context=bytes(request.context),
                actions=tuple(request.actions),
                drawn=rng.randrange(ACTIONS_N),
                propensity=1 / ACTIONS_N,
                reward=float(rng.random() < 0.3),
            )
        )
    return made


def bare_rate(given: list[Lesson]) -> float:
    """Learn calls per second of VW alone: text parsed beforehand, labels in the text."""
    workspace = vw.Workspace(VW_ARGUMENTS)
    parser = vw.TextFormatParser(workspace)
    examples = []
    for lesson in given:
        lines = [f"shared |U {_text(msgspec.Raw(lesson.context))}"]
        for index, action in enumerate(lesson.actions):
            label = f"0:{-lesson.reward}:{lesson.propensity} " if index == lesson.drawn else ""
            lines.append(f"{label}|A id={action.id} {_text(action.features)}")
        examples.append([parser.parse_line(line) for line in lines])
    start = time.perf_counter()
    for example in examples:
        workspace.learn_one(example)
    return len(given) / (time.perf_counter() - start)


def our_rate(given: list[Lesson]) -> float:
    """Lessons per second of our policy, parsing included."""
    spec = PolicySpec(key="bench-vw", type="vw", surface=SURFACE, floor=0.001)
    policy = cast("LearningPolicy", build(spec))
    start = time.perf_counter()
    for lesson in given:
        policy.learn(lesson)
    return len(given) / (time.perf_counter() - start)


def learner(*, rounds: int = 5, count: int = 3000) -> None:
    """Print both rates and the median ratio."""
    given = lessons(count)
    pairs = [(our_rate(given), bare_rate(given)) for _ in range(rounds)]
    print(
        f"ours {statistics.median(a for a, _ in pairs):,.0f}/s, "
        f"bare VW {statistics.median(b for _, b in pairs):,.0f}/s, "
        f"ratio {statistics.median(a / b for a, b in pairs):.2f} ({ACTIONS_N} actions)",
        flush=True,
    )
