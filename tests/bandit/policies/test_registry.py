import pytest

from bandit.errors import BadSpec
from bandit.policies import build, check_spec
from bandit.policies.fixed import Fixed
from bandit.policies.uniform import Uniform
from bandit.policies.vw import VowpalWabbit
from bandit.specs import PolicySpec


def vw(arguments: str, floor: float = 0.0) -> PolicySpec:
    return PolicySpec(key="p", type="vw", surface="s", arguments=arguments, floor=floor)


@pytest.mark.parametrize(
    ("spec", "kind"),
    [
        (PolicySpec(key="p", type="uniform"), Uniform),
        (PolicySpec(key="p", type="fixed"), Fixed),
        (vw(""), VowpalWabbit),
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
