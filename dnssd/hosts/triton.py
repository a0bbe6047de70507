"""A Triton (Joyent) instance: what the program `mdata-get` says about it."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from dnssd.deadline import Deadline
from dnssd.errors import DeadlineExceeded, Unavailable
from dnssd.hosts import HostFacts
from dnssd.hosts.addresses import sides
from dnssd.hosts.document import Document
from dnssd.hosts.metadata import MAX_BODY, PLAIN

PROGRAM = "mdata-get"
_PLACES = ("/usr/sbin", "/native/usr/sbin", "/opt/local/bin", "/lib/smartdc")  # beside the PATH
_NO_ADDRESS = ("dhcp", "addrconf")  # what stands for one that the network gives


def facts(environ: Mapping[str, str], deadline: Deadline, root: Path = Path("/")) -> HostFacts:
    """What the metadata says about this instance.

    Args:
        environ: The process's environment: the PATH.
        deadline: How long it may take; the program waits for the service by itself.
        root: Not used here.

    Raises:
        Unavailable: There is no such program, or it fails, or does not say what is needed.
    """
    path = os.pathsep.join((environ.get("PATH", ""), *_PLACES))
    program = shutil.which(PROGRAM, path=path)
    if program is None:
        raise Unavailable(f"{PROGRAM}: not found; install it, {PLAIN}")
    values = {
        key: _get(program, f"sdc:{key}", deadline) for key in ("uuid", "datacenter_name", "nics")
    }
    about = Document("metadata", values)
    label, region = about.identifier("uuid"), about.identifier("datacenter_name")
    private, public = sides(_addresses(Document.parse("sdc:nics", values["nics"])))
    return HostFacts(
        label=label,
        private=private,
        public=public,
        owner=f"triton/{region}/{label}",
        source=f"Triton metadata ({program})",
        cloud="triton",
        region=region,
    )


def _addresses(nics: Document) -> list[str | None]:
    """Every address of every interface, those of the primary one first."""
    interfaces = sorted(nics.below(), key=lambda nic: nic.at("primary") not in (True, "true"))
    texts = [
        text.value
        for nic in interfaces
        for text in nic.below("ips") or [Document("ip", nic.at("ip"))]
    ]
    return [
        Document("sdc:nics", text.partition("/")[0]).address()
        for text in texts
        if isinstance(text, str) and text not in _NO_ADDRESS
    ]


def _get(program: str, key: str, deadline: Deadline) -> str | None:
    """The value of a key; None if there is none."""
    seconds = deadline.remaining
    try:
        ran = subprocess.run(  # noqa: S603 (a program found by name, and a constant)
            [program, key], capture_output=True, timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise DeadlineExceeded(
            f"{PROGRAM} {key}: no answer within {seconds:.2g} s; "
            f"check that the metadata service runs, {PLAIN}"
        ) from error
    except OSError as error:
        raise Unavailable(f"{PROGRAM}: {error.strerror}; install it, {PLAIN}") from error
    if ran.returncode == 1:
        return None
    if ran.returncode != 0 or len(ran.stdout) > MAX_BODY:
        why = f"exit code {ran.returncode}" if ran.returncode else "too long an answer"
        raise Unavailable(f"{PROGRAM} {key}: {why}; run it by hand to see why, {PLAIN}")
    return ran.stdout.decode("utf-8", "replace").strip()
