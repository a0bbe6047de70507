"""User-data: the templates of userdata/, filled in with what one host shall do.

A template holds `@NAME@` for a value, and `@FILE@` alone on its line for another template.
Only the unit has values: what a caller gives is quoted once, for systemd, into printable
ASCII, and can mean nothing else to a shell or to YAML around it.
"""

import json
import math
import re
import textwrap
import urllib.parse
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType
from typing import Any

from dnssd.errors import UsageError
from dnssd.names import shown
from dnssd.provisioning.systemd import assignment, command_line
from dnssd.provisioning.toml import toml
from dnssd.zones.secretfile import FOLDER

MAX_USER_DATA = 16_384  # octets, before base64 (EC2)
AND = "//"  # no command has a word like this
MAX_DEADLINE = 86_400.0  # seconds
LEAST_START = 600  # seconds: installing packages takes minutes on a small machine
NO_SECRETS: Mapping[str, str] = MappingProxyType({})

_HERE = Path(__file__).parent
_FOLDERS = (_HERE / "templates", _HERE.parents[1] / "userdata")  # in a wheel, in a checkout
_PLACE = re.compile(r"/|([a-z0-9._[\],-]+ ?@ ?)?[a-z+]+://.", re.IGNORECASE)  # NAME @ ADDRESS, too
_INSECURE = re.compile(r"(\w+\+)?\b(?:http|ftp|git|svn)://", re.IGNORECASE)  # nothing is encrypted
_SHA256 = re.compile(r"[0-9a-fA-F]{64}")
_SECRET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")  # its name; systemd takes it as a credential's
_END = "END_OF_FILE"  # of a file, in the script
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


_KEEPING = {
    Format.SHELL: "agent.sh",
    Format.CLOUD_CONFIG: "cloud-config-agent.yaml",
    Format.SYSTEMD: "systemd/dnssd-agent.service",
}
_UNINSTALLING_AGENT = {
    Format.SHELL: "uninstall-agent.sh",
    Format.CLOUD_CONFIG: "cloud-config-uninstall-agent.yaml",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Life:
    """What a host does from its start to its stop.

    Attributes:
        join: The arguments of `dnssd` at every start; `AND` parts those of several commands.
        leave: The arguments of `dnssd` at every stop, likewise.
        deadline: Seconds that `join` takes at most.
        install: What pip installs dnssd from; None where it is installed already.
        zones: Where it joins and leaves, unless /etc/default/dnssd on the host says otherwise.
        lease: Seconds that a join counts, and is renewed at each third; 0 for ever.

    Raises:
        UsageError: A deadline that is none, or a source that hosts must not install from.
    """

    join: tuple[str, ...]
    leave: tuple[str, ...]
    deadline: float
    install: str | None = None
    zones: tuple[str, ...] = ()
    lease: int = 0

    def __post_init__(self) -> None:
        if not 0 < self.deadline <= MAX_DEADLINE:
            raise UsageError(
                f"deadline {self.deadline:g}: at a host's start up to {MAX_DEADLINE:.0f} seconds "
                "are allowed; the unit starts a failed join again by itself"
            )
        if self.install is not None:
            _check_source(self.install)

    def values(self) -> dict[str, str | None]:
        """By the names that the unit's template has for them; None leaves out the line."""
        return {
            "INSTALL": None if self.install is None else command_line([self.install]),
            "JOIN": command_line(self.join),
            "LEAVE": command_line(self.leave),
            "ZONES": assignment("DNSSD_ZONE", " ".join(self.zones)) if self.zones else None,
            "RENEWAL": command_line(_timer(self.lease)) if self.lease else None,
            "TIMEOUT": str(max(LEAST_START, math.ceil(self.deadline) + 60)),
        }


def joining(form: Format, life: Life, secrets: Mapping[str, str] = NO_SECRETS) -> str:
    """User-data that lives `life`.

    Args:
        form: What it is written as.
        life: What the host does.
        secrets: Key and token files that it brings, by their names in `FOLDER`.

    Raises:
        UsageError: It is too long for EC2, or cannot bring such files.
    """
    values = {**life.values(), "SECRETS": _secrets(form, secrets)}
    return _fitting(_filled(_JOINING[form], values))


def keeping(
    form: Format,
    config: Mapping[str, Any],
    install: str | None,
    secrets: Mapping[str, str] = NO_SECRETS,
) -> str:
    """User-data with an agent.

    Args:
        form: What it is written as; the unit alone has no configuration in it.
        config: The agent's, as tables.
        install: What pip installs dnssd from; None where it is installed already.
        secrets: Key and token files that it brings, by their names in `FOLDER`.

    Raises:
        UsageError: It is too long for EC2, cannot bring such files, or hosts must not install
            from there.
    """
    if install is not None:
        _check_source(install)
    values = {
        "SECRETS": _secrets(form, secrets),
        "INSTALL": None if install is None else command_line([install]),
        "CONFIG": toml(config).rstrip("\n"),
    }
    return _fitting(_filled(_KEEPING[form], values))


def uninstalling(form: Format, *, agent: bool = False) -> str:
    """User-data that leaves, and removes what `joining`, or `keeping`, put on a host.

    Raises:
        UsageError: A unit cannot remove itself.
    """
    templates = _UNINSTALLING_AGENT if agent else _UNINSTALLING
    if form not in templates:
        raise UsageError(f"uninstall: a unit cannot remove itself; use --format {Format.SHELL}")
    return _filled(templates[form], {})


def _timer(lease: int) -> tuple[str, ...]:
    """Options of systemd-run: at each third, but hosts that started together part."""
    third = max(1, lease // 3)
    spread = f"RandomizedDelaySec={third // 10}"
    when = (f"--on-active={third}", f"--on-unit-active={third}")
    return *when, "--timer-property=AccuracySec=1", f"--timer-property={spread}"


def _secrets(form: Format, secrets: Mapping[str, str]) -> str | None:
    """What puts them on a host; None for none."""
    if secrets and form is Format.SYSTEMD:
        raise UsageError("secret: the unit alone holds none; leave it out, or take another format")
    return "\n".join(_secret(form, name, text) for name, text in secrets.items()) or None


def _secret(form: Format, name: str, text: str) -> str:
    if not _SECRET.fullmatch(name):
        raise UsageError(f"secret {shown(name)}: its name may have letters, digits, '.', '_', '-'")
    lines = text.expandtabs().splitlines()
    if _END in lines or not all(line.isascii() and line.isprintable() for line in lines):
        raise UsageError(f"secret {name}: not a key or token file: it is not plain text")
    path = f"{FOLDER}/{name}"
    if form is Format.CLOUD_CONFIG:
        content = json.dumps("\n".join(lines) + "\n")  # YAML reads it as well
        return f'- path: {path}\n  permissions: "0600"\n  content: {content}'
    return "\n".join((f"put {path} 600 <<'{_END}'", *lines, _END))


def _fitting(text: str) -> str:
    if (size := len(text.encode())) > MAX_USER_DATA:
        raise UsageError(
            f"user-data: {size} octets, and EC2 takes {MAX_USER_DATA}; shorten the options, "
            "such as --txt"
        )
    return text


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
        if words is None:
            return ""
        if not before.strip():  # a whole text, on lines of its own
            return textwrap.indent(words + after, before)
        return before + words + after

    return _SLOT.sub(fill, template(name))


def digest_of(source: str) -> str | None:
    """The SHA-256 that an address of a wheel ends with; None for none."""
    _, _, fragment = source.partition("#")
    return dict(urllib.parse.parse_qsl(fragment, keep_blank_values=True)).get("sha256")


def is_digest(text: str) -> bool:
    """Whether `text` can be a SHA-256: pip installs nothing where it is not the wheel's."""
    return bool(_SHA256.fullmatch(text))


def _check_source(source: str) -> None:
    """Refuse what anyone else could have put there: hosts run it as root.

    No name is taken. pip would look it up on the package index, and whoever registers that
    name there owns every host that starts.

    Raises:
        UsageError: Neither an absolute path nor an address that is safe on its way.
    """
    if not _is_place(source):
        raise UsageError(
            f"install {shown(source)}: a name on a package index may be anybody's; give an "
            "absolute path, https://ADDRESS/dnssd-VERSION-py3-none-any.whl#sha256=DIGEST "
            "or git+https://ADDRESS"
        )
    insecure = _INSECURE.search(source)
    # pip compares digests of files, not of checkouts
    if insecure and (insecure[1] or not is_digest(digest_of(source) or "")):
        raise UsageError(
            f"install {shown(source)}: anyone on the way can replace it; use https://, "
            "or add #sha256=DIGEST to the address of a wheel"
        )


def _is_place(source: str) -> bool:
    """Whether it is one absolute path or address, and no option of pip."""
    return source.isprintable() and _PLACE.match(source) is not None
