"""What hosts need beside their user-data: keys and tokens, and addresses that say enough."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dnssd.cli.options import option
from dnssd.cli.reporting import warn

if TYPE_CHECKING:  # --help needs none of it
    from dnssd.zones.address import ZoneAddress

secret_option = option(
    "--secret",
    "secrets",
    metavar="FILE",
    multiple=True,
    help="Put this key or token file into user-data, as /etc/dnssd/secrets/NAME, where root "
    "alone reads it on the host. Whoever may read the user-data reads it, too.",
)


def read_secrets(files: Sequence[str], zone_addresses: Iterable[str]) -> dict[str, str]:
    """The texts of key and token files by their names; each is one that a zone asks for.

    Raises:
        UsageError: A file cannot be read, or no zone asks for it.
    """
    from dnssd.errors import UsageError
    from dnssd.zones.secretfile import FOLDER

    wanted = {zone.key_file for zone in _parsed(zone_addresses)}
    found = {}
    for file in map(Path, files):
        if f"{FOLDER}/{file.name}" not in wanted:
            raise click.UsageError(
                f"--secret {file}: no zone names {FOLDER}/{file.name} as its key or token file"
            )
        try:
            found[file.name] = file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "not ASCII"
            raise UsageError(f"--secret {file}: {why}; give a key or token file") from error
    return found


def check_zones(zone_addresses: Iterable[str], *, agent: bool) -> None:
    """Check that hosts can find the files of their zones.

    Raises:
        UsageError: They cannot.
    """
    from dnssd.zones.secretfile import FOLDER

    for zone in _parsed(zone_addresses):
        path = Path(zone.key_file or FOLDER)
        if not path.is_absolute():
            raise click.UsageError(f"{path}: hosts need its whole path; {FOLDER} is the place")
        if agent and zone.key_file and str(path.parent) != FOLDER:
            raise click.UsageError(
                f"{path}: an agent is not root; systemd hands it what is in {FOLDER}: put it there"
            )


def warn_of_zones(zone_addresses: Iterable[str], secrets: Mapping[str, str]) -> None:
    """Say what hosts would miss at their starts, where nobody looks."""
    from dnssd.names import shown

    for zone in _parsed(zone_addresses):
        if (lacks := zone.lacks) is not None:
            warn(f"zone {shown(zone.text)}: {lacks}")
        if zone.key_file and Path(zone.key_file).name not in secrets:
            warn(
                f"zone {shown(zone.text)}: hosts need {zone.key_file}, readable by root alone: "
                "put it into their image, or have user-data bring it with --secret"
            )


def _parsed(zone_addresses: Iterable[str]) -> list[ZoneAddress]:
    from dnssd.zones.address import ZoneAddress

    return [ZoneAddress.parse(text) for text in dict.fromkeys(zone_addresses)]
