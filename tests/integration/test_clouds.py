"""Each cloud's metadata over real sockets, and what a host makes of it."""

from pathlib import Path
from typing import Any

import pytest

from dnssd.errors import DeadlineExceeded, Unavailable, UsageError
from dnssd.hosts import HostFacts, detect, ec2, ecs, gce, kubernetes, triton
from dnssd.hosts.labels import digest
from dnssd.hosts.openstack import endpoints
from dnssd.sandbox.metadata.instance import Instance
from dnssd.sandbox.sandbox import Sandbox
from dnssd.services import parse_host_label
from kit.clouds import (
    ARN,
    Azure,
    Clock,
    Ecs,
    Google,
    OpenStack,
    ask,
    mdata_get,
    program,
    route,
    serving,
)

VM = "02aab8a4-74ef-476e-8182-f6d2ba4166a6"
SUBSCRIPTION = "8d10da13-8125-4ba9-a717-bf7490507b3d"
SERVER = "d8e02d56-2648-49a3-bf97-6be8f1204f38"
PROJECT = "f7ac731cc11f40efbc03a9f9e1d1d21f"
TASK = "158d1c8083dd49d6b527399fd6414f5c"
ZONE_ID = "8d10da13-8125-4ba9-a717-bf7490507b3d"


def test_google() -> None:
    """The numeric ID tells the machine; its interface has an outer IPv4 address."""
    with serving(Google()) as fake:
        facts = ask(fake)

    assert facts == HostFacts(
        label="1234567890123456789",
        private=("10.132.0.2", "2600:1900:4010::7"),
        public=("203.0.113.9", "2600:1900:4010::7"),
        owner="gce/my-project/europe-west1-b/1234567890123456789",
        source=f"GCE metadata server at {fake.url}",
        cloud="gce",
        region="europe-west1",
        zone="europe-west1-b",
    )


@pytest.mark.parametrize(
    ("nic", "private", "public"),
    [
        ({"ip": "10.0.0.2", "accessConfigs": [{"externalIp": ""}]}, ("10.0.0.2",), ()),
        ({"ip": "10.0.0.2", "accessConfigs": []}, ("10.0.0.2",), ()),
        ({"ipv6s": ["2600:1900::7"]}, ("2600:1900::7",), ("2600:1900::7",)),
        ({"ipv6": ["fd20::7"], "ip": ""}, ("fd20::7",), ()),
        ({}, (), ()),
    ],
)
def test_google_interfaces(nic: object, private: tuple[str, ...], public: tuple[str, ...]) -> None:
    """Without an outer address, with IPv6 alone, with inner IPv6."""
    with serving(Google(nic=nic)) as fake:
        facts = ask(fake)

    assert (facts.private, facts.public) == (private, public)


def test_somebody_else_at_googles_address() -> None:
    """Answers that are not signed are not believed."""

    class Unsigned(Google):
        def answer(self, target: str, headers: object) -> Any:
            return super().answer(target, {"metadata-flavor": "Google"})._replace(headers={})

    with serving(Unsigned()) as fake, pytest.raises(Unavailable, match="not Google's metadata"):
        ask(fake)


def test_azure() -> None:
    """One document says it all where the public address is the machine's own."""
    with serving(Azure()) as fake:
        facts = ask(fake)

    assert facts == HostFacts(
        label=VM,
        private=("10.144.133.132",),
        public=("203.0.113.10",),
        owner=f"azure/{SUBSCRIPTION}/{VM}",
        source=f"Azure instance metadata at {fake.url}",
        cloud="azure",
        region="westeurope",
        zone="2",
    )
    assert len(fake.seen) == 1


@pytest.mark.parametrize(
    ("frontends", "public"),
    [
        ([], ()),
        ([{"frontendIpAddress": "51.0.0.1", "privateIpAddress": "10.144.133.132"}], ("51.0.0.1",)),
        ([{"frontendIpAddress": "51.0.0.1", "privateIpAddress": "10.9.9.9"}], ()),
        ([{"frontendIpAddress": "2603::1", "privateIpAddress": "fd00::4"}], ("2603::1",)),
        ([{"frontendIpAddress": "51.0.0.1"}], ()),
    ],
)
def test_public_addresses_of_the_standard_sku(
    frontends: list[dict[str, str]], public: tuple[str, ...]
) -> None:
    """They are told of with the load balancers, beside the private address they stand for."""
    with serving(Azure(public="", ipv6="fd00::4", frontends=frontends)) as fake:
        facts = ask(fake)

    assert facts.private == ("10.144.133.132", "fd00::4")
    assert facts.public == public


def test_azure_ipv6_that_the_internet_reaches() -> None:
    """It is both private and public."""
    with serving(Azure(ipv6="2603::4")) as fake:
        assert ask(fake).public == ("203.0.113.10", "2603::4")


def test_azure_may_come_to_know_the_machine() -> None:
    """404 and 410 pass, as do failures; the load balancer's 404 stays."""
    clock = Clock()
    with serving(Azure(public="", failures=[404, 410, 429, 500])) as fake:
        facts = ask(fake, clock.deadline())

    assert (facts.label, facts.public) == (VM, ())
    assert clock.slept == [1.0, 2.0, 4.0, 8.0]


def test_openstack() -> None:
    """Fixed addresses are in nova's file; there may be a floating one beside."""
    with serving(OpenStack(floating="8.8.4.4\n")) as fake:
        facts = ask(fake)

    assert facts == HostFacts(
        label=SERVER,
        private=("192.168.7.3", "2600:1f00::3"),
        public=("8.8.4.4", "2600:1f00::3"),
        owner=f"openstack/{PROJECT}/{SERVER}",
        source=f"OpenStack metadata at {fake.url}",
        cloud="openstack",
        zone="nova",
    )


@pytest.mark.parametrize("floating", ["", None, "10.0.0.7"])
def test_openstack_without_a_floating_address(floating: str | None) -> None:
    """An empty item, none, or the fixed address again."""
    with serving(OpenStack(floating=floating)) as fake:
        assert ask(fake).public == ("2600:1f00::3",)


def test_openstack_networks_with_dhcp() -> None:
    """They do not say which address they gave: the default route knows."""
    with serving(OpenStack(networks=[{"type": "ipv4_dhcp"}])) as fake:
        facts = ask(fake, route_address=route("192.168.7.9", "fe80::1%eth0"))

    assert (facts.private, facts.public) == (("192.168.7.9",), ())


def test_older_openstack() -> None:
    """It names no project."""
    with serving(OpenStack(instance={"uuid": SERVER})) as fake:
        facts = ask(fake)

    assert (facts.owner, facts.zone) == (f"openstack/-/{SERVER}", None)


def test_openstack_is_also_asked_over_ipv6() -> None:
    """At a link-local address, on the first few interfaces that may lead to it."""
    assert endpoints(["lo", "eth0", "veth1@if2", "ens3"]) == (
        "http://169.254.169.254",
        "http://[fe80::a9fe:a9fe%eth0]",
        "http://[fe80::a9fe:a9fe%ens3]",
    )
    assert len(endpoints([f"veth{number}" for number in range(100)])) == 5


def test_ecs() -> None:
    """The last part of the ARN tells the task; its interface is its own."""
    with serving(Ecs()) as fake:
        facts = ask(fake)

    assert facts == HostFacts(
        label=TASK,
        private=("10.0.2.106", "2600:1f13:10b:1a00::6"),
        public=("2600:1f13:10b:1a00::6",),
        owner=f"ecs/111122223333/us-west-2/{TASK}",
        source=f"ECS task metadata at {fake.url}{fake.path}",
        cloud="ecs",
        region="us-west-2",
        zone="us-west-2d",
    )


@pytest.mark.parametrize(
    ("network", "private"),
    [
        ({"NetworkMode": "bridge", "IPv4Addresses": ["172.17.0.8"]}, ()),
        ({"NetworkMode": "host", "IPv4Addresses": [""]}, ("10.0.0.5",)),
        ({"NetworkMode": "awsvpc", "IPv6Addresses": ["fd00::6"]}, ("fd00::6",)),
    ],
)
def test_ecs_network_modes(network: dict[str, Any], private: tuple[str, ...]) -> None:
    """An address behind the machine's is of no use to others; on the host it is the host's."""
    with serving(Ecs(networks=[network])) as fake:
        assert ask(fake, route_address=route("10.0.0.5")).private == private


@pytest.mark.parametrize(
    "arn", [None, 7, "", "TestTask", ARN.replace("k/", "/"), ARN.replace(":ecs", ":x"), ARN + "/"]
)
def test_a_task_without_an_arn(arn: object) -> None:
    """There is nothing to tell it by."""
    with serving(Ecs(arn=arn)) as fake, pytest.raises(Unavailable, match="no TaskARN"):
        ask(fake)


def test_an_arn_of_the_older_form() -> None:
    """Without the cluster."""
    with serving(Ecs(arn=ARN.replace("default/", ""))) as fake:
        assert ask(fake).label == TASK


@pytest.mark.parametrize("uri", ["", "169.254.170.2/v4", "ftp://h/v4"])
def test_a_malformed_ecs_variable(uri: str) -> None:
    """It is named."""
    with pytest.raises(UsageError, match=r"^ECS_CONTAINER_METADATA_URI_V4: "):
        ecs.facts({"ECS_CONTAINER_METADATA_URI_V4": uri}, Clock().deadline())


@pytest.mark.parametrize("host", ["a b", "x/y?z", "[::1", "h:0"])
def test_a_malformed_google_variable(host: str) -> None:
    """It is named."""
    with pytest.raises(UsageError, match=r"^GCE_METADATA_HOST: "):
        gce.facts({"GCE_METADATA_HOST": host}, Clock().deadline())


def pod(root: Path, **environ: str) -> HostFacts:
    """What a pod with these variables knows."""
    return kubernetes.facts(
        environ,
        Clock().deadline(),
        root,
        hostname=lambda: "web-7d4b9-x2x7k",
        route_address=route("10.244.1.9"),
    )


def test_kubernetes(tmp_path: Path) -> None:
    """The downward API's variables come first."""
    facts = pod(
        tmp_path,
        POD_NAME="web-0",
        POD_NAMESPACE="shop",
        POD_IP="10.244.1.7",
        POD_IPS="10.244.1.7,fd00:10:244:1::7",
        POD_REGION="eu-west-1",
        POD_ZONE="eu-west-1b",
    )

    assert facts == HostFacts(
        label=f"web-0-{digest('eu-west-1/shop', 'web-0')[:8]}",
        private=("10.244.1.7", "fd00:10:244:1::7"),
        public=(),
        owner="kubernetes/eu-west-1/shop/web-0",
        source="pod's environment (downward API), host name and default route",
        cloud="kubernetes",
        region="eu-west-1",
        zone="eu-west-1b",
        former_owners=("kubernetes/shop/web-0",),
    )


def test_pods_of_one_name_are_told_apart(tmp_path: Path) -> None:
    """By cluster, whose CA certificate every pod has, and by namespace; the same pod stays."""
    roots = [tmp_path / name for name in "ab"]
    for root in roots:
        folder = root / "var/run/secrets/kubernetes.io/serviceaccount"
        folder.mkdir(parents=True)
        (folder / "ca.crt").write_text(f"certificate of {root.name}")
    web = {"POD_NAME": "web-0", "POD_NAMESPACE": "shop"}

    found = [
        *(
            pod(root, **web, POD_IP=address)
            for root in roots
            for address in ("10.0.0.1", "10.0.0.2")
        ),
        pod(roots[0], **web | {"POD_NAMESPACE": "staging"}),
        pod(roots[0], **web, POD_CLUSTER="prod-eu"),
        pod(tmp_path, **web),
        pod(tmp_path, **web, POD_REGION="eu-west-1"),
    ]

    owners = [facts.owner for facts in found]
    assert owners[0] == owners[1] != owners[2] == owners[3]
    assert len(set(owners)) == len({facts.label for facts in found}) == 6
    assert all(facts.label.startswith("web-0-") for facts in found)
    assert owners[5] == "kubernetes/prod-eu/shop/web-0"


@pytest.mark.parametrize(
    "name", ["my.dotted.pod-0", "my-very-long-service-name-for-production-7d9c5b8f6d-x2x7z-abc"]
)
def test_a_pod_of_any_name_has_a_label(tmp_path: Path, name: str) -> None:
    """Kubernetes allows names of up to 253 octets, with dots; what is cut makes no two the same."""
    facts, other = pod(tmp_path, POD_NAME=name), pod(tmp_path, POD_NAME=f"{name}d")

    assert parse_host_label(facts.label) == facts.label != other.label
    assert facts.label.startswith(name.replace(".", "-")[:40])
    assert facts.owner == f"kubernetes/-/default/{name}"


def test_a_pod_without_variables(tmp_path: Path) -> None:
    """The host name, the service account's namespace and the default route stand in."""
    folder = tmp_path / "var/run/secrets/kubernetes.io/serviceaccount"
    folder.mkdir(parents=True)
    (folder / "namespace").write_text("shop\n")

    facts = pod(tmp_path)

    assert facts.private == ("10.244.1.9",)
    assert facts.owner == "kubernetes/-/shop/web-7d4b9-x2x7k"
    assert pod(tmp_path / "nowhere").owner == "kubernetes/-/default/web-7d4b9-x2x7k"
    assert pod(tmp_path, POD_IP="10.244.1.7").private == ("10.244.1.7",)


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("POD_CLUSTER", "a b"),
        ("POD_REGION", "a b"),
        ("POD_IP", "10.0.0"),
        ("POD_NAME", "a\x1bb"),
        ("POD_NAMESPACE", "a/b"),
    ],
)
def test_a_malformed_pod_variable(tmp_path: Path, variable: str, text: str) -> None:
    """It is named."""
    with pytest.raises(UsageError, match=rf"{variable}: .*correct it in the manifest"):
        pod(tmp_path, **{variable: text})


def test_triton(tmp_path: Path) -> None:
    """The primary interface is the public one here, and another is private."""
    facts = triton.facts(mdata_get(tmp_path), Clock().deadline())

    assert facts == HostFacts(
        label=ZONE_ID,
        private=("192.168.128.9", "2600:1c00::76"),
        public=("165.225.138.76", "2600:1c00::76"),
        owner=f"triton/us-east-1/{ZONE_ID}",
        source=f"Triton metadata ({tmp_path}/mdata-get)",
        cloud="triton",
        region="us-east-1",
    )


@pytest.mark.parametrize(
    ("nics", "private"),
    [
        ([{"ip": "10.0.0.7", "primary": "true"}], ("10.0.0.7",)),  # before there were several
        ([{"ip": "10.0.0.7"}, {"ips": ["10.0.0.8/24"], "primary": True}], ("10.0.0.8",)),
        ([{"ips": ["dhcp"]}], ()),
        ({}, ()),
    ],
)
def test_triton_interfaces(tmp_path: Path, nics: object, private: tuple[str, ...]) -> None:
    """The primary one comes first; an address that the network gives is not known."""
    assert triton.facts(mdata_get(tmp_path, nics), Clock().deadline()).private == private


@pytest.mark.parametrize(
    ("script", "message"),
    [
        ("exit 1", "no uuid in the metadata"),
        ("exit 2", "mdata-get sdc:uuid: exit code 2; run it by hand"),
        ("kill -9 $$", "exit code -9"),
        ("echo 'a b'", "no uuid in the metadata"),
        ("head -c 1100000 /dev/zero", "too long an answer"),
    ],
)
def test_triton_failures(tmp_path: Path, script: str, message: str) -> None:
    """A key that is absent, a program that fails, and one that talks too much."""
    program(tmp_path, f"#!/bin/sh\nPATH=/bin:/usr/bin\n{script}\n")

    with pytest.raises(Unavailable, match=message):
        triton.facts({"PATH": str(tmp_path)}, Clock().deadline())


def test_triton_blocks_while_its_service_is_down(tmp_path: Path) -> None:
    """The budget ends the wait."""
    program(tmp_path, "#!/bin/sh\nexec /bin/sleep 60\n")

    with pytest.raises(DeadlineExceeded, match=r"mdata-get sdc:uuid: no answer within 0\.05 s"):
        triton.facts({"PATH": str(tmp_path)}, Clock().deadline(0.05))


def test_triton_without_its_program(tmp_path: Path) -> None:
    """It is missed, and one that cannot run is told of."""
    with pytest.raises(Unavailable, match="mdata-get: not found; install it, or use --cloud"):
        triton.facts({"PATH": str(tmp_path)}, Clock().deadline())

    program(tmp_path, "#!/nonexistent\n")
    with pytest.raises(Unavailable, match="mdata-get: No such file"):
        triton.facts({"PATH": str(tmp_path)}, Clock().deadline())


def test_an_instance_with_ipv6_alone() -> None:
    """The service answers over IPv6, too."""
    instance = Instance(private_ip=None, ipv6="2001:db8::9")
    with Sandbox(instance=instance, host="::1") as sandbox:
        facts = ec2.facts(sandbox.environment(), Clock().deadline())

    assert facts.source.startswith("EC2 instance metadata at http://[::1]:")
    assert (facts.private, facts.public) == (("2001:db8::9",), ("2001:db8::9",))


def test_an_instance_with_inner_ipv6(tmp_path: Path) -> None:
    """An address that only the VPC reaches is not public."""
    with Sandbox(instance=Instance(ipv6="fd00::9")) as sandbox:
        facts = detect(sandbox.environment(), Clock().deadline(), root=tmp_path)

    assert (facts.private, facts.public) == (("10.0.0.5", "fd00::9"), ())
