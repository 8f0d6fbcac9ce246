"""`bandit simulate obd`: real logged feedback, each policy judged from the other's log."""

import sys
from pathlib import Path

import click
import msgspec
from rich.console import Console
from rich.table import Table

from bandit.errors import BanditError
from sims.obd import SMALL, Judgement, judge

FOLDER = click.Path(file_okay=False, path_type=Path)


@click.command("obd")
@click.option(
    "--data",
    type=FOLDER,
    default=SMALL,
    help="Folder of the Open Bandit Dataset's compact files; without it, a checkout's small copy.",
)
@click.option("--out", type=FOLDER, default=Path("artifacts/simulate"), show_default=True)
def command(data: Path, out: Path) -> None:
    """Judge policies of the Open Bandit Dataset from each other's logs, beside their own clicks.

    Writes obd.json into --out. Ends with 1 if an interval contradicts the policy's own log.
    """
    console = Console(width=None if sys.stdout.isatty() else 150)
    try:
        found = list(judge(data))
    except BanditError as exc:
        raise click.ClickException(str(exc)) from exc
    console.print(table_of(found))
    out.mkdir(parents=True, exist_ok=True)
    (out / "obd.json").write_bytes(msgspec.json.format(msgspec.json.encode(found)))
    console.print(f"{out / 'obd.json'}", highlight=False)
    sys.exit(1 if any(one.holds is False for one in found) else 0)


def table_of(found: list[Judgement]) -> Table:
    """One line per campaign and direction; click rates × 1,000."""
    title = "Open Bandit Dataset (ZOZO, Inc., CC BY 4.0): click rates × 1,000"
    table = Table(title=title, title_justify="left", box=None, header_style="bold")
    table.add_column("campaign")
    table.add_column("log → target")
    names = ("own log", "full data", "default", "95 %", "snips", "ips", "dr", "dm", "effective n")
    for name in names:
        table.add_column(name, justify="right")
    table.add_column("verdict", overflow="fold")
    for one in found:
        table.add_row(*_row(one))
    return table


def _row(one: Judgement) -> list[str]:
    evaluation, best = one.evaluation, one.evaluation.best
    interval = best.interval if best else None
    values = [evaluation[name].value for name in ("snips", "ips", "dr", "dm")]
    return [
        one.campaign,
        f"{one.logged_by} → {one.target}",
        f"{one.truth * 1e3:.2f} ± {one.truth_error * 1e3:.2f}",
        _thousandths(one.full),
        _thousandths(best.value if best else None),
        f"{interval.low * 1e3:.2f} to {interval.high * 1e3:.2f}" if interval else "–",
        *(_thousandths(value) for value in values),
        f"{evaluation.diagnostics.ess:,.0f}",
        f"{evaluation.verdict}: {', '.join(evaluation.reasons) or 'nothing to note'}",
    ]


def _thousandths(value: float | None) -> str:
    return "–" if value is None else f"{value * 1e3:.2f}"
