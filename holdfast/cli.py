"""The `holdfast` command: what commands there are, each loaded only when it is called.

`holdfast --help` imports click and nothing heavier; MLflow and LightGBM cost seconds.
"""

import importlib
from collections.abc import Sequence

import click

from holdfast import __version__

COMMANDS = {
    "init": "Write a commented holdfast.toml.",
    "ingest": "Read files of events into the event log.",
    "compact": "Rewrite the event log in fewer files.",
    "features": "Describe, build and compare features.",
    "check": "Say whether the log is fit to learn from.",
    "define": "Say how many days of silence mean churn here.",
    "backtest": "Train and test at many earlier cutoffs: how steady, for whom, how fast does it age.",
    "train": "Learn a model from the log, judge it, make it champion.",
    "compare": "Hold a challenger against the champion on the same windows.",
    "promote": "Make a version champion, if it passes the gate.",
    "rollback": "Bring the champion before back, and its scores.",
    "score": "Score everybody in the population as one run.",
    "watch": "Say daily whether the model in service is still what it was.",
    "cycle": "Ingest, score, watch and, if called for, train a challenger.",
    "at-risk": "List the users most at risk, with reasons.",
    "export": "Write a score run as CSV, Parquet or a Delta table.",
    "webhooks": "Tell other systems of new runs, signed.",
    "keys": "Create, list and revoke API keys.",
    "audit": "Say who read what of users through the API.",
    "store": "Look at the score store, migrate it, copy it to another database.",
    "serve": "Serve scores over HTTP.",
    "doctor": "Say what is wrong and what to do.",
    "demo": "The whole line on real groceries of 2,469 households.",
}

ABOUT = """Holdfast predicts which users are about to leave and says why in words.

\b
A first run on your own data:
  holdfast init
  holdfast ingest events.parquet --user-id customer --time ts --event kind --value amount
  holdfast train
  holdfast score
  holdfast at-risk --top 200 --to list.csv"""
EXIT_CODES = """\b
Exit codes:
  0   done
  1   bad news: doctor found an error, a verdict is "do not deploy", or a model did not pass the gate
  2   the command line was not understood
  3   bad input: a file, a row, a setting or a definition
  4   not ready: something has to come first (a log, a model, a run of scores)
  5   busy: another process is doing the same work on the same data
  6   damaged: stored data fail their own checks
  70  a fault of Holdfast itself; run again with --debug and report it
  74  reading or writing failed, for example a full disk
  130 interrupted; nothing was lost

\b
Settings: options, else HOLDFAST_<SECTION>_<KEY> in the environment, else holdfast.toml, else defaults.
Progress and text go to stderr with --json, one JSON document to stdout."""


class LazyGroup(click.Group):
    """A group that knows its commands' names and imports one when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 click's signature
        """The names, in the order in which one needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 click's signature
        """The command of that name, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module = importlib.import_module(f"holdfast.commands.{cmd_name.replace('-', '_')}")
        command: click.Command = module.command
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """The command that the arguments name; a near miss is told what was probably meant."""
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            ctx.fail(f"There is no command {args[0]!r}.{_meant(args[0], list(COMMANDS))}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002 click's signature
        """The list of commands for `--help`, without importing them."""
        with formatter.section("Commands, in the order of use"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(
    cls=LazyGroup,
    help=ABOUT,
    epilog=EXIT_CODES,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="holdfast")
@click.option("--debug", is_flag=True, help="Show tracebacks.", expose_value=False)  # read by holdfast.failures
def cli() -> None:
    """The group of all commands."""


def _meant(name: str, known: Sequence[str]) -> str:
    import difflib  # noqa: PLC0415 only for a mistake

    near = difflib.get_close_matches(name, known, n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
