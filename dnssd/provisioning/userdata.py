"""User-data: the templates of userdata/, filled in with what one host shall do.

A template holds `@NAME@` for a value, and `@FILE@` alone on its line for another template.
Only the unit has values: what a caller gives is quoted once, for systemd, into printable
ASCII, and can mean nothing else to a shell or to YAML around it.
"""

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.provisioning.systemd import command_line

MAX_USER_DATA = 16_384  # octets, before base64 (EC2)
MAX_DEADLINE = 86_400.0  # seconds
LEAST_START = 600  # seconds: installing packages takes minutes on a small machine

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "templates", _HERE.parents[1] / "userdata")  # in a wheel, in a checkout
_SLOT = re.compile(r"^( *)@([a-z./-]+)@\n|^(.*)@([A-Z]+)@(.*\n)", re.MULTILINE)


class Format(StrEnum):
    """What user-data is written as."""

    SHELL = "shell"
    CLOUD_CONFIG = "cloud-config"
    SYSTEMD = "systemd"  # the unit alone


_JOINING = {
    Format.SHELL: "join.sh",
    Format.CLOUD_CONFIG: "cloud-config.yaml",
    Format.SYSTEMD: "systemd/dnssd-join.service",
}
_UNINSTALLING = {
    Format.SHELL: "uninstall.sh",
    Format.CLOUD_CONFIG: "cloud-config-uninstall.yaml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a host does from its start to its stop.

    Attributes:
        join: The arguments of `dnssd` at every start.
        leave: The arguments of `dnssd` at every stop.
        deadline: Seconds that `join` takes at most.
        install: What pip installs dnssd from; None where it is installed already.

    Raises:
        UsageError: A deadline that is none, or something that pip would take for an option.
    """

    join: tuple[str, ...]
    leave: tuple[str, ...]
    deadline: float
    install: str | None = None

    def __post_init__(self) -> None:
        if not 0 < self.deadline <= MAX_DEADLINE:
            raise UsageError(
                f"deadline {self.deadline:g}: at a host's start up to {MAX_DEADLINE:.0f} seconds "
                "are allowed; the unit starts a failed join again by itself"
            )
        if self.install is not None and not _is_installable(self.install):
            raise UsageError(
                f"install {shown(self.install)}: give what pip installs: NAME==VERSION, "
                "an absolute path or address of a wheel, or git+https://ADDRESS"
            )

    def values(self) -> dict[str, str | None]:
        """By the names that the unit's template has for them; None leaves out the line."""
        return {
            "INSTALL": None if self.install is None else command_line([self.install]),
            "JOIN": command_line(self.join),
            "LEAVE": command_line(self.leave),
            "TIMEOUT": str(max(LEAST_START, math.ceil(self.deadline) + 60)),
        }


def joining(form: Format, life: Life) -> str:
    """User-data that lives `life`.

    Raises:
        UsageError: It is too long for EC2.
    """
    text = _filled(_JOINING[form], life.values())
    if (size := len(text.encode())) > MAX_USER_DATA:
        raise UsageError(
            f"user-data: {size} octets, and EC2 takes {MAX_USER_DATA}; shorten the options, "
            "such as --txt"
        )
    return text


def uninstalling(form: Format) -> str:
    """User-data that leaves, and removes what `joining` put on a host.

    Raises:
        UsageError: A unit cannot remove itself.
    """
    if form not in _UNINSTALLING:
        raise UsageError(f"uninstall: a unit cannot remove itself; use --format {Format.SHELL}")
    return _filled(_UNINSTALLING[form], {})


def template(name: str) -> str:
    """A file of userdata/."""
    folder = next(folder for folder in _FOLDERS if folder.is_dir())
    return (folder / name).read_text(encoding="utf-8")


def _filled(name: str, values: Mapping[str, str | None]) -> str:
    """A template with its files and values; what those hold is not looked at again."""

    def fill(slot: re.Match[str]) -> str:
        indent, file, before, value, after = slot.groups()
        if file:
            return textwrap.indent(_filled(file, values), indent)
        words = values[value]
        return "" if words is None else before + words + after

    return _SLOT.sub(fill, template(name))


def _is_installable(spec: str) -> bool:
    """Whether pip takes it for neither an option nor a path from where it happens to run."""
    if not spec.isprintable() or not re.match("[A-Za-z0-9/]", spec):
        return False
    relative = spec[0] != "/" and "://" not in spec
    return not (relative and ("/" in spec or spec.endswith(".whl")))
