"""Files with a secret: readable by root alone, and still by an agent that is not root.

An agent's unit lets systemd hand it what stands in `FOLDER` (systemd.exec(5), LoadCredential=).
"""

import logging
import os
import stat
from pathlib import Path

from dnssd.errors import UsageError

FOLDER = "/etc/dnssd/secrets"
_HANDED = "dnssd_"  # how what systemd hands over is called: this, and the file's name

_log = logging.getLogger(__name__)


def read_secret(path: str, what: str) -> str:
    """The text of a file; that every user of the host may read it is warned of.

    Args:
        path: Of the file.
        what: What it is, for errors.

    Raises:
        UsageError: It cannot be read.
    """
    file = Path(path)
    if handed := os.environ.get("CREDENTIALS_DIRECTORY"):
        own = Path(handed) / f"{_HANDED}{file.name}"
        file = own if str(file.parent) == FOLDER and own.exists() else file
    try:
        if file.stat().st_mode & stat.S_IROTH:
            _log.warning("%s %s: every user of this host can read it; chmod 600 it", what, path)
        return file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"{what} {path}: {why}; check the zone's address") from error
