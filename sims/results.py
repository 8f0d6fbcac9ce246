"""What a run came to: to print, to draw, to take into pandas, to save."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pandas as pd
import pyarrow as pa
from matplotlib.figure import Figure

import bandit
from bandit.errors import RecordError
from bandit.service.simulations import (
    CURVES,
    REPORT,
    RUN,
    RunOptions,
    SavedRun,
    SimulatedPolicy,
    SimulatedWorld,
    folder_of,
)
from bandit.stats.multiple import Correction
from sims.comparing import curves_of, finals_of, pairs_of, sums_of, wins_of
from sims.pictures import draw, png
from sims.policies import what_is
from sims.report import as_fragment, as_page, as_text
from sims.running.cells import as_parquet, write
from sims.running.plan import Plan


class Result:
    """Policies side by side in worlds.

    Attributes:
        run: Everything that is shown, as it is saved.
        rows: `(cells, …)` a row for each world, policy, seed and checkpoint.
    """

    def __init__(self, run: SavedRun, rows: pa.Table) -> None:
        self.run, self.rows = run, rows

    def __repr__(self) -> str:
        return as_text(self.run)

    def _repr_html_(self) -> str:
        return as_fragment(self.run, {})

    def plot(self, world: str | None = None) -> Figure:
        """Learning curves with bands over seeds.

        Args:
            world: Which; None: the first.

        Raises:
            RecordError: It was not run.
        """
        names = [one.name for one in self.run.worlds]
        wanted = names[0] if world is None else world
        if wanted not in names:
            raise RecordError(f"world is {wanted!r}, must be one of {', '.join(names)}")
        return draw(self.run, wanted)

    def table(self) -> pd.DataFrame:
        """How each policy ended in each world, the best first; see `Final` for the columns."""
        return pd.DataFrame([msgspec.structs.asdict(final) for final in self.run.finals])

    def pairs(self) -> pd.DataFrame:
        """Each policy against each other in each world: differences paired by seed."""
        rows = []
        for pair in self.run.pairs:
            effect = pair.effect
            rows.append(
                {
                    "world": pair.world,
                    "policy": pair.policy,
                    "other": pair.other,
                    "difference": effect.effect,
                    "low": effect.effect_ci_low,
                    "high": effect.effect_ci_high,
                    "p_value": effect.p_value,
                    "p_value_adjusted": effect.p_value_adjusted,
                    "verdict": pair.verdict,
                }
            )
        return pd.DataFrame(rows)

    def to_pandas(self) -> pd.DataFrame:
        """A row for each world, policy, seed and checkpoint; reward and regret are sums so far."""
        frame: pd.DataFrame = self.rows.to_pandas()
        return frame

    def save(self, data_dir: Path) -> Path:
        """Save it where pages and `sims.saved` find it.

        Args:
            data_dir: The service's data directory.

        Returns:
            The folder: `run.json`, `curves.parquet`, `report.html`, a picture for each world.
        """
        folder = folder_of(data_dir, self.run.id)
        write(folder / CURVES, as_parquet(self.rows))
        files = [CURVES, REPORT]
        pictures = {world.name: png(draw(self.run, world.name)) for world in self.run.worlds}
        for number, (world, picture) in enumerate(pictures.items(), 1):
            files.append(f"{number}-{slug(world)}.png")
            write(folder / files[-1], picture)
        made = datetime.fromtimestamp((folder / CURVES).stat().st_mtime, UTC)
        made_at = made.isoformat(timespec="seconds")
        self.run = msgspec.structs.replace(self.run, made_at=made_at, files=files)
        write(folder / REPORT, as_page(self.run, pictures).encode())
        # The last: a folder without it is a run under way.
        write(folder / RUN, msgspec.json.format(msgspec.json.encode(self.run)))
        return folder


def result_of(
    plan: Plan,
    rows: pa.Table,
    seconds: dict[str, float],
    *,
    took_s: float,
    name: str,
    reference: str | None,
    alpha: float,
    correction: Correction,
) -> Result:
    """Put together what is shown of a run.

    Args:
        plan, rows, seconds: Of the run.
        took_s: How long it took.
        name: What it is called.
        reference: Key of the policy that the others are shown against; None: the first.
        alpha: 1 − the level of all intervals.
        correction: Of the p-values.

    Raises:
        RecordError: The reference was not run.
    """
    keys = [contender.key for contender in plan.contenders]
    check_reference(reference, keys)
    sums = sums_of(plan, rows)
    pairs = pairs_of(plan, sums, alpha, correction)
    run = SavedRun(
        id=run_id(name, plan),
        name=name,
        made_at="",
        seconds=took_s,
        code_version=bandit.__version__,
        options=RunOptions(
            rounds_n=plan.rounds_n,
            seeds=list(plan.seeds),
            delay_n=plan.timing.delay_n,
            join_n=plan.timing.join_n,
            alpha=alpha,
            correction=correction,
        ),
        worlds=[SimulatedWorld(name=world.name, about=world.about) for world in plan.worlds],
        policies=[
            SimulatedPolicy(key=contender.key, what=what_is(contender))
            for contender in plan.contenders
        ],
        reference=keys[0] if reference is None else reference,
        finals=finals_of(plan, sums, seconds, alpha),
        pairs=pairs,
        wins=wins_of(pairs),
        curves=curves_of(plan, sums, alpha),
        files=[],
    )
    return Result(run, rows)


def check_reference(reference: str | None, keys: Sequence[str]) -> None:
    """Refuse a reference that is not run.

    Raises:
        RecordError: It is none of the keys.
    """
    if reference is not None and reference not in keys:
        raise RecordError(f"reference is {reference!r}, must be one of {', '.join(keys)}")


def run_id(name: str, plan: Plan) -> str:
    """The id of a run: equal for equal names and plans, so that a run can be gone on with."""
    return f"{slug(name)[:60]}-{plan.digest[:10]}"


def slug(name: str) -> str:
    """A name as part of a file's.

    >>> slug("linear+drift:5000")
    'linear-drift-5000'
    """
    return re.sub(r"[^A-Za-z0-9_.]+", "-", name).strip("-._") or "run"
