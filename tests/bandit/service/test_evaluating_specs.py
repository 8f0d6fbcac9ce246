import re
from pathlib import Path

import pytest

from bandit import ope
from bandit.errors import BadSpec
from bandit.service.evaluating_specs import read_candidates, read_search


def test_a_table_is_a_spec_named_after_it_that_learns_from_the_surface() -> None:
    found = read_candidates(
        """
        [candidates.careful]
        type = "vw"
        arguments = "--squarecb -q UA"
        floor = 0.001

        [candidates.mixed]
        type = "mixture"
        parts = [{ weight = 0.5, type = "thompson" }, { weight = 0.5, type = "uniform" }]

        [candidates.chance]
        type = "uniform"
        """,
        "home",
    )
    assert {name: (spec.key, spec.surface) for name, spec in found.items()} == {
        "careful": ("careful", "home"),
        "mixed": ("mixed", "home"),
        "chance": ("chance", None),
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "f.toml: Object missing required field `candidates` - at `the top`"),
        ("candidates = 3", "f.toml: Expected `object`, got `int` - at `candidates`"),
        ("[candidates]", r"f.toml: no table \[candidates.NAME\], must have at least one"),
        ("[candidates.x", "f.toml: no TOML: "),
        ("[candidates.x]\nfloor = 0.5", "missing required field `type` - at `candidates.x`"),
        (
            '[candidates.x]\ntype = "uniform"\nfloor = 2.0',
            "f.toml: Expected `float` <= 1.0 - at `candidates.x.floor`",
        ),
        ('[candidates.x]\ntype = "uniform"\nflor = 0.1', "contains unknown field `flor`"),
        (
            '[candidates.x]\ntype = "uniform"\narguments = "-q UA"',
            "arguments are '-q UA', must be empty for a uniform policy - at `candidates.x`",
        ),
        ('[candidates."a b"]\ntype = "uniform"', "at `candidates.a b.key`"),
    ],
)
def test_a_file_of_candidates_that_is_wrong_says_where_and_what_must_be(
    text: str, message: str
) -> None:
    with pytest.raises(BadSpec, match=message):
        read_candidates(text, "home", name="f.toml")


def test_lists_are_choices_and_texts_may_name_choices() -> None:
    plan = read_search(
        """
        method = "halving"
        held_out = 0.25

        [search.vw]
        type = "vw"
        arguments = "--epsilon {epsilon} -q UA"
        floor = [0.001, 0.01]
        choices.epsilon = [0.02, 0.1]

        [search.linear]
        type = "linear"
        floor = 0.001
        parameters = { scale = [0.1, 0.2, 0.4], ridge = 2.0 }
        """,
        "home",
    )
    assert (plan.method, plan.held_out, len(plan.combinations)) == ("halving", 0.25, 7)
    assert [
        (spec.floor, spec.arguments)
        for name, spec in plan.combinations.items()
        if name.startswith("vw")
    ] == [
        (0.001, "--epsilon 0.02 -q UA"),
        (0.001, "--epsilon 0.1 -q UA"),
        (0.01, "--epsilon 0.02 -q UA"),
        (0.01, "--epsilon 0.1 -q UA"),
    ]
    assert plan.combinations["linear-3"].parameters == {"scale": 0.4, "ridge": 2.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[search.x]\ntype = "uniform"', "there is 1 combination, must be at least 2"),
        ('[search.x]\ntype = "uniform"\nfloor = []', "a choice of nothing - at `search.x.floor`"),
        ('held_out = 1.0\n[search.x]\ntype = "uniform"', "at `held_out`"),
        ('method = "best"\n[search.x]\ntype = "uniform"', "'best' - at `method`"),
        (
            '[search.x]\ntype = "vw"\narguments = "-q UA"\nchoices.rate = [1, 2]',
            r"must name the choice \{rate\} - at `search.x.choices.rate`",
        ),
        (
            '[search.x]\ntype = "vw"\narguments = "-l {rat}"\nchoices.rate = [1, 2]',
            "must name choices in braces, of rate: 'rat' - at `search.x.arguments`",
        ),
        ('[search.x]\ntype = "vw"\nchoices = 3', "choices must be a table of lists"),
        ('[search.x]\ntype = "linear"\nparameters = 3', "parameters must be a table"),
        (
            '[search.x]\ntype = "linear"\nparameters = { scale = [0.1, 9e9] }\nfloor = [0.1, 7.0]',
            "Expected `float` <= 1.0 - at `search.x.floor`",
        ),
    ],
)
def test_a_file_of_a_search_that_is_wrong_says_where_and_what_must_be(
    text: str, message: str
) -> None:
    with pytest.raises(BadSpec, match=message):
        read_search(text, "home")


def test_too_many_combinations_are_refused() -> None:
    each = ", ".join(str(number / 2000) for number in range(1, 1002))
    with pytest.raises(BadSpec, match="there are over 1000 combinations"):
        read_search(f'[search.x]\ntype = "uniform"\nfloor = [{each}]', "home")


def test_the_files_in_the_documentation_are_read() -> None:
    page = Path(ope.__file__).with_name("README.md").read_text()
    candidates, searched = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    assert list(read_candidates(candidates, "home")) == [
        "careful", "linear", "half-and-half", "chance"
    ]  # fmt: skip
    assert len(read_search(searched, "home").combinations) == 7
