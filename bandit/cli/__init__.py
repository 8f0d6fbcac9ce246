"""The command line: one module per command, imported when it is called."""

import importlib
import keyword

import click

import bandit

COMMANDS = {
    "up": "Run everything under one supervisor and restart what dies.",
    "api": "Serve rankings and accept rewards; drain the journal.",
    "drain": "Deliver this host's journal to ClickHouse.",
    "gateway": "Run the embedded ClickHouse.",
    "learn": "Train policies from the log and publish snapshots.",
    "refresh": "Keep the numbers of reports fresh.",
    "dashboard": "Show experiments and policies in the browser.",
    "demo": "Run the whole loop on real data.",
    "report": "Print an experiment's or a surface's report.",
    "plan": "Print how many units and days an experiment needs.",
    "promote": "Move a challenger to live through a gate and a ramp, or back.",
    "evaluate": "Say what policies would have earned, had they learned from a surface's log.",
    "export": "Write a surface's log for other programs (DSJSON).",
    "import": "Read logs of other services (DSJSON) into a surface's log.",
    "forget": "Take a unit out of everything, and learn again without it.",
    "retention": "Show or change how long the log is kept.",
    "replay": "Replay logged decisions and say whether they come out identical.",
    "keys": "Make, list, revoke and rotate API keys.",
    "tokens": "Show and replace the keys of event tokens.",
    "doctor": "Say in plain words what is wrong, and what to do.",
    "bakeoff": "Compare policies and peers on ten real data sets.",
    "simulate": "Run a policy in a simulated world.",
}


class LazyGroup(click.Group):
    """Imports a command's module only when that command is called: `bandit --help` stays quick."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Names in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command `bandit.cli.<name>.command`."""
        if cmd_name not in COMMANDS:
            return None
        name = f"{cmd_name}_" if keyword.iskeyword(cmd_name) else cmd_name
        command: click.Command = importlib.import_module(f"bandit.cli.{name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup)
@click.version_option(bandit.__version__, prog_name="bandit")
def main() -> None:
    """Decide what to show, learn from what happens, prove that it helped."""
