"""Agents through whatever may happen to them; `scripts/chaos agents` calls it.

Each story is a real service with a real `dnssd agent`, at the sandbox and at BIND. A watcher
looks at the zone after each change. Ends with 1 if a story did not end as it must.
"""

import argparse
import contextlib
import itertools
import os
import random
import signal
import socket
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import chaosstorm
import tables
from chaosplace import Place, at_bind, at_sandbox
from chaosstage import BOUND, FALL, PATIENCE, TIMEOUT, Stage, Wrong

from kit.servers import NotReady

BACK = 300.0  # seconds: a service that has flapped is held out for so long
CROWD = 10_000  # connections to one service
STEP = 86_400  # seconds by which the clock is stepped
# For the agent and what it starts: a clock that is a day ahead once a file is there.
CLOCK = f"""
import os, time
_time, _flag = time.time, os.environ["STORY_CLOCK"]
time.time = lambda: _time() + ({STEP} if os.path.exists(_flag) else 0)
"""


def killed(stage: Stage) -> str:
    """It dies: it is out in time, and in again once it is back."""
    stage.kill()
    out = stage.until(False, BOUND)
    stage.serve()
    back = stage.until(True)
    return f"out after {out:.1f} s of {BOUND:.1f}, in {back:.1f} s after its return"


def hung(stage: Stage) -> str:
    """It accepts and never answers."""
    stage.kill(signal.SIGSTOP)
    out = stage.until(False, BOUND + FALL * TIMEOUT)
    stage.kill(signal.SIGCONT)
    return f"out after {out:.1f} s of {BOUND + FALL * TIMEOUT:.1f}, in {stage.until(True):.1f} s"


def flapping(stage: Stage) -> str:
    """It comes and goes every two seconds for a minute: the zone hears of it ever less."""
    before = len(stage.place.seen)
    for _ in range(15):
        stage.kill()
        time.sleep(2)
        stage.serve()
        time.sleep(2)
    changes = [stage.port in ports for _, ports in stage.place.seen[before - 1 :]]
    flips = sum(a != b for a, b in itertools.pairwise(changes))
    if flips > 8:
        raise Wrong(f"{flips} changes of the zone in 15 flaps")
    back = stage.until(True, BACK)
    return f"dead and back 15 times, {flips} changes, in {back:.0f} s after the last"


def agent_killed(stage: Stage) -> str:
    """Its agent is killed, and started again: nobody notices."""
    began = time.monotonic()
    assert stage.agent
    stage.agent.kill()
    stage.agent.wait()
    time.sleep(5)
    stage.watch()
    stage.stays(began, 10)
    stage.kill()
    out = stage.until(False, BOUND)
    stage.serve()
    stage.until(True)
    return f"never out; the next agent saw its death in {out:.1f} s"


def agent_stopped(stage: Stage) -> str:
    """Its agent is frozen for half a minute, and goes on."""
    began = time.monotonic()
    assert stage.agent
    stage.agent.send_signal(signal.SIGSTOP)
    stage.stays(began, 30)
    stage.agent.send_signal(signal.SIGCONT)
    stage.stays(began, 5)
    stage.kill()
    out = stage.until(False, BOUND)
    stage.serve()
    stage.until(True)
    return f"never out; afterwards it saw a death in {out:.1f} s"


def clock_stepped(stage: Stage) -> str:
    """The clock is a day ahead, and then right again."""
    began, flag = time.monotonic(), stage.folder / f"{stage.place.kind}-clock"
    flag.touch()
    stage.stays(began, 15)
    flag.unlink()
    stage.stays(began, 15)
    stage.kill()
    out = stage.until(False, BOUND)
    stage.serve()
    stage.until(True)
    return f"never out; afterwards it saw a death in {out:.1f} s"


def disk_full(stage: Stage) -> str:
    """No file can be written: it joins and leaves all the same."""
    return killed(stage)


def crowd(stage: Stage) -> str:
    """Ten thousand connections to the service are open."""
    began, connections = time.monotonic(), []
    try:
        for _ in range(CROWD):
            connections.append(socket.create_connection(("127.0.0.1", stage.port), 10))
        stage.stays(began, 15)
    finally:
        for connection in connections:
            connection.close()
    return f"never out, with {len(connections):,} connections"


def zone_remade(stage: Stage) -> str:
    """The zone is made anew, with nothing in it."""
    stage.place.has_foreign = False
    stage.place.remake()
    stage.until(False)
    return f"in again after {stage.until(True, 4 * PATIENCE):.0f} s"


Story = Callable[[Stage], str]
STORIES: dict[str, Story] = {
    "the service is killed": killed,
    "it hangs": hung,
    "it flaps every 2 s": flapping,
    "the agent is killed and started again": agent_killed,
    "the agent is stopped for 30 s": agent_stopped,
    "the clock is stepped by a day": clock_stepped,
    "the disk is full": disk_full,
    f"{CROWD:,} open connections": crowd,
}
APART: dict[str, Story] = {"the zone is deleted and made again": zone_remade}  # they need it whole


def main() -> int:
    """Tell all stories, and print how they ended."""
    parser = argparse.ArgumentParser(prog="scripts/chaos agents", description=__doc__)
    parser.add_argument("--minutes", type=float, default=3.0, help="that the storm lasts")
    parser.add_argument("--agents", type=int, default=30, help="of the storm")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=["stories", "storm"], help="default: both")
    options = parser.parse_args()
    wrong: list[str] = []
    if options.only != "storm":
        wrong += _stories()
    if options.only != "stories":
        wrong += chaosstorm.blow(options.agents, options.minutes * 60, random.Random(options.seed))
    for line in wrong:
        print(f"scripts/chaos: wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _stories() -> list[str]:
    rows, wrong = [], []
    with tempfile.TemporaryDirectory(prefix="dnssd-chaos-") as name:
        for at in (at_sandbox, at_bind):
            for stories in (STORIES, APART):
                try:
                    with at() as place, ThreadPoolExecutor(len(stories)) as pool:
                        told = {t: pool.submit(_tell, s, place, name) for t, s in stories.items()}
                        rows += [(place.kind, t, future.result()) for t, future in told.items()]
                        wrong += place.wrong
                except NotReady as error:
                    rows.append((at.__name__, "-", textwrap.shorten(str(error), 60)))
    tables.show("An agent's service, when something happens", ("zone at", "what", "seen"), rows)
    return wrong + [f"{kind}: {what}: {seen}" for kind, what, seen in rows if "WRONG" in seen]


def _tell(story: Story, place: Place, folder: str) -> str:
    """How a story ended."""
    stage = Stage(place, story.__name__.replace("_", "-"), Path(folder))
    try:
        with _running(stage, story):
            return story(stage)
    except Wrong as error:
        log = (stage.folder / f"{place.kind}-{stage.host}.log").read_text()[-600:]
        return f"WRONG: {error} ({' / '.join(log.split(chr(10))[-5:])})"


@contextlib.contextmanager
def _running(stage: Stage, story: Story) -> Iterator[None]:
    environ = {}
    if story is clock_stepped:
        sitecustomize = stage.folder / "clock" / "sitecustomize.py"
        sitecustomize.parent.mkdir(exist_ok=True)
        sitecustomize.write_text(CLOCK)
        environ = {
            "PYTHONPATH": str(sitecustomize.parent),
            "STORY_CLOCK": str(stage.folder / f"{stage.place.kind}-clock"),
        }
    stage.serve()
    options = ["--ttl=10"] if story is zone_remade else []
    stage.watch(*options, limited=story is disk_full, **environ)
    try:
        stage.until(True)
        yield
        stage.end()
        stage.until(False)
    finally:
        stage.end()


if __name__ == "__main__":
    os.environ.setdefault("PYTHONDONTWRITEBYTECODE", "1")
    sys.exit(main())
