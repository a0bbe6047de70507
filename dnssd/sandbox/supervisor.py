"""Runs a program inside the sandbox: signals go to it, and its end is the sandbox's."""

import contextlib
import os
import shutil
import signal
from collections.abc import Iterator, Mapping, Sequence

_STOPPING = (signal.SIGINT, signal.SIGTERM)
_AWAITED = (*_STOPPING, signal.SIGCHLD)
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and by no other program


def run(argv: Sequence[str], environment: Mapping[str, str]) -> int:
    """Run a program to its end, inside `blocked_signals`.

    Args:
        argv: The program, by a path or to be found on the PATH of `environment`, and its
            arguments.
        environment: Its environment.

    Returns:
        Its exit code, or minus the signal that ended it.

    Raises:
        OSError: There is no such program, or it may not be executed.
    """
    path = shutil.which(argv[0], path=environment.get("PATH")) or argv[0]
    program = os.posix_spawn(
        path, list(argv), environment, setsigmask=(), setsigdef=_IGNORED_BY_PYTHON
    )
    while True:
        number = signal.sigwait(_AWAITED)
        if number == signal.SIGCHLD:
            ended, status = os.waitpid(program, os.WNOHANG)
            if ended:
                return os.waitstatus_to_exitcode(status)
        elif number != signal.SIGINT or not _in_foreground():
            os.kill(program, number)


def wait_for_stop() -> None:
    """Return once this process is asked to end, inside `blocked_signals`."""
    signal.sigwait(_STOPPING)


@contextlib.contextmanager
def blocked_signals() -> Iterator[None]:
    """Signals wait until they are asked for: none is lost, and none goes to a thread."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _AWAITED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)


def _in_foreground() -> bool:
    """Whether Ctrl-C in the terminal reaches this program and those that it starts."""
    try:
        terminal = os.open("/dev/tty", os.O_RDONLY | os.O_NOCTTY)
    except OSError:
        return False
    try:
        return os.tcgetpgrp(terminal) == os.getpgrp()
    except OSError:
        return False
    finally:
        os.close(terminal)
