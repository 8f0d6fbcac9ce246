"""Ask the service from an application: always an answer, in time, and nothing raised.

>>> from bandit.client import BanditClient
>>> client = BanditClient("http://127.0.0.1:9")  # nobody is there
>>> ranking = client.rank("home.feed", "u-17", actions=[{"id": "a1"}], default="offered order")
>>> ranking.ids, ranking.source, ranking.reason
(('a1',), 'default', 'away')
>>> client.reward(ranking, 1.0)  # what a default earned is not sent
>>> client.stats().withheld
1
>>> client.close()
"""

from bandit.client.ambient import Ambient
from bandit.client.answers import Assignments, Given, Ranking, Reason, Stats
from bandit.client.awaiting import AsyncBanditClient
from bandit.client.blocking import BanditClient
from bandit.client.options import Options
from bandit.client.questions import OFFERED_ORDER
from bandit.records import Action

__all__ = [
    "OFFERED_ORDER",
    "Action",
    "Ambient",
    "Assignments",
    "AsyncBanditClient",
    "BanditClient",
    "Given",
    "Options",
    "Ranking",
    "Reason",
    "Stats",
]
