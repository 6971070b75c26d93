"""`holdfast init`: write a commented holdfast.toml."""

from pathlib import Path

import click

from features.errors import BadInput
from holdfast import config, output

EXAMPLE = """\b
Example:
  holdfast init
  holdfast init --to shop/holdfast.toml"""


@click.command(epilog=EXAMPLE)
@click.option(
    "--to", type=click.Path(path_type=Path), default=config.FILE_NAME, show_default=True, help="File to write."
)
@click.option("--force", is_flag=True, help="Overwrite the file if it is there.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--debug", is_flag=True, expose_value=False, help="Show tracebacks.")
def command(to: Path, *, force: bool, as_json: bool) -> None:
    """Write a commented holdfast.toml with every setting, its meaning and its default."""
    target = to / config.FILE_NAME if to.is_dir() else to
    if target.exists() and not force:
        raise BadInput(f"{target} is there already and was left as it is; --force overwrites it.")
    target.write_text(config.template(), "utf-8")
    output.emit(
        {"written": target},
        text=f"Wrote {target}. Next: holdfast ingest FILE… (its columns are set in [ingest])",
        as_json=as_json,
    )
