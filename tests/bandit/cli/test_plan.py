"""`bandit plan` by typed-in numbers; its words are those of the dashboard."""

import json

from click.testing import CliRunner

from bandit.cli.plan import command

TYPED = ["--mean", "0.05", "--type", "proportion", "--effect", "0.1", "--units-per-day", "5000"]


def test_typed_numbers_need_no_store():
    result = CliRunner().invoke(command, TYPED)
    assert result.exit_code == 0
    assert "31,232 units in each of 2 variants, 62,464 in all: 13 days." in " ".join(
        result.output.split()
    )
    assert "(O'Brien–Fleming), it ends 20.6 % sooner on average" in " ".join(result.output.split())


def test_json_is_the_payload():
    payload = json.loads(CliRunner().invoke(command, [*TYPED, "--json"]).output)
    assert payload["plan"]["units"] == 62464
    assert [one["cost"]["kind"] for one in payload["plan"]["designs"]][-1] == "anytime"


def test_a_wrong_number_is_an_error_in_words():
    result = CliRunner().invoke(command, ["--mean", "3", "--type", "proportion"])
    assert result.exit_code == 1
    assert "mean of a proportion is 3.0, must be in [0, 1]" in result.output


def test_it_needs_a_surface_or_a_mean():
    assert "name a SURFACE" in CliRunner().invoke(command, []).output
