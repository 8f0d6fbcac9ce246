"""What is done to a declaration by a button: start, stop, archive; the kill switch."""

from typing import Any, NamedTuple

import msgspec
import streamlit as st

from bandit.specs import Experiment, Surface
from bandit.store.definitions import Definition
from dashboard.changing import show_answer, show_write_button
from dashboard.definition_form import finish
from dashboard.source import Source
from dashboard.writing import Writer, path_of


class Step(NamedTuple):
    """One thing that can be done now.

    Attributes:
        label: Of its button.
        icon: Before it.
        means: What it means, shown before it is done.
        change: Fields, and what they become.
        done: What is said afterwards.
    """

    label: str
    icon: str
    means: str
    change: dict[str, Any]
    done: str


def steps_of(spec: object) -> list[Step]:
    """What can be done to a declaration as it is now."""
    if isinstance(spec, Experiment):
        return _of_experiment(spec)
    if isinstance(spec, Surface):
        return [_switch(spec)]
    return []


def _of_experiment(spec: Experiment) -> list[Step]:
    start = Step(
        "Start",
        ":material/play_arrow:",
        "Units are assigned from now on. Its surface, salt, layer, targeting, control and plan can "
        "not change any more, and allocations can only grow.",
        {"status": "running"},
        "runs",
    )
    stop = Step(
        "Stop",
        ":material/stop:",
        "No unit is assigned any more: everybody is served as if it were not there. It can not be "
        "started again. Its report stays.",
        {"status": "stopped"},
        "is stopped",
    )
    archive = Step(
        "Archive",
        ":material/archive:",
        "It is no longer in the lists, unless one asks for archived ones. Its report stays. It can "
        "not be brought back.",
        {"status": "archived"},
        "is archived",
    )
    return {"draft": [start, archive], "running": [stop], "stopped": [archive]}.get(spec.status, [])


def _switch(spec: Surface) -> Step:
    if spec.killed:
        return Step(
            "Turn the kill switch off",
            ":material/power:",
            f"Policy `{spec.policy}` and the experiments serve {spec.key} again.",
            {"killed": False},
            "is served by its policy again",
        )
    return Step(
        "Turn the kill switch on",
        ":material/dangerous:",
        f"Everybody on {spec.key} is served the offered order at once; nothing is explored, and "
        "its experiments learn nothing until it is off again.",
        {"killed": True},
        "is switched off: everybody is served the offered order",
    )


def show_steps(source: Source, writer: Writer, name: str, newest: Definition) -> None:
    """A button for each step, which tells what it means before it is done.

    Args:
        source: Is told that something changed.
        writer: Does it.
        name: `surfaces`, as the API's address has it.
        newest: What is declared now; a change that somebody else made meanwhile is not overwritten.
    """
    steps = steps_of(newest.spec)
    if not steps:
        return
    row = st.container(horizontal=True)
    for step in steps:
        with row:
            pressed = show_write_button(
                writer,
                step.label,
                key=f"step|{newest.kind}|{newest.key}|{step.label}",
                icon=step.icon,
                confirm=step.means,
            )
        if not pressed:
            continue
        body = msgspec.to_builtins(newest.spec) | step.change
        answer = writer.put(path_of(name, newest.key), body, against=f'"{newest.version}"')
        if answer.is_done:
            finish(source, f"{newest.kind} {newest.key} {step.done}.", newest.kind, newest.key)
        source.forget_definitions()
        show_answer(answer, "")
