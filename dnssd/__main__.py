"""`python -m dnssd` is the `dnssd` command."""

from dnssd.cli.main import main

main()
