"""`bandit promote` over a real store: the gate, the ramp, and back."""

import random
import time
import uuid
from collections.abc import Iterator

import msgspec
import pytest
from click.testing import CliRunner, Result

from bandit.cli.promote import REFUSED, command
from bandit.service.promoting_records import Promotion
from bandit.specs import PolicySpec, Surface
from bandit.store.client import Store
from bandit.store.definitions import Definitions
from bandit.store.migrations import migrate
from tests.bandit.logs import LogMaker
from tests.conftest import Gateway

SPECS = (
    PolicySpec(key="live", type="uniform", floor=0.2),
    PolicySpec(key="new", type="uniform", floor=0.2),
    PolicySpec(key="other", type="uniform", floor=0.2),
    Surface(
        key="home",
        policy="live",
        shadows=["new", "other"],
        join_window_s=1.0,
        reward_low=0.0,
        max_actions=5,
    ),
)


@pytest.fixture(scope="module")
def environ(gateway: Gateway) -> Iterator[dict[str, str]]:
    """Of a process that uses a store in which `new` is better than what serves, and `other` not."""
    database = f"promote_{uuid.uuid4().hex}"
    store = Store.connect(gateway.url(), database=database)
    migrate(store)
    start_ms = time.time_ns() // 1_000_000 - 3_600_000
    for spec in SPECS:
        Definitions(store).put(
            spec, expected=None, author="test", change_id=spec.key, now_ms=start_ms
        )
    rng, log = random.Random(7), LogMaker(store, start_ms=start_ms)
    for n in range(800):
        action = rng.randrange(2)
        decision = log.decide(
            n * 1000,
            unit=f"u{n % 200}",
            policy="live",
            actions_n=2,
            ranking=(action,),
            propensities=(0.5,),
            floor=0.2,
            context={"country": rng.choice(["US", "DE"])},
            shadows={"new": ((0.8, 0.2)[action],), "other": (0.5,)},
        )
        if rng.random() < (0.95, 0.05)[action]:
            log.reward(decision, 1.0)
    log.deliver()
    yield {
        "BANDIT_DATA_DIR": str(gateway.data_dir),
        "BANDIT_GATEWAY_PORT": str(gateway.port),
        "BANDIT_CLICKHOUSE_DATABASE": database,
    }
    store.apply("DROP DATABASE IF EXISTS $database SYNC", in_database=False)
    store.close()


def promote(environ: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments, env=environ)


def test_refusal_says_why_with_numbers_and_has_its_own_exit_code(environ: dict[str, str]) -> None:
    refused = promote(environ, "home", "other", "--dry-run")
    assert refused.exit_code == REFUSED
    assert "other in place of live on home: refused" in refused.stdout
    assert "REFUSED" in refused.stdout
    assert "must be above 0" in refused.stdout


def test_challenger_is_asked_for_begun_shown_and_taken_back(environ: dict[str, str]) -> None:
    asked = promote(environ, "home", "new", "--dry-run", "--json")
    assert asked.exit_code == 0, asked.output
    assert msgspec.json.decode(asked.stdout, type=Promotion).state == "ready"
    assert promote(environ, "home", "--list").stdout.split() == ["Promotions", "None."]

    begun = promote(environ, "home", "new", "--ramp", "5,100", "--author", "ana")
    assert begun.exit_code == 0, begun.output
    assert "new in place of live on home: ramping" in begun.stdout
    assert "It serves 5.0 % of units by experiment home.promotion-1" in begun.stdout
    assert "country" in begun.stdout

    moved = msgspec.json.decode(
        promote(environ, "--advance", "--json").stdout, type=list[Promotion]
    )
    assert [(one.state, one.share) for one in moved] == [("ramping", 0.05)]

    back = promote(environ, "home", "--revert", "1", "--reason", "Complaints.")
    assert "home: reverted" in back.stdout
    assert "Complaints." in back.stdout
    shown = msgspec.json.decode(
        promote(environ, "home", "--show", "1", "--json").stdout, type=Promotion
    )
    assert [step.state for step in shown.steps] == ["ramping", "reverting", "reverted"]
    assert shown.gate is not None
    assert (shown.author, shown.gate.n) == ("ana", 800)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "name a SURFACE"),
        (("home",), "name a CHALLENGER"),
        (("home", "new", "--ramp", "1,x"), "must be numbers with commas"),
        (("home", "new", "--ramp", "50,10"), "must ascend and end with 100"),
        (("home", "new", "--alpha", "2"), "Expected `float` < 1.0"),
        (("home", "--list", "--show", "1"), "name one of"),
    ],
)
def test_what_makes_no_sense_is_a_usage_error(
    environ: dict[str, str], arguments: tuple[str, ...], said: str
) -> None:
    got = promote(environ, *arguments)
    assert got.exit_code == 2
    assert said in got.output


def test_what_is_not_declared_is_said_plainly(environ: dict[str, str]) -> None:
    got = promote(environ, "nowhere", "new")
    assert (got.exit_code, got.stderr) == (
        1,
        "bandit promote: surface 'nowhere' is not declared\n",
    )
