"""A real DNS server on loopback that holds one zone."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query

NAMED = """\
options {{
    directory "{folder}"; pid-file none; session-keyfile none; managed-keys-directory "{folder}";
    listen-on port {port} {{ 127.0.0.1; }}; listen-on-v6 {{ none; }};
    recursion no; dnssec-validation no; tcp-clients 1000;
}};
controls {{ }};
zone "{zone}" {{ type primary; file "{folder}/zone"; }};
"""


@contextmanager
def serving(program: str, zone: str, text: str) -> Iterator[str]:
    """Named with a zone; yields `127.0.0.1:PORT`."""
    with tempfile.TemporaryDirectory() as name, socket.socket() as probe:
        folder = Path(name)
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
        probe.close()
        (folder / "zone").write_text(text)
        (folder / "named.conf").write_text(NAMED.format(folder=folder, port=port, zone=zone))
        command = [shutil.which(program) or program, "-f", "-c", str(folder / "named.conf")]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
            query = dns.message.make_query(zone, "SOA")
            for _ in range(100):
                try:
                    answer = dns.query.udp(query, "127.0.0.1", port=port, timeout=0.2)
                    if answer.answer:
                        break
                except (dns.exception.DNSException, OSError):
                    pass
                time.sleep(0.05)
            try:
                yield f"127.0.0.1:{port}"
            finally:
                process.terminate()
