"""Simulations that were saved: what a run found, as it is read back and shown.

`<data_dir>/simulations/<run id>/` holds `run.json` (a `SavedRun`), `curves.parquet` (a row for
each policy, world, seed and checkpoint), pictures and `report.html`. `sims` writes it, nothing
here does.
"""

import re
from pathlib import Path
from typing import Literal

import msgspec

from bandit.errors import NotFound, RecordError
from bandit.records import Record
from bandit.stats import Effect

VERSION = 1
FOLDER = "simulations"
RUN, REPORT, CURVES = "run.json", "report.html", "curves.parquet"
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class RunOptions(Record, frozen=True, kw_only=True):
    """What a run was told.

    Attributes:
        rounds_n: Rounds of each policy in each world and seed.
        seeds: Of rounds and draws; the same for all policies, so that differences are paired.
        delay_n: Rounds until a reward is learned from, on top of the world's own delays.
        join_n: Rounds that a reward may take to count, as a service's join window does: whoever
            earned nothing by then has earned 0, and a second reward is not counted. None: learners
            are told what arrives when it arrives, and nothing of what is lost.
        alpha: 1 − the level of every interval.
        correction: Of the p-values of all pairs in all worlds together.
    """

    rounds_n: int
    seeds: list[int]
    delay_n: int
    join_n: int | None
    alpha: float
    correction: str


class SimulatedWorld(Record, frozen=True, kw_only=True):
    """A world of a run: its name, and where its data come from, on which terms."""

    name: str
    about: str


class SimulatedPolicy(Record, frozen=True, kw_only=True):
    """A policy of a run.

    Attributes:
        key: Its name in the run.
        what: Its declaration, or how a peer's adapter describes itself.
    """

    key: str
    what: str


class Final(Record, frozen=True, kw_only=True):
    """How a policy ended in a world: means over seeds with t intervals.

    Attributes:
        reward: Mean reward per round; `late` the same of the last quarter.
        regret: Mean regret per round.
        micros: Mean time of one round (asking, drawing, learning), in µs of the process that ran
            it; None where it was not measured. It is no function of the seed.
        rank: Mean over seeds of the rank of its reward in the world, 1 is the best; ties share.
        reason: Why there are no intervals: `one_unit` with one seed, `no_variance` if all are
            equal.
    """

    world: str
    policy: str
    reward: float
    reward_low: float | None
    reward_high: float | None
    late: float
    regret: float
    regret_low: float | None
    regret_high: float | None
    rank: float
    micros: float | None
    reason: str | None = None


class Pair(Record, frozen=True, kw_only=True):
    """One policy against another in a world, paired by seed.

    Attributes:
        policy, other: Which; the effect is `policy` − `other`, in reward per round.
        effect: With its interval and, in `p_value_adjusted`, its p among all pairs of the run.
        verdict: `wins` if `policy` earned more and that is sure after the correction.
    """

    world: str
    policy: str
    other: str
    effect: Effect
    verdict: Literal["wins", "loses", "open"]


class WinLoss(Record, frozen=True, kw_only=True):
    """In how many worlds a policy surely earned more, or less, than another."""

    policy: str
    other: str
    wins_n: int
    losses_n: int
    open_n: int


class Curve(Record, frozen=True, kw_only=True):
    """How a policy got on in a world: means over seeds, with t bands (None with one seed).

    Attributes:
        rounds_n: Checkpoints.
        reward: Mean reward per round so far.
        regret: Regret so far, summed.
    """

    world: str
    policy: str
    rounds_n: list[int]
    reward: list[float]
    reward_low: list[float | None]
    reward_high: list[float | None]
    regret: list[float]
    regret_low: list[float | None]
    regret_high: list[float | None]


class RunHead(msgspec.Struct, frozen=True, kw_only=True):
    """What a list of runs shows.

    Attributes:
        made_at: When it was finished, ISO 8601 with offset.
        seconds: How long it took, from its last start.
    """

    id: str
    name: str
    made_at: str
    seconds: float
    options: RunOptions
    worlds: list[SimulatedWorld]
    policies: list[SimulatedPolicy]


class SavedRun(Record, frozen=True, kw_only=True):
    """All that is known of a run; see `RunHead` for the first fields.

    Attributes:
        reference: The policy that the others are compared with first.
        finals: A row for each world and policy, the best of a world first.
        pairs: A row for each world and pair of policies, both ways round.
        wins: A row for each pair of policies, both ways round.
        files: Names of pictures and tables in the run's folder.
    """

    version: int = VERSION
    id: str
    name: str
    made_at: str
    seconds: float
    code_version: str
    options: RunOptions
    worlds: list[SimulatedWorld]
    policies: list[SimulatedPolicy]
    reference: str
    finals: list[Final]
    pairs: list[Pair]
    wins: list[WinLoss]
    curves: list[Curve]
    files: list[str]


class SavedRuns(Record, frozen=True, kw_only=True):
    """What a folder holds.

    Attributes:
        runs: The newest first.
        problems: Of each folder that holds no readable run, why; in words.
    """

    runs: list[RunHead]
    problems: list[str]


def runs(data_dir: Path) -> SavedRuns:
    """The finished runs under a data directory; none if there is no folder of them."""
    heads, problems = [], []
    for path in sorted((data_dir / FOLDER).glob(f"*/{RUN}")):
        try:
            head = msgspec.json.decode(path.read_bytes(), type=_Head)
            _check_version(head.version)
            heads.append(head)
        except (OSError, msgspec.MsgspecError, RecordError) as exc:
            problems.append(f"{path.parent.name}: {exc}")
    heads.sort(key=lambda head: (head.made_at, head.id), reverse=True)
    return SavedRuns(runs=list(heads), problems=problems)


def load(data_dir: Path, run_id: str) -> SavedRun:
    """One run.

    Raises:
        NotFound: There is none of this id.
        RecordError: It can not be read.
    """
    try:
        raw = (folder_of(data_dir, run_id) / RUN).read_bytes()
    except OSError as exc:
        raise NotFound(f"simulation {run_id!r} is not saved under {data_dir / FOLDER}") from exc
    try:
        _check_version(msgspec.json.decode(raw, type=_Version).version)
        return msgspec.json.decode(raw, type=SavedRun)
    except msgspec.MsgspecError as exc:
        raise RecordError(f"simulation {run_id!r} can not be read: {exc}") from exc


def folder_of(data_dir: Path, run_id: str) -> Path:
    """Where a run is, or will be.

    Raises:
        RecordError: The id is none: it could lead out of the folder.
    """
    if not _ID.fullmatch(run_id):
        raise RecordError(
            f"run id is {run_id[:100]!r}, must be 1 to 100 letters, digits, '.', '_' and '-', and "
            "begin with a letter or digit"
        )
    return data_dir / FOLDER / run_id


class _Version(msgspec.Struct, frozen=True):
    version: int = 0


class _Head(RunHead, frozen=True, kw_only=True):
    version: int = 0


def _check_version(version: int) -> None:
    if version != VERSION:
        raise RecordError(f"version is {version}, must be {VERSION}: run it again")
