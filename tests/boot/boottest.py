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
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from bootcloud import Wrong, cloud
from boothost import Host
from bootroot import Broken, Root, prepared_root
from stories import STORIES, Stage

AT_A_TIME = 2
STORY = 300  # seconds that one may take
RUN = Path("/run")  # in these namespaces a folder in memory
CGROUPS = RUN / "cgroup"
ENTER = """
echo 0 >"$1/cgroup.procs"
shift
exec setpriv --pdeathsig KILL -- unshare --mount --net --pid --cgroup --ipc --uts \
    --fork --kill-child --mount-proc -- "$@"
"""


class Ending(NamedTuple):
    """How a story ended: what it remarks, or why it failed."""

    name: str
    holds: bool
    seconds: float
    said: str

    def __str__(self) -> str:
        head = f"{'ok    ' if self.holds else 'FAILED'} {self.seconds:5.1f} s  {self.name}"
        return f"{head}: {self.said}" if self.said else head


def main(arguments: Sequence[str]) -> int:
    """Run the stories that are named, or all."""
    if unknown := set(arguments) - set(STORIES):
        print(f"scripts/boot-test: {', '.join(sorted(unknown))}: there is no such story; "
              f"use some of {', '.join(STORIES)}", file=sys.stderr)  # fmt: skip
        return 2
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    _mount_own()
    started = time.monotonic()
    with prepared_root() as root, ThreadPoolExecutor(AT_A_TIME) as pool:
        print(f"ready  {time.monotonic() - started:5.1f} s", flush=True)
        endings = []
        for ending in pool.map(lambda name: _run(name, root), arguments or STORIES):
            print(ending, flush=True)
            endings.append(ending)
    failed = sum(not ending.holds for ending in endings)
    took = time.monotonic() - started
    print(f"{len(endings) - failed} of {len(endings)} stories hold, in {took:.0f} s")
    return 1 if failed else 0


def perform(name: str, root: Root) -> int:
    """Run one story, as a child in its namespaces."""
    _mount("tmpfs", RUN)
    with suppress(subprocess.CalledProcessError):  # where there were none before
        subprocess.run(["umount", "--recursive", "/sys/fs/cgroup"], check=True)
    _mount("cgroup2", Path("/sys/fs/cgroup"))
    host = Host(root.path, RUN)
    try:
        with cloud(RUN) as around:
            print(STORIES[name](Stage(host, around, root.wheel)))
    except Wrong as wrong:
        print(f"{wrong}\n{host.remains()}")
        return 1
    return 0


def _run(name: str, root: Root) -> Ending:
    group = _group(name)
    started = time.monotonic()
    enter = ("sh", "-euc", ENTER, "enter", str(group))
    child = (sys.executable, __file__, "--perform", name, str(root.path), root.wheel)
    try:
        ran = subprocess.run(
            (*enter, *child),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=STORY,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        said = (error.stdout or b"").decode(errors="replace")
        return Ending(name, False, STORY, f"it does not end; {said}")
    finally:
        _remove(group)
    return Ending(name, ran.returncode == 0, time.monotonic() - started, ran.stdout.strip())


def _mount_own() -> None:
    _mount("tmpfs", RUN)
    CGROUPS.mkdir()
    _mount("cgroup2", CGROUPS)


def _mount(kind: str, folder: Path) -> None:
    subprocess.run(["mount", "-t", kind, kind, str(folder)], check=True)


def _group(name: str) -> Path:
    """A new control group, below this process's."""
    lines = Path("/proc/self/cgroup").read_text().splitlines()
    own = next(line.removeprefix("0::/") for line in lines if line.startswith("0::/"))
    group = CGROUPS / own / f"dnssd-{name}-{os.getpid()}"
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
