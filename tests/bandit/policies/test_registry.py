import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from bandit.errors import BadSpec
from bandit.policies import build, check_spec
from bandit.policies.fixed import Fixed
from bandit.policies.linear import Linear, LinearParameters
from bandit.policies.mixture import Mixture
from bandit.policies.parameters import Parameters
from bandit.policies.popularity import Popularity, PopularityParameters
from bandit.policies.thompson import Thompson, ThompsonParameters
from bandit.policies.ucb import Ucb, UcbParameters
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit
from bandit.specs import Part, PolicySpec, PolicyType

README = Path(__file__).parents[3] / "api" / "README.md"
PARAMETERS: dict[str, type[Parameters]] = {
    "linear": LinearParameters,
    "thompson": ThompsonParameters,
    "ucb": UcbParameters,
    "popularity": PopularityParameters,
}


def vw(arguments: str, floor: float = 0.0) -> PolicySpec:
    return PolicySpec(key="p", type="vw", surface="s", arguments=arguments, floor=floor)


def native(kind: PolicyType, **parameters: object) -> PolicySpec:
    return PolicySpec(key="p", type=kind, surface="s", floor=0.01, parameters=parameters)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (PolicySpec(key="p", type="uniform"), Uniform),
        (PolicySpec(key="p", type="fixed"), Fixed),
        (vw(""), VowpalWabbit),
        (native("linear"), Linear),
        (native("thompson"), Thompson),
        (native("ucb"), Ucb),
        (native("popularity"), Popularity),
        (PolicySpec(key="p", type="mixture", parts=[Part(weight=1, type="uniform")]), Mixture),
    ],
)
def test_each_type_has_its_policy(spec, kind):
    assert type(build(spec)) is kind


def test_weights_belong_to_policies_that_learn():
    with pytest.raises(BadSpec, match="does not learn, must be given no weights"):
        build(PolicySpec(key="p", type="uniform"), b"weights")


@pytest.mark.parametrize("arguments", ["--softmax", "--regcb", "--regcbopt", "--epsilon 0"])
def test_a_floor_is_needed_where_an_action_could_be_left_without_probability(arguments):
    with pytest.raises(BadSpec, match="must have a floor above 0"):
        check_spec(vw(arguments))
    check_spec(vw(arguments, floor=0.01))


def test_arguments_are_read_before_they_are_tried():
    with pytest.raises(BadSpec, match="--elim is refused"):
        check_spec(vw("--squarecb --elim", floor=0.01))
    with pytest.raises(BadSpec, match="--elim is refused"):
        build(vw("--squarecb --elim"))


def test_what_vw_itself_refuses_is_refused_in_its_words():
    with pytest.raises(BadSpec, match=r"Vowpal Wabbit refuses .* 'ips' is not a valid choice"):
        check_spec(vw("--squarecb --cb_type ips"))


@pytest.mark.parametrize("floor", [-0.1, 1.1, float("nan")])
def test_a_floor_is_a_share(floor):
    with pytest.raises(BadSpec, match=r"must be in \[0, 1\]"):
        check_spec(PolicySpec(key="p", type="uniform", floor=floor))


@pytest.mark.parametrize("kind", PARAMETERS)
def test_parameters_are_read_when_a_policy_is_declared(kind):
    check_spec(native(kind, ids=10))
    for declare in (check_spec, build):
        with pytest.raises(BadSpec, match=r"Expected `int` >= 1 - at `\$\.parameters\.ids`"):
            declare(native(kind, ids=0))
        with pytest.raises(BadSpec, match=r"unknown field `gamma` - at `\$\.parameters`"):
            declare(native(kind, gamma=1))


@pytest.mark.parametrize("kind", ["vw", "uniform", "fixed"])
def test_types_without_parameters_take_none(kind):
    spec = PolicySpec(key="p", type=kind, surface="s", parameters={"ids": 10})
    with pytest.raises(BadSpec, match=rf"must be none for a {kind} policy - at `\$\.parameters`"):
        check_spec(spec)


@pytest.mark.parametrize("kind", PARAMETERS)
def test_weights_of_other_parameters_are_told(kind):
    saved = build(native(kind)).save()
    with pytest.raises(BadSpec, match=r'weights were learned with .*"ids":\d+'):
        build(native(kind, ids=7), saved)


def test_a_mixture_reaches_every_action_if_a_part_does():
    hard = Part(weight=0.5, type="thompson")
    for part in (
        Part(weight=0.5, type="uniform"),
        Part(weight=0.5, type="vw", arguments="--epsilon 0.1"),
    ):
        check_spec(PolicySpec(key="p", type="mixture", surface="s", parts=[hard, part]))
    greedy = Part(weight=0.5, type="vw", arguments="--epsilon 0")
    with pytest.raises(BadSpec, match="must have a floor above 0"):
        check_spec(PolicySpec(key="p", type="mixture", surface="s", parts=[hard, greedy]))


def test_the_readme_has_every_type_and_parameter_with_its_default():
    rows = dict(re.findall(r"^\| `(\w+)` \|(.*)\|$", README.read_text(), flags=re.MULTILINE))
    assert set(get_args(PolicyType)) <= set(rows)
    for kind, parameters in PARAMETERS.items():
        defaults = msgspec.to_builtins(parameters())
        shown = dict(re.findall(r"`(\w+)` \(([^)]+)\)", rows[kind]))
        assert shown == {name: msgspec.json.encode(v).decode() for name, v in defaults.items()}
