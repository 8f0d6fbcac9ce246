"""Declarations as TOML mean what was declared, or are not given at all."""

import msgspec
import pytest
from msgspec.structs import replace

from bandit.specs import SPECS, AnySpec, Experiment, NumericFeature, PolicySpec
from dashboard.definition_toml import from_toml, toml_of
from dashboard.forms import FieldError, blank
from tests.dashboard.seeding import OTHERS
from tests.dashboard.seeding import SPECS as SEEDED

[COLOURS] = [one for one in OTHERS if one.key == "colours-2026"]
assert isinstance(COLOURS, Experiment)
EVIL = 'he said "no"\n\\t \x7f \x00 é 🎲 # = [x]'


def told(spec: AnySpec) -> str:
    return toml_of(type(spec), msgspec.to_builtins(spec))


@pytest.mark.parametrize(
    "spec",
    [
        *SEEDED,
        *OTHERS,
        replace(COLOURS, description=EVIL, overrides={EVIL: "red", "a.b": "red"}),
        PolicySpec(
            key="p",
            type="vw",
            surface="home.feed",
            floor=1e-7,
            parameters={"deep": [1, {"x": [True, 1e300, -0.0]}], "empty": {}},
            numeric={"context.price": NumericFeature(encoding="bucket", edges=[1.5])},
        ),
    ],
    ids=lambda spec: f"{spec.kind} {spec.key}",
)
def test_toml_of_a_declaration_is_read_back_as_it(spec: AnySpec):
    assert msgspec.convert(from_toml(told(spec)), type(spec)) == spec


def test_toml_leaves_out_what_has_its_default():
    assert told(PolicySpec(key="random", type="uniform")).splitlines() == [
        'key = "random"',
        'type = "uniform"',
    ]


@pytest.mark.parametrize("kind", SPECS.values(), ids=lambda kind: kind.kind)
def test_toml_of_something_new_can_be_read(kind: type[AnySpec]):
    assert from_toml(toml_of(kind, {"key": "", **blank(kind)}))["key"] == ""


@pytest.mark.parametrize(
    "spec",
    [
        replace(COLOURS, bot_decisions=None),
        replace(
            COLOURS,
            variants=[replace(one, payload={"colour": None}) for one in COLOURS.variants],
        ),
    ],
    ids=["not the default", "in a payload"],
)
def test_toml_is_not_given_of_what_says_null(spec: Experiment):
    with pytest.raises(FieldError, match="TOML has no word for"):
        told(spec)


@pytest.mark.parametrize("text", ["a =", "a = 1\na = 2", "[" * 2000])
def test_what_is_no_toml_is_said_to_be(text: str):
    with pytest.raises(FieldError, match="it is no TOML"):
        from_toml(text)
