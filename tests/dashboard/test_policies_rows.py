"""Lines of the policies page."""

from bandit.service.evaluation_artefact import artefact_of, headline_of
from dashboard.page_policies import evaluation_rows
from tests.bandit.service.making_evaluations import REFUSED, RUN, TOLD


def test_refused_candidate_has_reasons_in_place_of_numbers() -> None:
    saved = headline_of(artefact_of(RUN, author="ana", code_version="1", evaluation_id="e-1"))
    told, refused = evaluation_rows([saved])
    assert (told["candidate"], told["id"], told["trust"]) == (TOLD, "e-1", "ok")
    assert told["value"].endswith("]")
    assert told["against logging"].startswith("+")
    assert (refused["candidate"], refused["trust"]) == (REFUSED, "refuse")
    assert (refused["value"], refused["against logging"]) == ("–", "–")
    assert refused["why"] == "no decision is left to judge by"
