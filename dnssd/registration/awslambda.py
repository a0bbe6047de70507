"""The AWS Lambda function that takes out the dead, when EventBridge tells of one and by schedule.

Events come at least once, in any order, twice, or never. So none is believed by itself: EC2 is
asked about the instance that it names, and has to say the same. What a lost event would have
told is found by the schedule, which looks twice. Several deaths that a queue hands over together
leave an instance in one fold. Whatever fails is raised: Lambda then tries again, which does no
harm.

Needs nothing beside this package and the boto3 of Lambda's runtime. `DNSSD_ZONE` names the zone.

Source of the events' shapes: Amazon EC2 User Guide, "Amazon EC2 instance state change events";
Lambda Developer Guide, "Using Lambda with Amazon SQS".
"""

import json
import logging
from typing import Any

from dnssd.deadline import Deadline
from dnssd.hosts.aws import Ec2
from dnssd.hosts.labels import account_digest
from dnssd.registration.operation import Operation
from dnssd.registration.reaper import ROUNDS, Reaper
from dnssd.registration.reaping import ENDED, FINAL
from dnssd.zones.factory import open_zone

MARGIN = 5.0  # seconds before Lambda ends the function; what is not done by then is told

_CHANGE = "EC2 Instance State-change Notification"
_log = logging.getLogger("dnssd.registration")


def lambda_handler(event: Any, context: Any) -> dict[str, Any]:
    """Take out of the zone in `DNSSD_ZONE` whom EC2 knows to be dead, under the brake.

    Args:
        event: A state change of an instance, or a batch of them from a queue: these instances.
            Anything else, such as a schedule's: everybody.
        context: Lambda's: how long it may take, and what the function is called.

    Returns:
        `zone`, whether it was `changed`, the `dead` (`held` are those whom the brake kept), and
        whose records were `cleaned`, as in the JSON of `dnssd reap`.

    Raises:
        DnssdError: Not all was done; what was done stays.

    Example:
        >>> from types import SimpleNamespace as Context
        >>> lambda_handler({}, Context(function_name="reaper",
        ...                            get_remaining_time_in_millis=lambda: 60_000))["dead"]
        []
    """
    logging.getLogger("dnssd").setLevel(logging.INFO)  # into the function's log
    hint = words_in(event)
    deadline = Deadline(context.get_remaining_time_in_millis() / 1000 - MARGIN)
    zone = open_zone(deadline=deadline)
    zone.actor = f"reap {context.function_name}"
    reaper = Reaper(Operation(zone, deadline), Ec2().words)
    if hint != {}:
        reaper.remove(reaper.find(ROUNDS if hint is None else 1, hint=hint))
    reaped = reaper.reaped
    if error := reaped.failed or reaped.unheard:
        raise error
    return {"zone": zone.address, "changed": reaped.changed, **reaped.to_json()}


def words_in(event: Any) -> dict[str, str] | None:
    """What an event says of owners whose instances have ended; None if it is about none."""
    match event:
        case {"Records": [*records]}:
            words: dict[str, str] = {}
            for record in records:
                for owner, word in (words_in(_body(record)) or {}).items():
                    if words.get(owner) not in FINAL:
                        words[owner] = word
            return words
        case {
            "detail-type": str(kind),
            "account": str(account),
            "region": str(region),
            "detail": {"instance-id": str(instance), "state": str(word)},
        } if kind == _CHANGE:
            accounts = (account, account_digest(account))  # the number is of earlier versions
            owners = (f"ec2/{one}/{region}/{instance}" for one in accounts)
            return dict.fromkeys(owners, word) if word in ENDED else {}
    return None


def _body(record: Any) -> Any:
    """The event that a queue's message holds; None if it holds none: trying again is no help."""
    try:
        match record:
            case {"body": str(text)}:
                return json.loads(text)
    except ValueError:
        _log.warning("a message is not JSON, and is left out")
    return None
