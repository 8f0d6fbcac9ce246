"""What words mean: the one table behind every tooltip; the README's, and a few of pages only."""

from collections.abc import Mapping

WORDS: Mapping[str, str] = {
    "unit": "who is randomised (`unit_id`: a user, session or device)",
    "surface": "a named place in the product that asks for a ranking (`home.feed`)",
    "context": "features of the request known before choosing",
    "action": "one candidate item: id and features",
    "catalogue": "actions with features that a surface holds; every change is a version",
    "slot": "a position in the returned ranking, 0 is the top",
    "pmf": "probabilities over the offered actions, in their order",
    "propensity": "probability with which the action in a slot was drawn, given the slots above "
    "it, in (0, 1]",
    "floor": "the least probability an eligible action may have",
    "policy": "(context, actions) → pmf; may learn",
    "snapshot": "a frozen, numbered state of a policy",
    "decision": "the record of one ranking: who, where, offered, drawn, propensities, snapshot, "
    "seed",
    "exposure": "the record that a slot was really seen",
    "reward": "the number sent back for a decision's slot; bigger is better",
    "outcome": "a named number about a unit, not tied to a decision; feeds metrics",
    "join window": "how long after a decision a reward still counts, `[0, w)` seconds",
    "experiment, variant, control": "a randomised comparison, one branch of it, the branch the "
    "others are compared with",
    "layer, holdout": "experiments in one layer never share a unit; units kept out of all of them",
    "bucket, allocation": "an integer in `[0, 10000)` that a unit hashes to, and which buckets a "
    "variant owns",
    "metric": "a rule from rewards or outcomes to one number per unit",
    "effect, relative effect": "treatment − control, and that ÷ control",
    "weight, ESS": "target pmf ÷ propensity, and (Σw)² ÷ Σw²: how many of a policy's own decisions "
    "the log is worth",
    "SRM": "sample-ratio mismatch: units are not split as allocated",
    "keep share": "probability with which a decision was logged: 1, or less while the disk fills "
    "up or ClickHouse does not keep up",
    "journal, drain": "the durable file of accepted records, and the worker that delivers it to "
    "ClickHouse",
    "world": "a simulated truth (in `sims` only)",
}
"""As in the README's table; a test holds them equal."""

MORE: Mapping[str, str] = {
    "interval": "the values that the data leave possible, at the chosen level; of 100 such "
    "intervals at 95 %, 95 hold the truth",
    "level": "the share of intervals that hold the truth, were all of it done again and again",
    "any time": "the interval holds at every look together, however often you look",
    "p": "how often chance alone would give at least such an effect, if there were none",
    "p corrected": "the same, made larger because several comparisons are judged together",
    "guardrail": "a metric that must be shown not to be worse by more than its margin",
    "margin": "how much worse a guardrail may be",
    "power": "how often an effect of that size would be found",
    "least effect": "the smallest effect that would be found in four of five runs",
    "CUPED": "takes out of each unit's number what its own past foretells: the same effect, a "
    "narrower interval",
    "IPS": "mean of reward × weight: unbiased, and wide where weights are large",
    "SNIPS": "the same ÷ the mean weight: a little bias, and narrower",
    "trust": "whether the log can tell: `ok`, `caution`, or `refuse`, which gives no number",
    "same top": "how often the policy's likeliest action is the one that another policy put on top",
    "greatest weight": "the most that one decision counts for; large ones make the number shaky",
    "mean weight": "1, if the log's propensities are right",
    "barred": "decisions that can tell nothing about this policy: pinned, overridden, nothing "
    "drawn",
    "uniform slice": "units whose decisions are always drawn uniformly: the yardstick",
    "shadow": "a policy that is asked at every decision and never shown",
    "kill switch": "everybody is served the offered order, and nothing is explored",
    "regret": "what the best choice would have earned, minus what was earned",
    "feedback → served": "from the end of a decision's join window to the first decision whose "
    "snapshot had learned from it",
    "defaulted": "decisions without a reward in their window: learned from with the default",
    "orphan": "rewards that belong to no decision we know",
    "late": "rewards after their join window: counted, not learned from",
    "duplicate": "rewards that were sent again: they count once",
    "expected loss": "what is lost on average if the treatment is chosen and is worse",
    "chance to win": "the probability that the treatment is better, after this one look",
}
"""Words of pages only."""

ALIASES: Mapping[str, str] = {
    "variant": "experiment, variant, control",
    "control": "experiment, variant, control",
    "experiment": "experiment, variant, control",
    "effect": "effect, relative effect",
    "relative": "effect, relative effect",
    "ESS": "weight, ESS",
    "worth (ESS)": "weight, ESS",
    "weight": "weight, ESS",
    "layer": "layer, holdout",
    "holdout": "layer, holdout",
    "allocation": "bucket, allocation",
    "units": "unit",
    "decisions": "decision",
    "rewards": "reward",
    "exposures": "exposure",
    "snapshot": "snapshot",
    "serves snapshot": "snapshot",
    "journal": "journal, drain",
    "drain": "journal, drain",
    "p of the margin": "p",
    "least effect found": "least effect",
}
"""Other names of the same, as columns have them."""


def meaning(*words: str) -> str:
    """Text of a tooltip, a line for each word.

    Raises:
        KeyError: A word that is in no table.

    >>> print(meaning("SRM"))
    **SRM**: sample-ratio mismatch: units are not split as allocated.
    """
    lines = []
    for word in words:
        row = ALIASES.get(word, word)
        lines.append(f"**{row}**: {WORDS[row] if row in WORDS else MORE[row]}.")
    return "\n\n".join(lines)


def knows(word: str) -> bool:
    """Whether there is a tooltip for it."""
    row = ALIASES.get(word, word)
    return row in WORDS or row in MORE
