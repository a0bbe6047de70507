"""What scripts/try-route53 does: it tries what dnssd relies on against a real hosted zone.

ZONE is the ID of a hosted zone, and credentials are the AWS command's. All records go below
one name with a random label, with a TTL of 60 seconds, and are removed at the end. About 70
requests are sent, one after the other. Exit code 0 if every assumption holds, 1 if one does
not, 2 for wrong usage.
"""

import secrets
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

TTL = 60
INSYNC_SECONDS = 120  # how long a change may take to reach all name servers
POLL_SECONDS = 2
WIDTH = 74  # of what was seen, so that a line fits 80 columns


class Differs(Exception):
    """Route 53 does something else than dnssd relies on; the text says what."""


class Trial:
    """One hosted zone, and what is written there below a name of its own.

    Args:
        client: boto3's Route 53 client.
        zone: The hosted zone's ID.
        label: What all names end in, before the zone's own.
    """

    def __init__(self, client: Any, zone: str, label: str) -> None:
        self._client = client
        self._zone = zone
        domain = client.get_hosted_zone(Id=zone)["HostedZone"]["Name"]
        self.origin = f"{label}.{domain}"

    def rrset(self, rdtype: str, *values: str, at: str = "", ttl: int = TTL) -> dict[str, Any]:
        """An RRset at a label below the trial's own name."""
        return {
            "Name": f"{at}.{self.origin}" if at else self.origin,
            "Type": rdtype,
            "TTL": ttl,
            "ResourceRecords": [{"Value": value} for value in values],
        }

    def change(self, *changes: tuple[str, dict[str, Any]], comment: str = "") -> str:
        """Send one batch; return the ID of the change."""
        batch: dict[str, Any] = {
            "Changes": [{"Action": action, "ResourceRecordSet": rrset} for action, rrset in changes]
        }
        if comment:
            batch["Comment"] = comment
        answer = self._client.change_resource_record_sets(
            HostedZoneId=self._zone, ChangeBatch=batch
        )
        return str(answer["ChangeInfo"]["Id"])

    def refused(self, *changes: tuple[str, dict[str, Any]]) -> str:
        """Send one batch that must be refused; return the service's words.

        Raises:
            Differs: It was taken.
        """
        try:
            self.change(*changes)
        except ClientError as error:
            code = error.response["Error"]["Code"]
            if code != "InvalidChangeBatch":
                raise Differs(f"refused with {code}, not InvalidChangeBatch") from error
            return f"{code}: {error.response['Error']['Message']}"
        raise Differs("taken, not refused")

    def below(self) -> list[dict[str, Any]]:
        """The trial's RRsets, as Route 53 lists them."""
        answer = self._client.list_resource_record_sets(
            HostedZoneId=self._zone, StartRecordName=self.origin
        )
        return [
            rrset for rrset in answer["ResourceRecordSets"] if rrset["Name"].endswith(self.origin)
        ]

    def values(self, rdtype: str, at: str = "") -> list[str]:
        """The values of one RRset; empty if it is not there."""
        wanted = self.rrset(rdtype, at=at)["Name"]
        for rrset in self.below():
            if (rrset["Name"], rrset["Type"]) == (wanted, rdtype):
                return [record["Value"] for record in rrset["ResourceRecords"]]
        return []

    def in_sync(self, change: str) -> bool:
        """Whether a change has reached every name server."""
        answer = self._client.get_change(Id=change)
        return bool(answer["ChangeInfo"]["Status"] == "INSYNC")

    def clean(self) -> None:
        """Remove all records of the trial."""
        while found := self.below():
            self.change(*(("DELETE", rrset) for rrset in found))


@contextmanager
def standing(trial: Trial, *rrsets: dict[str, Any]) -> Iterator[None]:
    """Have these RRsets there, and nothing of the trial afterwards."""
    trial.change(*(("CREATE", rrset) for rrset in rrsets))
    try:
        yield
    finally:
        trial.clean()


def expect(seen: object, wanted: object) -> None:
    """Raise Differs unless both are the same."""
    if seen != wanted:
        raise Differs(f"{seen!r}, not {wanted!r}")


def swap(trial: Trial) -> str:
    """DELETE and CREATE of one RRset in one batch replace it."""
    old, new = trial.rrset("SRV", "0 1 80 a."), trial.rrset("SRV", "0 1 80 b.")
    with standing(trial, old):
        trial.change(("DELETE", old), ("CREATE", new))
        expect(trial.values("SRV"), ["0 1 80 b."])
    return "replaced"


def guard(trial: Trial) -> str:
    """DELETE and CREATE of the same content are taken, and change nothing."""
    same = trial.rrset("TXT", '"a=1" "b=2"')
    with standing(trial, same):
        trial.change(("DELETE", same), ("CREATE", same))
        expect(trial.values("TXT"), ['"a=1" "b=2"'])
    return "taken"


def stale(trial: Trial) -> str:
    """A DELETE of what is no longer there is refused."""
    there, stale = trial.rrset("SRV", "0 1 80 b."), trial.rrset("SRV", "0 1 80 a.")
    with standing(trial, there):
        return trial.refused(("DELETE", stale), ("CREATE", trial.rrset("SRV", "0 1 80 c.")))


def stale_ttl(trial: Trial) -> str:
    """A DELETE with another TTL is refused."""
    with standing(trial, trial.rrset("SRV", "0 1 80 a.")):
        return trial.refused(("DELETE", trial.rrset("SRV", "0 1 80 a.", ttl=TTL + 1)))


def order_of_values(trial: Trial) -> str:
    """A DELETE may name the values in another order."""
    values = ("0 1 80 a.", "0 1 80 b.")
    with standing(trial, trial.rrset("SRV", *values)):
        trial.change(("DELETE", trial.rrset("SRV", *reversed(values))))
        expect(trial.values("SRV"), [])
    return "taken"


def occupied(trial: Trial) -> str:
    """A CREATE over what is there is refused."""
    there = trial.rrset("SRV", "0 1 80 a.")
    with standing(trial, there):
        return trial.refused(("CREATE", trial.rrset("SRV", "0 1 80 b.")))


def create_first(trial: Trial) -> str:
    """CREATE before DELETE of the same RRset is refused."""
    old, new = trial.rrset("SRV", "0 1 80 a."), trial.rrset("SRV", "0 1 80 b.")
    with standing(trial, old):
        return trial.refused(("CREATE", new), ("DELETE", old))


def atomic(trial: Trial) -> str:
    """A batch that fails late leaves nothing of its beginning."""
    with standing(trial, trial.rrset("SRV", "0 1 80 a.")):
        first = trial.rrset("TXT", '"early"', at="first")
        trial.refused(("CREATE", first), ("CREATE", trial.rrset("SRV", "0 1 80 b.")))
        expect(trial.values("TXT", at="first"), [])
    return "nothing left"


def octal(trial: Trial) -> str:
    """Names are listed in lower case, with octal escapes."""
    with standing(trial, trial.rrset("TXT", '"x"', at=r"Caf\303\251\040Bar")):
        seen = [rrset["Name"].removesuffix(f".{trial.origin}") for rrset in trial.below()]
    expect(seen, [r"caf\303\251\040bar"])
    return str(seen[0])


def case_of_values(trial: Trial) -> str:
    """Values keep their case."""
    with standing(trial, trial.rrset("PTR", "Web.Example.ORG.")):
        expect(trial.values("PTR"), ["Web.Example.ORG."])
    return "kept"


def text(trial: Trial) -> str:
    """Several strings of a TXT value come back as they were sent."""
    value = r'"a=1" "quote=\"" "back=\\" "e=\303\251"'
    with standing(trial, trial.rrset("TXT", value)):
        expect(trial.values("TXT"), [value])
    return "the same"


def below_one_name(trial: Trial) -> str:
    """A listing from a name begins with it, and what is below it follows."""
    names = ["", "a", "b.a"]
    with standing(trial, *(trial.rrset("TXT", '"x"', at=at) for at in names)):
        expect(
            [rrset["Name"] for rrset in trial.below()],
            [trial.rrset("TXT", at=at)["Name"] for at in names],
        )
    return "in order, at once after the change"


def most_values(trial: Trial) -> str:
    """An RRset holds 400 values, and not one more."""
    values = [f"0 1 {port} a." for port in range(1, 402)]
    with standing(trial, trial.rrset("SRV", *values[:400])):
        pass
    return trial.refused(("CREATE", trial.rrset("SRV", *values)))


def most_elements(trial: Trial) -> str:
    """A batch holds 1,000 records, and not one more."""
    values = [f"0 1 {port} a." for port in range(1, 335)]
    return trial.refused(*(("CREATE", trial.rrset("SRV", *values, at=at)) for at in "abc"))


def most_characters(trial: Trial) -> str:
    """A batch holds 32,000 characters of values."""
    string = '"' + "x" * 250 + '"'
    values = [" ".join([f'"{number}"', *[string] * 15]) for number in range(9)]
    return trial.refused(("CREATE", trial.rrset("TXT", *values)))


def propagation(trial: Trial) -> str:
    """A change is taken with a comment, and is INSYNC after a while."""
    started = time.monotonic()
    change = trial.change(("CREATE", trial.rrset("TXT", '"x"')), comment="dnssd try-route53")
    while not trial.in_sync(change):
        if time.monotonic() - started > INSYNC_SECONDS:
            raise Differs(f"PENDING after {INSYNC_SECONDS} s")
        time.sleep(POLL_SECONDS)
    return f"after {time.monotonic() - started:.0f} s"


ASSUMPTIONS: Sequence[Callable[[Trial], str]] = (
    swap,
    guard,
    stale,
    stale_ttl,
    order_of_values,
    occupied,
    create_first,
    atomic,
    octal,
    case_of_values,
    text,
    below_one_name,
    most_values,
    most_elements,
    most_characters,
    propagation,
)


def report(trial: Trial) -> int:
    """Try every assumption and print a line for each; return how many do not hold."""
    wrong = 0
    for assumption in ASSUMPTIONS:
        try:
            verdict, seen = "yes", assumption(trial)
        except (Differs, ClientError) as error:
            verdict, seen = "NO", str(error)
            wrong += 1
        finally:
            trial.clean()
        print(f"{verdict:3}  {(assumption.__doc__ or '').strip()}")
        print(f"     {seen if len(seen) <= WIDTH else seen[: WIDTH - 3] + '...'}", flush=True)
    return wrong


def main(arguments: Sequence[str]) -> int:
    """Run the trial; return the exit code."""
    if len(arguments) != 1 or arguments[0].startswith("-"):
        print("usage: scripts/try-route53 ZONE (the ID of a hosted zone of yours)", file=sys.stderr)
        return 2
    try:
        client = boto3.client("route53")
        trial = Trial(client, arguments[0], f"dnssd-try-{secrets.token_hex(4)}")
        print(f"Writing below {trial.origin} only, and removing it again.\n")
        wrong = report(trial)
    except (BotoCoreError, ClientError) as error:
        print(f"try-route53: {arguments[0]}: {error}", file=sys.stderr)
        return 1
    print(f"\n{len(ASSUMPTIONS) - wrong} of {len(ASSUMPTIONS)} assumptions hold.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
