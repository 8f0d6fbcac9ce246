"""Claims tested in simulated truths: one module per family, one list of all.

>>> [one.name for one in SCENARIOS][:3]
['peeking', 'planned-looks', 'open-ended']
"""

from sims.scenarios.adaptive import ADAPTIVE, ADAPTIVE_ANYTIME
from sims.scenarios.base import Scenario
from sims.scenarios.cold_start import COLD_START
from sims.scenarios.coverage import ONE_LOOK
from sims.scenarios.drift import DRIFT
from sims.scenarios.mismatch import SRM
from sims.scenarios.ope_accuracy import OPE_ACCURACY
from sims.scenarios.ope_coverage import OPE_ANYTIME, OPE_COVERAGE
from sims.scenarios.ope_heldout import OPE_HELDOUT
from sims.scenarios.ope_shrinkage import OPE_SHRINKAGE
from sims.scenarios.ope_slates import OPE_SLATES
from sims.scenarios.peeking import PEEKING
from sims.scenarios.power import OPEN_ENDED, PLANNED, WIDTH
from sims.scenarios.regression import CUPED

SCENARIOS: tuple[Scenario, ...] = (
    PEEKING,
    PLANNED,
    OPEN_ENDED,
    WIDTH,
    ONE_LOOK,
    ADAPTIVE,
    ADAPTIVE_ANYTIME,
    SRM,
    CUPED,
    OPE_COVERAGE,
    OPE_ANYTIME,
    OPE_ACCURACY,
    OPE_HELDOUT,
    OPE_SHRINKAGE,
    OPE_SLATES,
    DRIFT,
    COLD_START,
)
"""Every scenario; `bandit simulate scenarios` runs them by name."""
