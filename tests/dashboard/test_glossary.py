import re
from pathlib import Path

import pytest

from dashboard import glossary

README = Path(__file__).parents[2] / "README.md"


def test_words_are_the_readmes():
    table = README.read_text().partition("\n## Words\n")[2]
    rows = re.findall(r"^\| (.+?) \| (.+?) \|$", table, re.MULTILINE)
    said = {word: text for word, text in rows if word not in ("word", "---")}
    assert said == dict(glossary.WORDS)


def test_every_other_name_leads_to_a_word():
    assert [name for name in glossary.ALIASES if not glossary.knows(name)] == []
    for name in glossary.ALIASES:
        assert glossary.meaning(name)


def test_no_word_has_two_meanings():
    assert not set(glossary.WORDS) & set(glossary.MORE)


def test_a_word_that_is_in_no_table_is_a_mistake_of_ours():
    assert not glossary.knows("uplift")
    with pytest.raises(KeyError):
        glossary.meaning("uplift")
