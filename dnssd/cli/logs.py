"""Log lines on stderr, as text or as JSON."""

import json
import logging
import sys


class _Json(logging.Formatter):
    """One JSON object a line: time, level, logger, message, and the traceback if there is one."""

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": self.formatTime(record, "%Y-%m-%dT%H:%M:%S%z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def start(verbosity: int, form: str) -> None:
    """Write dnssd's log to stderr: warnings, with 1 what is done, with 2 every detail.

    Args:
        verbosity: How many `-v` were given.
        form: `text` or `json`.
    """
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Json() if form == "json" else logging.Formatter("dnssd: %(message)s"))
    logger = logging.getLogger("dnssd")
    logger.handlers[:] = [handler]
    logger.setLevel([logging.WARNING, logging.INFO, logging.DEBUG][min(verbosity, 2)])
