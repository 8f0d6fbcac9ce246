"""Learning loops as surfaces and policies."""

import itertools
from collections.abc import Callable

import msgspec
import pytest
from msgspec.structs import replace

from bandit.errors import BadSpec, NotDeclared, RecordError
from bandit.service.defining import DefinitionService
from bandit.service.personalizer_loops import LearningSettings, LoopService, ServiceConfiguration
from bandit.service.serving_state import Serving
from bandit.specs import AnySpec, PolicySpec, Surface
from tests.bandit.service.making import FIXED, NOW_MS, UNIFORM, MemoryDefinitions

LEARNED = PolicySpec(key="vw", type="vw", surface="home.feed", floor=0.01)
Make = Callable[..., tuple[LoopService, MemoryDefinitions]]


@pytest.fixture
def make() -> Make:
    def making(*specs: AnySpec) -> tuple[LoopService, MemoryDefinitions]:
        definitions, changes = MemoryDefinitions(*specs), itertools.count()
        defining = DefinitionService(
            lambda: definitions,  # type: ignore[arg-type, return-value]
            now_ms=lambda: NOW_MS,
            new_id=lambda: f"change-{next(changes)}",
        )
        return LoopService(defining, Serving()), definitions

    return making


def surface(definitions: MemoryDefinitions) -> Surface:
    spec = definitions.get("surface", "home.feed").spec
    assert isinstance(spec, Surface)
    return spec


SERVING = Surface(key="home.feed", policy="vw", shadows=["random"], max_actions=10)
SHADOWING = Surface(key="home.feed", policy="order", shadows=["random", "vw"], max_actions=10)


def test_configuration_that_is_put_back_changes_nothing(make: Make) -> None:
    loops, definitions = make(UNIFORM, FIXED, LEARNED, SERVING)
    before = definitions.revision()
    config = loops.configuration("home.feed")
    assert config.exploration_percentage == 0.1
    assert loops.configure("home.feed", config) == config
    assert definitions.revision() == before


def test_apprentice_serves_the_baseline_and_shadows_what_learns(make: Make) -> None:
    loops, definitions = make(UNIFORM, FIXED, LEARNED, SERVING)
    config = loops.configuration("home.feed")
    apprentice = msgspec.structs.replace(config, learning_mode="Apprentice")
    assert loops.configure("home.feed", apprentice).learning_mode == "Apprentice"
    serving = surface(definitions)
    assert (serving.policy, serving.shadows) == ("home.feed.baseline", ["vw", "random"])
    baseline = definitions.get("policy", serving.policy).spec
    assert isinstance(baseline, PolicySpec)
    assert baseline.type == "fixed"
    loops.configure("home.feed", msgspec.structs.replace(apprentice, learning_mode="Online"))
    assert (surface(definitions).policy, surface(definitions).shadows) == ("vw", ["random"])


def test_learning_settings_become_another_policy_in_the_same_mode(make: Make) -> None:
    loops, definitions = make(UNIFORM, FIXED, LEARNED, SHADOWING)
    given = LearningSettings(name="hotter", arguments="--cb_explore_adf --epsilon 0.3")
    assert loops.set_settings("home.feed", given).name == "hotter"
    serving = surface(definitions)
    assert (serving.policy, serving.shadows) == ("order", ["hotter", "random"])
    learned = definitions.get("policy", "hotter").spec
    assert isinstance(learned, PolicySpec)
    assert (learned.floor, learned.surface) == (0.01, "home.feed")
    assert loops.set_settings("home.feed", given) == given  # again
    with pytest.raises(BadSpec, match="give the settings another name"):
        loops.set_settings("home.feed", LearningSettings(name="hotter", arguments=""))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"reward_wait_time": "soon"}, "must be ISO 8601"),
        ({"reward_aggregation": "median"}, "rewardAggregation is 'median'"),
        ({"exploration_percentage": 20.0}, "must be in"),
        ({"learning_mode": "LoggingOnly"}, "must be 'Online' or 'Apprentice'"),
        ({"log_mirror_enabled": True}, "bandit export"),
        ({"is_auto_optimization_enabled": True}, "shadows"),
    ],
)
def test_what_can_not_be_is_refused_and_changes_nothing(
    make: Make, changes: dict[str, object], says: str
) -> None:
    loops, definitions = make(UNIFORM, LEARNED, SERVING)
    before = definitions.revision()
    config: ServiceConfiguration = loops.configuration("home.feed")
    with pytest.raises(RecordError, match=says):
        loops.configure("home.feed", msgspec.structs.replace(config, **changes))
    assert definitions.revision() == before


def test_surface_where_nothing_learns_is_no_loop(make: Make) -> None:
    loops, _ = make(UNIFORM, Surface(key="home.feed", policy="random", max_actions=10))
    with pytest.raises(BadSpec, match="must serve or shadow a policy that learns"):
        loops.configuration("home.feed")


def test_settings_can_not_take_the_name_of_another_projects_policy(make: Make) -> None:
    theirs = PolicySpec(key="theirs", type="vw", surface="their.feed", project="b")
    loops, definitions = make(UNIFORM, FIXED, LEARNED, SERVING, theirs)
    before = definitions.revision()
    with pytest.raises(NotDeclared):
        loops.of("default", "app").set_settings(
            "home.feed", LearningSettings(name="theirs", arguments="")
        )
    assert definitions.revision() == before


def test_changes_by_a_key_are_its_clients_and_its_projects(make: Make) -> None:
    mine = [replace(spec, project="b") for spec in (UNIFORM, FIXED, LEARNED, SERVING)]
    loops, definitions = make(*mine)
    loops = loops.of("b", "app")
    config = loops.configuration("home.feed")
    loops.configure("home.feed", replace(config, learning_mode="Apprentice"))
    baseline = definitions.get("policy", "home.feed.baseline")
    assert (baseline.author, baseline.spec.project) == ("app", "b")
