"""A tiny table: what is right is the letter's own action, and a number says nothing."""

import msgspec

from sims.bakeoff.data import Row, Table, actions_of

ACTIONS = actions_of(["x", "y", "z"])


def table(rows_n: int = 60) -> Table:
    rows = [
        Row(
            msgspec.json.encode({"letter": "xyz"[place % 3], "number": place}),
            ACTIONS,
            tuple(float(i == place % 3) for i in range(3)),
        )
        for place in range(rows_n)
    ]
    return Table("tiny", "made here", rows)
