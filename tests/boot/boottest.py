"""What scripts/boot-test runs: every story in namespaces of its own, two at a time.

    this process               mounts of its own, so that none outlives it
      one child for each story     network, processes and control group of its own, too

When a child ends the kernel ends all that it started; when this process ends, its children.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agentstories import agent_through_a_life, agent_uninstalled, agent_without_api
from bootcloud import Wrong, cloud
from boothost import Host
from bootroot import Broken, Root, prepared_root
from cloudstories import two_clouds
from stories import STORIES, Stage

STORIES |= {
    story.__name__.replace("_", "-"): story
    for story in (agent_through_a_life, agent_without_api, agent_uninstalled, two_clouds)
}
AT_A_TIME = 2
STORY = 300  # seconds that one may take
RUN = Path("/run")  # in these namespaces a folder in memory
CGROUPS = RUN / "cgroup"
GROUP = "dnssd-boot-"
ENTER = """
echo 0 >"$1/cgroup.procs"
shift
exec setpriv --pdeathsig KILL -- unshare --mount --net --pid --cgroup \
    --fork --kill-child --mount-proc -- "$@"
"""


class Child:
    """One story that runs.

    Args:
        name: The story's.
        root: What its host boots from.
    """

    def __init__(self, name: str, root: Root) -> None:
        self._name = name
        self._said = RUN / name
        self._group = _new_group(name)
        self._started = time.monotonic()
        child = (sys.executable, __file__, "--perform", name, str(root.path), root.wheel)
        with self._said.open("wb") as said:
            self._process = subprocess.Popen(
                ("sh", "-euc", ENTER, "enter", str(self._group), *child),
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said,
            )

    def has_ended(self) -> bool:
        """Whether it has, or has had its time."""
        return self._process.poll() is not None or self._seconds > STORY

    def end(self) -> bool:
        """End it if it goes on, and tell how it went; whether the story holds."""
        took = self._seconds
        self._process.kill()
        holds = self._process.wait() == 0
        _remove(self._group)
        head = f"{'ok    ' if holds else 'FAILED'} {took:5.1f} s  {self._name}"
        said = self._said.read_text(errors="replace").strip()
        print(f"{head}: {said}" if said else head, flush=True)
        return holds

    @property
    def _seconds(self) -> float:
        return time.monotonic() - self._started


def main(arguments: Sequence[str]) -> int:
    """Run the stories that are named, or all."""
    if unknown := set(arguments) - set(STORIES):
        told = f"{', '.join(sorted(unknown))}: no such story; use some of {', '.join(STORIES)}"
        print(f"scripts/boot-test: {told}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _mount_own()
    started = time.monotonic()
    with prepared_root() as root:
        for left in _own_group().glob(f"{GROUP}*"):  # by a run that was killed
            _remove(left)
        print(f"ready  {time.monotonic() - started:5.1f} s", flush=True)
        names = list(dict.fromkeys(arguments)) or list(STORIES)
        held = _run(names, root)
    print(f"{held} of {len(names)} stories hold, in {time.monotonic() - started:.0f} s")
    return 0 if held == len(names) else 1


def perform(name: str, root: Root) -> int:
    """Run one story, as a child in its namespaces."""
    _mount("tmpfs", RUN)
    with suppress(subprocess.CalledProcessError):  # where there were none before
        subprocess.run(["umount", "--recursive", "/sys/fs/cgroup"], check=True)
    _mount("cgroup2", Path("/sys/fs/cgroup"))
    host = Host(root.path, RUN)
    try:
        with cloud(RUN) as around:
            print(STORIES[name](Stage(host, around, root)))
    except Wrong as wrong:
        print(f"{wrong}\n{host.remains()}")
        return 1
    return 0


def _run(names: Sequence[str], root: Root) -> int:
    """Run stories, so many at a time; how many of them hold."""
    waiting = list(names)
    running: list[Child] = []
    held = 0
    try:
        while waiting or running:
            while waiting and len(running) < AT_A_TIME:
                running.append(Child(waiting.pop(0), root))
            time.sleep(0.05)
            for child in [child for child in running if child.has_ended()]:
                running.remove(child)
                held += child.end()
    finally:
        for child in running:  # somebody has had enough
            child.end()
    return held


def _mount_own() -> None:
    _mount("tmpfs", RUN)
    CGROUPS.mkdir()
    _mount("cgroup2", CGROUPS)


def _mount(kind: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", kind, kind, str(folder)], check=True)


def _own_group() -> Path:
    """This process's control group."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    return CGROUPS / next(line[4:] for line in lines if line.startswith("0::/"))


def _new_group(name: str) -> Path:
    group = _own_group() / f"{GROUP}{name}"
    group.mkdir()
    return group


def _remove(group: Path) -> None:
    """Remove it, the innermost first, once the kernel has ended the last process in it."""
    for folder, _, _ in os.walk(group, topdown=False):
        for _ in range(100):
            with suppress(OSError):
                Path(folder).rmdir()
                break
            time.sleep(0.05)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--perform"]:
        story, path, wheel = sys.argv[2:]
        sys.exit(perform(story, Root(Path(path), wheel)))
    try:
        sys.exit(main(sys.argv[1:]))
    except Broken as broken:
        sys.exit(f"scripts/boot-test: {broken}")
