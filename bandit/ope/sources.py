"""Batches from other formats: obp's dictionaries, the Open Bandit Dataset's files, DSJSON."""

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from bandit.dsjson import Line, LoggedSlot, read_line
from bandit.errors import RecordError
from bandit.ope.arrays import Floats, floats, numbers, whole_numbers
from bandit.ope.batch import LoggedBatch

OBD_COLUMNS = ("item_id", "position", "click", "p")


def from_obp(
    feedback: Mapping[str, Any],
    action_dist: ArrayLike,
    *,
    estimated_rewards: ArrayLike | None = None,
    **more: Any,
) -> LoggedBatch:
    """A batch from an Open Bandit Pipeline `bandit_feedback` dictionary.

    Args:
        feedback: With `action`, `reward`, `pscore`; `position` and `pi_b` where known.
        action_dist: `(n, k)` or `(n, k, positions)` the target's probabilities.
        estimated_rewards: The same shape: a model's expected rewards.
        more: Other fields of `LoggedBatch.of`, such as `reward_range`.

    >>> feedback = {"action": [0, 1], "reward": [1, 0], "pscore": [0.5, 0.5], "position": None}
    >>> from_obp(feedback, [[1.0, 0.0], [0.25, 0.75]]).weights.tolist()
    [2.0, 1.5]
    """
    missing = [name for name in ("action", "reward", "pscore") if feedback.get(name) is None]
    if missing:
        raise RecordError(
            f"feedback has no {' and no '.join(missing)}, must have all three columns"
        )
    position = feedback.get("position")
    logged = feedback.get("pi_b")
    return LoggedBatch.of(
        action=feedback["action"],
        reward=feedback["reward"],
        propensity=feedback["pscore"],
        target_pmf=_at_position(action_dist, position),
        logged_pmf=None if logged is None else _at_position(logged, position),
        predictions=(
            None if estimated_rewards is None else _at_position(estimated_rewards, position)
        ),
        **more,
    )


def _at_position(values: ArrayLike, position: ArrayLike | None) -> Floats:
    """`(n, k)` of each row's position."""
    array = numbers("action_dist", values)
    if array.ndim == 2:
        return array
    if array.ndim != 3:
        raise RecordError(f"action_dist has shape {array.shape}, must be (n, k) or (n, k, l)")
    n, _, positions_n = array.shape
    place = np.zeros(n, dtype=np.int64)
    if position is not None:
        place = whole_numbers("position", position, (n,))
    if n and not (place.min() >= 0 and place.max() < positions_n):
        raise RecordError(f"position is outside 0 … {positions_n - 1}")
    picked: Floats = np.take_along_axis(array, place[:, None, None], axis=2)[:, :, 0]
    return picked


def from_dsjson(
    lines: Iterable[bytes],
    target: Callable[[Line], Sequence[float]],
    *,
    slot: int = 0,
    **more: Any,
) -> LoggedBatch:
    """A batch from Vowpal Wabbit's joined log, as Personalizer and `bandit export` write it.

    Rows whose users saw something else than was drawn (`_skipLearn`) are left out as `override`;
    a slot that has no label gives no row. A line that was kept with probability 1 − `pdrop` has
    the sampling weight 1 ÷ (1 − pdrop).

    Args:
        lines: One JSON object each; blank ones are passed over.
        target: Line → the target's probabilities of `line.actions` in `slot`, in their order,
            given the slots above.
        slot: 0 is the top.
        more: Other fields of `LoggedBatch.of`, such as `reward_range`.

    Raises:
        RecordError: A line that is none, with its number.

    >>> line = (b'{"_label_cost":-1,"_label_probability":0.5,"_label_Action":2,"a":[2,1],'
    ...         b'"p":[0.5,0.5],"Timestamp":"2026-11-23T11:00:00Z","EventId":"e",'
    ...         b'"c":{"_multi":[{"x":1},{"x":2}]}}')
    >>> from_dsjson([line], lambda line: [0.25, 0.75]).weights.tolist()
    [1.5]
    """
    if slot < 0:
        raise ValueError(f"slot is {slot}, must be at least 0")
    rows: list[tuple[Line, LoggedSlot]] = []
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        try:
            line = read_line(raw)
        except RecordError as exc:
            raise RecordError(f"line {number}: {exc}") from exc
        if slot < len(line.slots) and line.slots[slot].reward is not None:
            rows.append((line, line.slots[slot]))
    gone = [{above.order[0] for above in line.slots[:slot] if above.order} for line, _ in rows]
    return LoggedBatch.of(
        propensity=[logged.propensity for _, logged in rows],
        reward=[_label(logged) for _, logged in rows],
        target=[_asked(target, line)[logged.order[0]] for line, logged in rows],
        unit=[line.event_id for line, _ in rows],
        actions_n=[
            len(set(line.slots[0].order) - above)
            for (line, _), above in zip(rows, gone, strict=True)
        ],
        barred={"override": [line.skip_learn for line, _ in rows]},
        sampling=(
            [1.0 / (1.0 - line.dropped) for line, _ in rows]
            if any(line.dropped for line, _ in rows)
            else None
        ),
        **more,
    )


def _asked(target: Callable[[Line], Sequence[float]], line: Line) -> Sequence[float]:
    given = target(line)
    if len(given) != len(line.actions):
        raise RecordError(
            f"target gave {len(given)} probabilities for decision {line.event_id!r}, must be "
            f"{len(line.actions)}: one for each action"
        )
    return given


def _label(slot: LoggedSlot) -> float:
    assert slot.reward is not None
    return slot.reward


def read_obd(path: Path, target: ArrayLike, **more: Any) -> LoggedBatch:
    """A batch from a compact Open Bandit file (`t_s,item_id,position,click,p,u0…u3`, gzipped).

    Args:
        path: The file.
        target: `(k,)` or `(k, positions)` the target's probabilities of the items.
        more: Other fields of `LoggedBatch.of`.

    Source: Saito, Aihara, Matsutani, Narita (2021), "Open Bandit Dataset and Pipeline",
    arXiv 2008.07146.
    """
    columns = read_obd_columns(path)
    table = floats("target", np.atleast_2d(np.asarray(target, dtype=np.float64).T), (None, None)).T
    place = columns["position"] if table.shape[1] > 1 else np.zeros_like(columns["position"])
    if len(place) and not (place.min() >= 0 and place.max() < table.shape[1]):
        raise RecordError(f"position is outside 1 … {table.shape[1]}, as target has columns")
    totals = table.sum(axis=0, keepdims=True)
    if not np.allclose(totals, 1.0, atol=0.01):
        raise RecordError("target must sum to 1 at every position")
    return LoggedBatch.of(
        action=columns["item_id"],
        reward=columns["click"],
        propensity=columns["p"],
        target_pmf=table[:, place].T,
        actions_n=len(table),
        reward_range=(0.0, 1.0),
        **more,
    )


def read_obd_columns(path: Path) -> dict[str, Any]:
    """The columns of a compact file: floats `t_s`, `p`, `click`; integers the others from 0.

    Positions count from 0.

    Raises:
        RecordError: It is none.
    """
    columns: dict[str, Any]
    try:
        with gzip.open(path, "rt", newline="") as lines:
            names, *rows = csv.reader(lines)
        columns = {
            name: np.array(values, dtype=np.float64)
            for name, values in zip(names, zip(*rows, strict=True), strict=True)
        }
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, ValueError) as exc:
        raise RecordError(f"{path} is no compact Open Bandit file: {exc}") from exc
    missing = [name for name in OBD_COLUMNS if name not in columns]
    if missing:
        raise RecordError(f"{path} has no column {', '.join(missing)}")
    for name in columns.keys() - {"t_s", "p", "click"}:
        columns[name] = whole_numbers(name, columns[name], (None,))
    columns["position"] = columns["position"] - 1
    return columns
