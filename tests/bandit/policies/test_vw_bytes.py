import hashlib
import json
import random
import re

import numpy as np
import pytest

from bandit.policies import Lesson
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw_bytes import digest_of
from bandit.records import Action


def trained(arguments: str, n: int = 40) -> VowpalWabbit:
    policy, rng = VowpalWabbit(arguments), random.Random(n)
    offered = tuple(Action.of(f"a{i}", topic=f"t{i % 2}", age=i) for i in range(5))
    for _ in range(n):
        drawn = rng.randrange(5)
        policy.learn(
            Lesson(
                context=b'{"user":"u%d"}' % rng.randrange(3),
                actions=offered,
                drawn=drawn,
                propensity=0.2,
                reward=float(rng.random() < drawn / 5),
            )
        )
    return policy


@pytest.mark.parametrize(
    "arguments", ["--bag 3 -q UA", "--cover 2 -b 10", "--rnd 2 -b 22", "--cb_type dr -q UA"]
)
def test_digest_is_over_the_options_and_the_rows_that_were_learned(arguments):
    """A second implementation, out of what VW writes for people to read."""
    policy = trained(arguments)
    readable = re.search(r"^options:(.*)$", policy._workspace.readable_model(), re.MULTILINE)
    assert readable is not None
    rows = json.loads(policy._workspace.json_weights(include_online_state=True))["weights"]
    assert len(rows) > 20
    digest = hashlib.sha256(readable[1].encode() + b"\0")
    digest.update(np.array([row["index"] for row in rows], dtype="<u4").tobytes())
    floats = [[row["value"], *row["gd_extra_online_state"].values()] for row in rows]
    digest.update(np.array(floats, dtype="<f4").tobytes())
    assert policy.digest() == digest.hexdigest()


def test_the_state_of_random_numbers_is_part_of_the_digest():
    model = trained("--bag 2").save()
    assert b"--random_seed" in model
    other = trained("--bag 2", n=41).save()
    assert re.findall(rb"--random_seed \d+", model) != re.findall(rb"--random_seed \d+", other)


def test_a_model_that_learned_nothing_has_no_rows():
    model = VowpalWabbit("--cover 2")._workspace.serialize()
    options = hashlib.sha256(
        b" --cb_adf --cb_explore_adf --cb_type mtr --cover 2 --csoaa_ldf multiline --csoaa_rank\0"
    )
    assert digest_of(model, model, floats=3) == options.hexdigest()
