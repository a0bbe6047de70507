"""Runs a program in the foreground, and an agent beside it; also as process 1 of a container.

    this process          waits for signals and for what ends; nothing else
      COMMAND             has the terminal, the signals, standard input and output
      agent               a fork, in a session of its own

COMMAND starts first, and nothing that happens to the agent ends it: an agent that crashes is
started again. When COMMAND has ended, the agent leaves at once and this ends with COMMAND's
exit code. When this is asked to end, the agent leaves first, unless it takes too long, and
COMMAND gets the signal then.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from dnssd.names import shown

# Exit codes, as shells give them.
NOT_EXECUTABLE, NOT_FOUND, SIGNALLED = 126, 127, 128

LEAVING = 20.0  # seconds that the agent has to leave once COMMAND has ended
PATIENCE = 5.0  # seconds, and a drain, that COMMAND's signal waits: docker kills after 10
LEAVE, LEAVE_NOW = signal.SIGTERM, signal.SIGQUIT  # what an agent is told by: with a drain, without

_STOPPING = (signal.SIGTERM, signal.SIGINT)
# Left to the kernel: what stops and continues a job, and what a program does wrong.
_LEFT = {
    *(signal.SIGKILL, signal.SIGSTOP, signal.SIGCONT),
    *(signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU),
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGFPE, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT),
}
_TAKEN = set(signal.Signals) - _LEFT
_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)  # and by no other program
_BY_KERNEL = 128  # si_code of what a terminal sends, to all in its foreground


@dataclass(frozen=True, slots=True)
class Program:
    """What to run.

    Attributes:
        argv: The program and its arguments.
        environ: Its environment.
        agent: What to do in the fork beside it; gets a file descriptor that ends when this
            process has ended.
        drain: Seconds that the agent's drain takes.
        term_first: Pass the signal that ends COMMAND on at once.
        warn: Tells people.
    """

    argv: Sequence[str]
    environ: Mapping[str, str]
    agent: Callable[[int], None]
    drain: float
    term_first: bool
    warn: Callable[[str], None]


def run(program: Program) -> int:
    """Run it to its end; COMMAND's exit code, as a shell would give it."""
    with _blocked():
        try:
            pid = os.posix_spawnp(
                program.argv[0],
                list(program.argv),
                program.environ,
                setsigmask=(),
                setsigdef=_IGNORED_BY_PYTHON,
            )
        except FileNotFoundError:
            program.warn(f"{shown(program.argv[0])}: no such command; give a path, or one on PATH")
            return NOT_FOUND
        except OSError as error:
            program.warn(
                f"{shown(program.argv[0])}: {error.strerror}; give a program that may be executed"
            )
            return NOT_EXECUTABLE
        return _Supervisor(program, pid).run()


class _Supervisor:
    """Two children, and what is due when.

    Args:
        program: What runs.
        pid: COMMAND's process.
    """

    def __init__(self, program: Program, pid: int) -> None:
        self._program = program
        self._pid = pid
        self._code: int | None = None  # COMMAND's, once it has ended
        self._agent = 0  # its process; 0 where there is none
        self._pipe = -1
        self._crashes = 0
        self._started_at = 0.0
        self._asked: int | None = None  # by which signal to end
        self._due: dict[str, float] = {}  # when to do what, in seconds of the monotonic clock

    def run(self) -> int:
        self._start_agent()
        _let_go_of_input_and_output()
        while self._code is None or self._agent:
            came = signal.sigtimedwait(_TAKEN, self._seconds())
            if came is None:
                self._do_what_is_due()
            elif came.si_signo == signal.SIGCHLD:
                self._reap()
            else:
                self._signalled(came.si_signo, came.si_code == _BY_KERNEL)
        return self._code if self._code >= 0 else SIGNALLED - self._code

    def _signalled(self, number: int, by_terminal: bool) -> None:
        if self._code is not None or by_terminal:
            return  # COMMAND has ended, or the kernel has told it, too
        if number not in _STOPPING or self._asked is not None or not self._agent:
            self._pass_on(number)
            return
        self._asked = number
        if self._program.term_first:
            self._pass_on(number)
        else:
            self._due["pass on"] = time.monotonic() + self._program.drain + PATIENCE
        self._tell_agent(LEAVE)

    def _reap(self) -> None:
        """Take whatever has ended: as process 1 also what others have left behind."""
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
                pid, status = ended
                if pid == self._pid and self._code is None:
                    self._code = os.waitstatus_to_exitcode(status)
                    self._due = {"give up": time.monotonic() + LEAVING}
                    self._tell_agent(LEAVE_NOW)
                elif pid == self._agent:
                    self._agent_ended(os.waitstatus_to_exitcode(status))

    def _agent_ended(self, code: int) -> None:
        self._agent = 0
        os.close(self._pipe)
        if self._code is not None:
            return
        if self._asked is not None:
            if self._due.pop("pass on", None):
                self._pass_on(self._asked)
            return
        lasted = time.monotonic() - self._started_at
        self._crashes = 0 if lasted > 60 else self._crashes + 1
        pause = min(60.0, 2.0**self._crashes)
        self._program.warn(f"agent: it ended by itself ({code}); it starts again in {pause:g} s")
        self._due["start agent"] = time.monotonic() + pause

    def _do_what_is_due(self) -> None:
        now = time.monotonic()
        for what in [what for what, at in self._due.items() if at <= now]:
            del self._due[what]
            if what == "start agent":
                self._start_agent()
            elif what == "pass on" and self._asked is not None:
                self._pass_on(self._asked)
            elif what == "give up":
                self._program.warn("agent: it has not left in time; see `dnssd status`")
                self._tell_agent(signal.SIGKILL)

    def _seconds(self) -> float:
        """Until something is due."""
        due = min(self._due.values(), default=float("inf"))
        return min(3600.0, max(0.0, due - time.monotonic()))

    def _start_agent(self) -> None:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(writing)
            _be_agent(self._program.agent, reading)
        os.close(reading)
        self._agent, self._pipe, self._started_at = pid, writing, time.monotonic()

    def _tell_agent(self, number: int) -> None:
        if self._agent:
            os.kill(self._agent, number)  # not reaped yet: nobody else has that number

    def _pass_on(self, number: int) -> None:
        self._due.pop("pass on", None)
        with suppress(ProcessLookupError, PermissionError):
            os.kill(self._pid, number)


def _be_agent(agent: Callable[[int], None], pipe: int) -> None:
    """What the fork does; it never returns."""
    code = 1
    try:
        os.setsid()  # what a terminal sends is for COMMAND
        _let_go_of_input_and_output()
        agent(pipe)
        code = 0
    except BaseException as error:  # noqa: BLE001, RUF100 (a fork must not return to its caller)
        import traceback  # takes a while to load, and COMMAND's start waits for this module

        traceback.print_exception(error)
    finally:
        sys.stderr.flush()
        os._exit(code)


def _let_go_of_input_and_output() -> None:
    """So that whoever reads COMMAND's output sees its end."""
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)


@contextmanager
def _blocked() -> Iterator[None]:
    """Signals wait until they are asked for: none is lost."""
    former = signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, former)
