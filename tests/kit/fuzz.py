"""What scripts/fuzz runs: packets for the reader, and the judge of what it makes of them.

With atheris, what an octet has led to guides what is tried next; without, packets are drawn
and broken at random. A packet that is judged wrong is printed in hexadecimal.
"""

import importlib
import random
import sys
import time
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory

SEEDS = 300  # sound packets, and as many tangled ones, that atheris begins with
LONGEST = 1500  # octets


def with_atheris(seconds: int) -> None:
    """Let what is reached in the reader lead."""
    atheris = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["dnssd.names", "dnssd.records", "dnssd.wire"]):
        make = importlib.import_module("kit.packets")
        importlib.import_module("kit.reference")
    with TemporaryDirectory() as corpus:
        for seed in range(SEEDS):
            for kind in (make.sound, make.tangled):
                packet = kind(random.Random(seed))
                Path(corpus, f"{kind.__name__}-{seed}").write_bytes(packet)
        limits = (f"-max_total_time={seconds}", f"-max_len={LONGEST}")
        atheris.Setup([sys.argv[0], corpus, *limits, f"-artifact_prefix={corpus}/"], _judge)
        atheris.Fuzz()


def at_random(seconds: int) -> None:
    """Draw packets, sound and tangled, and break them more and more."""
    make = importlib.import_module("kit.packets")
    verdicts: Counter[str] = Counter()
    rng = random.Random()
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        packet = rng.choice((make.sound, make.tangled))(rng)
        for _ in range(10):
            verdicts[_judge(packet)] += 1
            packet = make.mutated(rng, packet)
    sys.stdout.write(f"{verdicts.total()} packets, accepted by: {dict(verdicts)}\n")


def _judge(packet: bytes) -> str:
    from kit.reference import judge  # late: atheris is to see it loaded

    try:
        return judge(packet)
    except BaseException:
        sys.stderr.write(f"judged wrong: {packet.hex()}\n")
        raise


if __name__ == "__main__":
    {"atheris": with_atheris, "random": at_random}[sys.argv[1]](int(sys.argv[2]))
