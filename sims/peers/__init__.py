"""Other libraries' learners, behind `sims.learners.Learner`: thin, lazily imported, with defaults.

| key | what | from |
| --- | --- | --- |
| `linucb`, `lints` | disjoint LinUCB and LinTS, our own thirty lines: the baseline | NumPy |
| `mabwiser-linucb`, `mabwiser-lints` | `MAB(arms, LearningPolicy.LinUCB / LinTS)` | MABWiser |
| `contextualbandits-linucb` | `online.LinUCB` | contextualbandits |
| `contextualbandits-bootstrap` | `online.BootstrappedUCB` of `LinearRegression` | the same |
| `river-linucb` | `bandit.LinUCBDisjoint` | river |
| `coba-squarecb`, `coba-epsilon` | `VowpalSquarecbLearner`, `VowpalEpsilonLearner` | coba |

Libraries that take arrays are given each round as `numbers.Numbers` has it; coba is given the JSON.
"""

from sims.learners import Contender
from sims.peers.coba import Coba
from sims.peers.contextualbandits import ContextualBandits
from sims.peers.mabwiser import MabWiser
from sims.peers.numbers import PeerMissing
from sims.peers.ridge import Ridge
from sims.peers.river import River

__all__ = ["PEERS", "PeerMissing"]

PEERS: dict[str, Contender] = {
    peer.key: peer
    for peer in (
        Ridge("linucb"),
        Ridge("lints"),
        MabWiser("linucb"),
        MabWiser("lints"),
        ContextualBandits("linucb"),
        ContextualBandits("bootstrap"),
        River("linucb"),
        Coba("squarecb"),
        Coba("epsilon"),
    )
}
"""By key, in the order of tables."""
