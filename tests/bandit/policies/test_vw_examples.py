import math
import os
import subprocess
import sys

import msgspec
import pytest
import vowpal_wabbit_next as vowpal_wabbit
from hypothesis import given
from hypothesis import strategies as st

from bandit.errors import RecordError
from bandit.policies import Lesson, with_floor
from bandit.policies.arguments import read_arguments
from bandit.policies.slots import asked_slot, learned_slot
from bandit.policies.vw import VowpalWabbit
from bandit.policies.vw_costs import FEWEST
from bandit.policies.vw_examples import Examples
from bandit.records import Action
from bandit.specs import PolicySpec
from tests.bandit.policies.vw_lessons import lesson, lessons

GREEDY = "--epsilon 0.1 -q UA"
CCB = PolicySpec(key="p", type="vw", surface="s", slot_model="ccb")


@pytest.mark.parametrize(
    "arguments", ["", "-q UA -b 10", "--cubic UUA -b 22", "--interactions UUAA --noconstant"]
)
def test_typed_examples_are_those_that_vw_reads_from_text(arguments):
    policy = VowpalWabbit(arguments)
    theirs = vowpal_wabbit.Workspace([*read_arguments(arguments).words, "--quiet"])
    parser = vowpal_wabbit.TextFormatParser(theirs)
    for each in lessons(150):
        context = msgspec.json.decode(each.context)
        unlabelled = [f"shared |U user={context['user']} x:{context['x']}"]
        for action in each.actions:
            features = msgspec.json.decode(action.features)
            unlabelled.append(f"|A id={action.id} group={features['group']} z:{features['z']}")
        labelled = list(unlabelled)
        labelled[each.drawn + 1] = f"0:{-each.reward}:{each.propensity} {labelled[each.drawn + 1]}"
        scores = dict(theirs.predict_one([parser.parse_line(line) for line in unlabelled]))
        pmf, found = policy.pmf(each.context, each.actions), [scores[i] for i in range(len(scores))]
        if len(pmf) < FEWEST:
            assert pmf == found
        else:  # read from the weights, perhaps, and summed in another order
            assert pmf == pytest.approx(found, abs=1e-6)
        theirs.learn_one([parser.parse_line(line) for line in labelled])
        policy.learn(each)


NASTY = [
    *("\n", "a\nb", "|", "a|A b", ":", "x:9", " ", "a b", "\t", "\r\n", "\x00", "\x1b[31m", "\x85"),
    *(
        "shared |U x",
        "0:1:0.5 |A x",
        "\u202eabc",
        "\u2028",
        "😀",
        "'",
        '"',
        "\\n",
        "%s",
        "12",
        "-3",
    ),
]


@pytest.mark.parametrize("nasty", [*NASTY, "x" * 499], ids=lambda text: ascii(text)[:20])
def test_no_string_of_a_client_can_change_the_structure(nasty):
    policy = VowpalWabbit(GREEDY)
    offered = (
        Action.of(nasty[:256], **{nasty: nasty, "tags": [nasty, 1]}),
        Action.of("b", **{nasty: 2}),
        Action.of("c"),
    )
    context = msgspec.json.encode({nasty: {nasty: nasty}, "y": nasty})
    slot = learned_slot(CCB, 1, [b"{}", msgspec.json.encode({nasty: nasty, "tags": [nasty]})])
    assert len(policy.pmf(context, offered, slot)) == 3
    for _ in range(5):
        policy.learn(lesson(*offered, drawn=1, context=context, slot=slot))
    pmf = policy.pmf(context, offered, slot)
    assert [action.id for action in offered] == [nasty[:256], "b", "c"]
    assert len(pmf) == 3
    assert math.fsum(with_floor(pmf, 0.01)) == pytest.approx(1.0)
    assert pmf[1] == max(pmf)


@given(
    st.lists(
        st.tuples(
            st.text(min_size=1, max_size=20), st.dictionaries(st.text(min_size=1), st.text())
        ),
        min_size=1,
        max_size=5,
        unique_by=lambda action: action[0],
    ),
    st.dictionaries(st.text(min_size=1), st.text()),
    st.dictionaries(st.text(min_size=1), st.text()),
)
def test_there_are_as_many_probabilities_as_candidates(offered, context, slot):
    policy = VowpalWabbit(GREEDY + " -q SA -b 8")
    actions = tuple(
        Action(id=id_, features=msgspec.Raw(msgspec.json.encode(f))) for id_, f in offered
    )
    asked = asked_slot(CCB, 0, [msgspec.json.encode(slot)])
    for _ in range(2):
        pmf = policy.pmf(msgspec.json.encode(context), actions, asked)
        assert len(with_floor(pmf, 0.0)) == len(offered)
        policy.learn(lesson(*actions, context=msgspec.json.encode(context), slot=asked))
    assert [action.id.encode() for action in actions] == [id_.encode() for id_, _ in offered]


@pytest.mark.parametrize(
    "raw", [b'{"x":"\\ud800"}', b'{"\\udfff":1}', b'{"x":"\xff"}', b'{"x":"\xed\xa0\x80"}']
)
def test_half_a_surrogate_is_refused_wherever_it_is(raw):
    policy, action = VowpalWabbit("-q SA"), Action(id="a")
    slot = learned_slot(CCB, 0, [raw])
    with pytest.raises(RecordError, match=r"not a JSON object.* at `\$.context`"):
        policy.pmf(raw, [action])
    with pytest.raises(RecordError, match=r"not a JSON object.* at `\$.actions\['b'\].features`"):
        policy.pmf(b"{}", [action, Action(id="b", features=msgspec.Raw(raw))])
    with pytest.raises(RecordError, match=r"not a JSON object.* at `\$.slot`"):
        policy.pmf(b"{}", [action], slot)
    assert policy.pmf(b"{}", [action]) == [1.0]


def test_a_text_of_ten_kilobytes_never_reaches_vw():
    with pytest.raises(RecordError, match=r"text has 10000 characters.* at `\$.context.x`"):
        VowpalWabbit("").pmf(b'{"x":"%s"}' % (b"x" * 10_000), [Action(id="a")])
    with pytest.raises(RecordError, match=r"text has 10000 characters.* at `\$.slot.given.x`"):
        VowpalWabbit("").pmf(
            b"{}", [Action(id="a")], asked_slot(CCB, 0, [b'{"x":"%s"}' % (b"x" * 10_000)])
        )


def test_one_context_has_an_example_for_each_slot():
    policy, offered = VowpalWabbit("-q SA"), [Action(id="a")]
    slots = [b"", *(learned_slot(CCB, slot, []) for slot in (0, 1))]
    first = [policy._examples.of(b'{"x":1}', offered, slot)[0] for slot in slots]
    again = [policy._examples.of(b'{"x":1}', offered, slot)[0] for slot in slots]
    assert len(set(first)) == 3
    assert all(a is b for a, b in zip(first, again, strict=True))


def test_actions_share_what_their_features_have_in_common():
    policy = VowpalWabbit(GREEDY)
    go, chess = (Action.of(topic, topic=topic) for topic in ("go", "chess"))
    for turn in range(20):
        policy.learn(lesson(go, chess, drawn=turn % 2, reward=float(turn % 2 == 0)))
    cold = [Action.of("new-1", topic="chess"), Action.of("new-2", topic="go")]
    assert policy.pmf(b"{}", cold) == pytest.approx([0.05, 0.95])


def test_the_id_is_a_feature_unless_the_arguments_leave_it_out():
    twins = (Action.of("a", topic="go"), Action.of("b", topic="go"))
    told, untold = VowpalWabbit(GREEDY), VowpalWabbit(GREEDY + " --no_id")
    for policy in (told, untold):
        for turn in range(20):
            policy.learn(lesson(*twins, drawn=turn % 2, reward=float(turn % 2)))
    assert told.pmf(b"{}", twins) == pytest.approx([0.05, 0.95])
    assert untold.pmf(b"{}", twins) == pytest.approx([0.5, 0.5])


def test_a_feature_of_nothing_is_no_feature():
    plain, zeros = VowpalWabbit(""), VowpalWabbit("")
    for turn in range(10):
        plain.learn(lesson(Action.of("a"), Action.of("b"), drawn=turn % 2))
        zeros.learn(
            lesson(
                Action.of("a", x=0, y=None, z=False, w=1e-60),
                Action.of("b", x=-0.0),
                drawn=turn % 2,
                context=b'{"n":0.0}',
            )
        )
    assert plain.digest() == zeros.digest()


def test_one_id_may_come_with_different_features():
    policy = VowpalWabbit(GREEDY)
    young, old = Action.of("a", age="young"), Action.of("a", age="old")
    other = Action.of("b")
    for turn in range(20):
        policy.learn(lesson([young, old][turn % 2], other, reward=float(turn % 2)))
    for _ in range(2):
        assert policy.pmf(b"{}", [young, other])[0] < policy.pmf(b"{}", [old, other])[0]


def test_cached_examples_learn_and_predict_like_new_ones():
    cached, fresh = VowpalWabbit(""), VowpalWabbit("")
    for each in lessons(100):
        assert cached.pmf(each.context, each.actions) == fresh.pmf(each.context, each.actions)
        cached.learn(each)
        fresh._examples = Examples(with_id=True, bits=64)
        fresh.learn(each)
        fresh._examples = Examples(with_id=True, bits=64)
    assert cached.digest() == fresh.digest()


def test_a_new_snapshot_starts_with_examples_that_are_made_already():
    policy = VowpalWabbit("")
    each = next(lessons(1))
    policy.learn(each)
    loaded = VowpalWabbit("", policy.save())
    mine = policy._examples.of(each.context, each.actions)
    theirs = loaded._examples.of(each.context, each.actions)
    assert all(a is b for a, b in zip(mine, theirs, strict=True))
    assert loaded.pmf(each.context, each.actions) == policy.pmf(each.context, each.actions)


def test_features_do_not_depend_on_pythons_hash_seed():
    program = (
        "from bandit.policies.vw import VowpalWabbit\n"
        "from bandit.policies import Lesson\n"
        "from bandit.records import Action\n"
        "policy = VowpalWabbit('')\n"
        "policy.learn(Lesson(context=b'{\"u\":\"x\"}', actions=(Action.of('a', t=['b', 'c']),), "
        "drawn=0, propensity=1.0, reward=1.0))\n"
        "print(policy.digest())\n"
    )
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("0", "1")
    }
    assert len(digests) == 1


def test_an_action_offered_twice_is_refused_before_it_spoils_anything():
    # VW leaves an example that comes twice half set up and puts it back into its pool: from then on
    # any policy of the process could be handed it, and failed.
    policy, twice = VowpalWabbit(GREEDY), Action.of("a", topic="go")
    with pytest.raises(RecordError, match="actions hold an id twice"):
        policy.pmf(b"{}", [twice, twice])
    with pytest.raises(RecordError, match="actions hold an id twice"):
        policy.learn(lesson(twice, twice))
    assert policy.pmf(b"{}", [twice]) == [1.0]


def test_a_catalogue_that_is_offered_whole_again_gives_what_its_actions_give() -> None:
    policy = VowpalWabbit("--epsilon 0.3 -q UA")
    wholes = [
        tuple(Action.of(f"a{n}", n=n % 7, of=size) for n in range(size)) for size in range(2, 40)
    ]
    for whole in wholes:
        lesson = Lesson(context=b"{}", actions=whole, drawn=1, propensity=0.5, reward=1.0)
        policy.learn(lesson)
    for _ in range(2):
        for whole in wholes:
            for context in (b"{}", b'{"hour":9}'):
                assert policy.pmf(context, whole) == policy.pmf(context, list(whole))
    twice = (*wholes[0], wholes[0][0])
    for _ in range(2):
        with pytest.raises(RecordError, match="an id twice"):
            policy.pmf(b"{}", twice)
