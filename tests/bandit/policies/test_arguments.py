import pytest

from bandit.errors import BadSpec
from bandit.policies.arguments import (
    CLICKS,
    CRISP,
    DEFAULT,
    arguments_of,
    read_arguments,
)


def test_no_arguments_are_the_default():
    assert read_arguments("") == read_arguments(DEFAULT)
    assert read_arguments("").words == (
        *("--cb_explore_adf", "--squarecb", "--gamma_scale", "10"),
        *("--quadratic", "UA"),
    )


@pytest.mark.parametrize(
    ("text", "spelled"),
    [
        ("--epsilon=0.1", "--cb_explore_adf --epsilon 0.1"),
        ("--cb_explore_adf --quiet --epsilon 0.1", "--cb_explore_adf --epsilon 0.1"),
        (
            "-l 2 -b 20 -q 'UA'",
            "--cb_explore_adf --learning_rate 2 --bit_precision 20 --quadratic UA",
        ),
        ("-q UA -q AA", "--cb_explore_adf --quadratic UA --quadratic AA"),
        ("--no_id -q UA", "--cb_explore_adf --quadratic UA --no_id"),
        ("--regcbopt", "--cb_explore_adf --regcbopt --cb_min_cost -1 --cb_max_cost 1"),
        ("--regcb --cb_min_cost -5", "--cb_explore_adf --regcb --cb_min_cost -5 --cb_max_cost 1"),
    ],
)
def test_arguments_have_one_spelling(text, spelled):
    assert read_arguments(text).text == spelled
    assert read_arguments(spelled).text == spelled


def test_the_id_option_is_not_vws():
    assert not read_arguments("--no_id").with_id
    assert "--no_id" not in read_arguments("--no_id").words


@pytest.mark.parametrize(
    ("text", "reaches_all"),
    [
        ("", True),
        ("-q UA", True),  # VW's own epsilon is 0.05
        ("--epsilon 0", False),
        ("--squarecb --epsilon 0", True),
        ("--softmax", False),
        ("--softmax --epsilon 0.01", True),
        ("--regcb", False),
        ("--regcbopt", False),
        ("--synthcover", False),
        ("--synthcover --epsilon 0.02", True),
        ("--first 100", False),
        ("--bag 5", False),
        ("--bag 5 --epsilon 0.01", True),
        ("--cover 5", True),  # less and less, but never none
        ("--cover 5 --epsilon 0", False),
        ("--cover 5 --nounif", False),
        ("--cover 5 --nounif --epsilon 0.1", False),
        ("--rnd 2", False),
    ],
)
def test_it_is_known_which_explorers_reach_every_action(text, reaches_all):
    assert read_arguments(text).reaches_all is reaches_all


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("--sgd", "--sgd is refused: its learning rate decays"),
        ("--squarecb --elim", "--elim is refused: its probabilities"),
        ("--large_action_space", "--large_action_space is refused: the same question"),
        ("--ftrl", "--ftrl is refused: a few features"),
        ("--random_seed 7", "--random_seed is refused"),
        ("--random_seed=7", "--random_seed is refused"),
        # Files of the server are no client's business.
        ("-d /etc/passwd", "'-d' is no option that a policy may use, must be one of --bag, --bit"),
        ("--final_regressor=/tmp/x", "'--final_regressor' is no option"),
        ("-f/tmp/x", "'-f/tmp/x' is no option"),
        ("--audit", "'--audit' is no option"),
        ("something", "'something' is no option"),
        ("''", "'' is no option"),
        ("--first 0", r"--first is '0', must be a whole number in \[1, 1000000000\]"),
        ("--bag", r"--bag is '', must be a whole number in \[1, 100\]"),
        ("--cover 2 --bag 2", "explorers are --cover, --bag, must be at most one"),
        ("--psi 2", "--psi does nothing here, must come with --cover"),
        ("--epsilon 0.1 --greedify", "--greedify does nothing here, must come with --bag"),
        ("--first_only", "--first_only does nothing here, must come with --bag or --cover"),
        ("--bag 2 --rnd_alpha 1", "--rnd_alpha does nothing here, must come with --rnd"),
        ("--epsilon 1.5", r"--epsilon is '1.5', must be a number in \[0, 1\]"),
        ("--epsilon nan", r"--epsilon is 'nan', must be a number in \[0, 1\]"),
        ("--epsilon --squarecb", "--epsilon is '--squarecb', must be a number"),
        ("--epsilon", "--epsilon is '', must be a number"),
        ("-b 31", r"--bit_precision is '31', must be a whole number in \[8, 24\]"),
        ("-b 18.5", "--bit_precision is '18.5', must be a whole number"),
        ("-b ²", "--bit_precision is '²', must be a whole number"),
        ("-q ua", "--quadratic is 'ua', must be 2 of the letters U"),
        ("-q UAA", "--quadratic is 'UAA', must be 2 of the letters U"),
        ("--interactions U", "--interactions is 'U', must be 2 to 4 of the letters U"),
        ("--cb_type xx", "--cb_type is 'xx', must be one of mtr, ips, dr, dm"),
        ("--noconstant=1", "--noconstant is given '1', must be given no value"),
        ("--epsilon 0.1 --epsilon 0.2", "--epsilon is given 2 times, must be given once"),
        ("-l 1 --learning_rate 2", "--learning_rate is given 2 times"),
        ("--squarecb --softmax", "explorers are --squarecb, --softmax, must be at most one"),
        ("--gamma_scale 5", "--gamma_scale does nothing here, must come with --squarecb"),
        ("--softmax --mellowness 1", "--mellowness does nothing here, must come with --regcb"),
        ("--regcb --epsilon 0.1", "--epsilon does nothing with --regcb, use the policy's floor"),
        ("--epsilon '0.1", "must be words as in a shell"),
    ],
)
def test_what_can_not_be_used_is_refused_in_plain_words(text, message):
    with pytest.raises(BadSpec, match=message):
        read_arguments(text)


@pytest.mark.parametrize(
    ("text", "several"),
    [
        ("", False),
        ("--first 10", False),
        ("--cb_type ips", False),
        ("--bag 1", True),
        ("--cover 3", True),
        ("--rnd 1", True),
        ("--softmax --cb_type dr", True),
    ],
)
def test_it_is_known_where_several_models_are_in_one(text, several):
    assert read_arguments(text).several is several


@pytest.mark.parametrize("slot_model", ["position", "ccb"])
def test_by_default_an_actions_worth_may_depend_on_its_slot(slot_model):
    assert arguments_of("", slot_model).text == f"{read_arguments(DEFAULT).text} --quadratic SA"
    assert arguments_of("", "shared") == read_arguments(DEFAULT)


def test_a_slot_that_could_make_no_difference_is_refused():
    with pytest.raises(BadSpec, match=r"'ccb' and no interaction has the letter S .*-q SA"):
        arguments_of("-q UA", "ccb")
    with pytest.raises(BadSpec, match="'shared' and an interaction has the letter S"):
        arguments_of("--interactions UAS", "shared")
    assert arguments_of("-q UA", "position").words  # a slot's own worth is enough there


@pytest.mark.parametrize("preset", [CRISP, CLICKS, DEFAULT])
def test_presets_are_arguments(preset):
    assert read_arguments(preset).reaches_all
