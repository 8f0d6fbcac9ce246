"""What `bandit doctor` looks up, on logs in which each thing is wrong."""

import time
from array import array

import numpy as np
import pytest
from msgspec.structs import replace

from bandit.store.checkup import Checkup, Hole
from bandit.store.client import Store
from bandit.store.migrations import names
from tests.bandit.logs import T0, LogMaker

HOUR_MS = 3_600_000


@pytest.fixture
def checkup(store: Store) -> Checkup:
    return Checkup(store)


def test_the_server_tells_its_version_clock_and_rights(checkup: Checkup) -> None:
    server = checkup.server()
    assert int(server.version.split(".")[0]) >= 24
    assert abs(server.now_ms - time.time() * 1000) < 60_000
    assert server.is_made


def test_migrations_that_are_missing_changed_or_of_another_program_are_told(
    store: Store, checkup: Checkup
) -> None:
    assert checkup.migrations() == ((), (), ())
    store.insert("migrations", {"name": ["9999_new.sql"], "digest": ["d"]})
    assert checkup.migrations().unknown == ("9999_new.sql",)
    newest = names()[-1]
    store.apply(f"ALTER TABLE $database.migrations DELETE WHERE name = '{newest}' "
                "SETTINGS mutations_sync = 1")  # fmt: skip
    assert checkup.migrations().missing == (newest,)
    store.insert("migrations", {"name": [newest], "digest": ["another"]})
    assert checkup.migrations().changed == (newest,)


def test_holes_are_counted_unless_they_were_given_up(store: Store, checkup: Checkup) -> None:
    log = LogMaker(store)
    one = log.decide(0)
    log._seqs[("rewards", "home", "w1")] = 10  # as if ten rows were on their way, or lost
    log.reward(one)
    log._seqs[("rewards", "home", "w1")] = 13
    log.reward(one)
    log.deliver()
    assert checkup.holes(T0, settled_ms=-60_000) == [Hole("rewards", "home", "w1", 2)]
    assert checkup.holes(T0 + HOUR_MS, settled_ms=-60_000) == []
    assert checkup.holes(T0) == []  # they have only just come
    gap = {"log_table": "rewards", "surface": "home", "writer": "w1", "reason": "rejected"}
    for first, last in ((12, 12), (13, 13)):
        given = gap | {"first": first, "last": last, "created_at": T0}
        store.insert("gaps", {name: [value] for name, value in given.items()})
    assert checkup.holes(T0, settled_ms=-60_000) == []


def test_the_share_of_rewarded_decisions_is_of_those_that_can_get_no_more(
    store: Store, checkup: Checkup
) -> None:
    log = LogMaker(store)
    for n in range(4):
        decision = log.decide(n * 1000)
        if n == 0:
            log.reward(decision)
    log.deliver(times=2)
    (found,) = checkup.traffic({"home": 10_000, "cart": 10_000}, T0, T0 + 12_000)
    assert found == ("home", 4, T0 + 3000, 2, 1)


def test_propensities_are_audited_by_policy(store: Store, checkup: Checkup) -> None:
    """`clipped` logs small propensities as larger than they were."""
    log, rng = LogMaker(store), np.random.default_rng(5)
    pmf = array("f", [0.91, 0.03, 0.03, 0.03])
    for n in range(4_000):
        policy, drawn = ("right", "clipped")[n % 2], int(rng.choice(4, p=[0.91, 0.03, 0.03, 0.03]))
        logged = max(0.1, pmf[drawn]) if policy == "clipped" else pmf[drawn]
        decision = log.decide(n, policy=policy, ranking=(drawn,), propensities=(logged,))
        entries = log._entries[("decisions", "w1")]
        entries[-1] = entries[-1]._replace(record=replace(decision, pmf=pmf.tobytes()))
    log.deliver()
    found = {each.policy: each for each in checkup.propensities(T0)}
    assert (found["right"].decisions_n, found["right"].mismatches_n) == (2_000, 0)
    assert abs(found["right"].inverse_z) < 4.4
    assert found["clipped"].mismatches_n == pytest.approx(180, abs=4.4 * 13)
    assert found["clipped"].inverse_z < -6


def test_keys_that_end_soon_are_found_by_their_newest_version(
    store: Store, checkup: Checkup
) -> None:
    def put(key: str, version: int, expires_ms: int | None, revoked: bool = False) -> None:
        given = {
            "key_id": key, "version": version, "change_id": f"{key}{version}", "project": "default",
            "client": "shop", "digest": "d", "scopes": ["rank"], "expires_at": expires_ms,
            "revoked": revoked, "created_at": T0, "author": "me",
        }  # fmt: skip
        store.insert("keys", {name: [value] for name, value in given.items()})

    put("ends", 1, None)
    put("ends", 2, T0 + HOUR_MS)
    put("lasts", 1, T0 + 100 * HOUR_MS)
    put("prolonged", 1, T0)
    put("prolonged", 2, T0 + 100 * HOUR_MS)
    put("revoked", 1, T0)
    put("revoked", 2, T0, revoked=True)
    put("endless", 1, None)
    assert checkup.ending_keys(T0 + 2 * HOUR_MS) == [("ends", "shop", T0 + HOUR_MS)]


def test_progress_is_what_each_host_said_last(store: Store, checkup: Checkup) -> None:
    for updated in (T0 + 1000, T0):
        store.insert(
            "progress",
            {
                "host": ["h"],
                "drained_through": [updated - 500],
                "backlog_bytes": [7],
                "segments_n": [1],
                "updated_at": [updated],
            },
        )
    assert checkup.progress() == [("h", T0 + 500, 7, T0 + 1000, False)]
