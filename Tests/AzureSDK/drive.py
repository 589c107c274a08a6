"""Drives the Azure simulator with the Azure SDK for Python and judges what it gets back.

The SDK is not ours: what it accepts, an Azure client accepts. Each case is a function named case_*; the last line says
how many passed and failed, and the exit status is 0 only if none failed.
"""

import base64
import io
import json
import logging
import os
import subprocess
import sys
import time
import traceback
import uuid

from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceModifiedError,
    ResourceNotFoundError,
)
from azure.identity import (
    CertificateCredential,
    ClientSecretCredential,
    ManagedIdentityCredential,
    WorkloadIdentityCredential,
)
from azure.mgmt.compute import ComputeManagementClient
from azure.mgmt.network import NetworkManagementClient

ISSUER = "https://issuer.example"
SUBJECT = "system:serviceaccount:demo:gateway"
CLIENT_IDENTITY = "00000000-0000-0000-0000-0000000000c1"


class Simulator:
    """A simulator of its own, run by egressctl, and the ways to speak to it."""

    def __init__(self, egressctl, folder, *options):
        self.folder = folder
        self.egressctl = egressctl
        self.record = os.path.join(folder, f"record-{uuid.uuid4()}.jsonl")
        command = [
            egressctl, "lab", "azure", "--listen", "127.0.0.1:0", "--tls",
            "--certificate-file", os.path.join(folder, f"endpoint-{uuid.uuid4()}.pem"),
            "--imds", "127.0.0.1:0", "--vmss", "gateways=2", "--vm-pool", "pool=3", "--page-size", "2",
            "--latency-scale", "0", "--record", self.record, *options,
        ]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        self.facts = {}
        for line in self.process.stdout:
            name, _, value = line.strip().partition(": ")
            self.facts[name] = value
            if name == "ready":
                break
        if "ready" not in self.facts:
            raise RuntimeError(f"the simulator did not start: {command}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        if self.process.wait(timeout=20) != 0:
            raise RuntimeError(f"the simulator ended with {self.process.returncode}")

    @property
    def endpoint(self):
        return self.facts["endpoint"]

    @property
    def trust(self):
        return self.facts["certificate"]

    @property
    def group(self):
        return self.facts["resource-group"]

    def sign_in(self, **options):
        return {
            "authority": self.endpoint, "disable_instance_discovery": True, "connection_verify": self.trust, **options
        }

    def credential(self, secret=None):
        return ClientSecretCredential(
            self.facts["tenant"], self.facts["client-id"], secret or self.facts["client-secret"], **self.sign_in())

    def network(self, credential=None, **options):
        return NetworkManagementClient(
            credential or self.credential(), self.facts["subscription"], **self.client_options(options))

    def compute(self, credential=None, **options):
        return ComputeManagementClient(
            credential or self.credential(), self.facts["subscription"], **self.client_options(options))

    def client_options(self, options):
        return {
            "base_url": self.endpoint, "credential_scopes": ["https://management.azure.com/.default"],
            "connection_verify": self.trust, "polling_interval": 1, "retry_total": 0, **options,
        }

    def id(self, path):
        return (
            f"/subscriptions/{self.facts['subscription']}/resourceGroups/{self.group}/providers/"
            f"Microsoft.Network/{path}"
        )

    @property
    def subnet(self):
        return {"id": self.id("virtualNetworks/kegw-vnet/subnets/gateways")}

    def control(self, *words):
        command = [self.egressctl, "lab", "azure", words[0], "--endpoint", self.endpoint, *words[1:]]
        return subprocess.run(command, check=True, capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout

    def audit(self):
        return json.loads(self.control("audit", "--json"))

    def load_balancer(self, *ports):
        own = self.id("loadBalancers/ilb")
        return {
            "location": "labregion",
            "sku": {"name": "Standard"},
            "properties": {
                "frontendIPConfigurations": [{"name": "front", "properties": {"subnet": self.subnet}}],
                "backendAddressPools": [{"name": "pool"}],
                "probes": [
                    {
                        "name": "probe",
                        "properties": {
                            "protocol": "Http", "port": 8082, "requestPath": "/gw/1", "intervalInSeconds": 5,
                        },
                    }
                ],
                "loadBalancingRules": [
                    {
                        "name": f"rule-{port}",
                        "properties": {
                            "protocol": "Udp", "frontendPort": port, "backendPort": port, "enableFloatingIP": True,
                            "frontendIPConfiguration": {"id": f"{own}/frontendIPConfigurations/front"},
                            "backendAddressPool": {"id": f"{own}/backendAddressPools/pool"},
                            "probe": {"id": f"{own}/probes/probe"},
                        },
                    }
                    for port in ports
                ],
            },
        }

    def prefix(self, length=31, version="IPv4"):
        return {
            "location": "labregion", "sku": {"name": "Standard"},
            "properties": {"prefixLength": length, "publicIPAddressVersion": version},
        }


def expect(condition, text):
    if not condition:
        raise AssertionError(text)


def refusal(error_type, code, action):
    """Runs `action`, which must be refused with an ARM code, and returns the error."""
    try:
        action()
    except error_type as error:
        found = error.error.code if getattr(error, "error", None) else None
        expect(found == code, f"code {found} instead of {code}: {error}")
        return error
    raise AssertionError(f"{code}: was not refused")


def case_load_balancer_lives_its_whole_life(simulator):
    client = simulator.network().load_balancers
    made = client.begin_create_or_update(simulator.group, "ilb", simulator.load_balancer(6000)).result()
    expect(made.provisioning_state == "Succeeded", made.provisioning_state)
    expect(made.frontend_ip_configurations[0].private_ip_address.startswith("10.243."), "no frontend address")
    read = client.get(simulator.group, "ilb")
    expect(read.etag == made.etag, "the etag moved by itself")
    expect(read.load_balancing_rules[0].frontend_port == 6000, "another port")
    # What was read can be edited and sent back.
    read.load_balancing_rules[0].idle_timeout_in_minutes = 10
    edited = client.begin_create_or_update(simulator.group, "ilb", read).result()
    expect(edited.load_balancing_rules[0].idle_timeout_in_minutes == 10, "the edit was lost")
    expect(edited.etag != made.etag, "the etag did not move")
    client.begin_delete(simulator.group, "ilb").result()
    refusal(ResourceNotFoundError, "ResourceNotFound", lambda: client.get(simulator.group, "ilb"))
    client.begin_delete(simulator.group, "ilb").result()
    audit = simulator.audit()
    expect(audit["LoadBalancers_CreateOrUpdate"]["calls"] == 2, f"{audit}")
    expect(audit["LoadBalancers_CreateOrUpdate"]["requestBytes"] > 1000, f"{audit}")
    expect(audit["LoadBalancers_Delete"]["calls"] == 2, f"{audit}")


def case_operation_is_polled_to_its_end(simulator):
    client = simulator.network().public_ip_prefixes
    begun = time.monotonic()
    poller = client.begin_create_or_update(simulator.group, "slow", simulator.prefix())
    expect(poller.status() == "InProgress", poller.status())
    expect(client.get(simulator.group, "slow").ip_prefix is None, "a block before the operation ended")
    made = poller.result()
    expect(time.monotonic() - begun >= 1.9, "ended before its time")
    expect(made.ip_prefix == "203.0.113.2/31" and made.provisioning_state == "Succeeded", f"{made.as_dict()}")
    # A second writer while the first is at work.
    again = client.begin_create_or_update(simulator.group, "slow", simulator.prefix())
    refusal(
        ResourceExistsError, "AnotherOperationInProgress",
        lambda: client.begin_create_or_update(simulator.group, "slow", simulator.prefix()))
    again.result()
    client.begin_delete(simulator.group, "slow").result()
    audit = simulator.audit()
    expect(audit["PublicIPPrefixes_CreateOrUpdate"]["conflicts"] == 1, f"{audit}")
    expect(audit["Operations_Get"]["calls"] >= 3, f"{audit}")


case_operation_is_polled_to_its_end.options = ["--latency-scale", "0.5"]


def case_stale_etag_is_refused(simulator):
    client = simulator.network().load_balancers
    old = client.begin_create_or_update(simulator.group, "ilb", simulator.load_balancer()).result().etag
    client.begin_create_or_update(
        simulator.group, "ilb", simulator.load_balancer(6001), headers={"If-Match": old}).result()
    refusal(
        (ResourceModifiedError, HttpResponseError), "PreconditionFailed",
        lambda: client.begin_create_or_update(
            simulator.group, "ilb", simulator.load_balancer(), headers={"If-Match": old}))


def case_what_is_wrong_is_refused_by_code(simulator):
    client = simulator.network()
    body = simulator.load_balancer(6000)
    body["properties"]["colour"] = "blue"
    # As bytes: the SDK drops members that its models do not have.
    refusal(
        HttpResponseError, "InvalidRequestFormat",
        lambda: client.load_balancers.begin_create_or_update(
            simulator.group, "ilb", io.BytesIO(json.dumps(body).encode())))
    twice = simulator.load_balancer(6000, 6001)
    twice["properties"]["loadBalancingRules"][1]["properties"]["frontendPort"] = 6000
    refusal(
        HttpResponseError, "RulesUseSameFrontendPortProtocolAndIPConfig",
        lambda: client.load_balancers.begin_create_or_update(simulator.group, "ilb", twice))
    refusal(
        HttpResponseError, "InvalidParameter",
        lambda: client.public_ip_prefixes.begin_create_or_update(simulator.group, "p", simulator.prefix(27)))
    refusal(
        ResourceNotFoundError, "ResourceGroupNotFound", lambda: list(client.load_balancers.list("elsewhere")))
    refusal(
        HttpResponseError, "NoRegisteredProviderFound",
        lambda: client.load_balancers.get(simulator.group, "ilb", params={"api-version": "2024-05-01"}))


def case_scale_set_model_and_instances(simulator):
    network, compute = simulator.network(), simulator.compute()
    network.load_balancers.begin_create_or_update(simulator.group, "ilb", simulator.load_balancer(6000)).result()
    prefix = network.public_ip_prefixes.begin_create_or_update(simulator.group, "p", simulator.prefix()).result()
    sets = compute.virtual_machine_scale_sets
    model = sets.get(simulator.group, "gateways")
    expect(model.upgrade_policy.mode == "Manual" and model.sku.capacity == 2, f"{model.as_dict()}")
    interface = model.virtual_machine_profile.network_profile.network_interface_configurations[0].serialize()
    addresses = interface["properties"]["ipConfigurations"]
    addresses[0]["properties"]["loadBalancerBackendAddressPools"] = [
        {"id": simulator.id("loadBalancers/ilb/backendAddressPools/pool")}]
    addresses.append({
        "name": "egressgateway-1",
        "properties": {
            "primary": False, "privateIPAddressVersion": "IPv4", "subnet": simulator.subnet,
            "publicIPAddressConfiguration": {
                "name": "egressgateway-1", "properties": {"publicIPPrefix": {"id": prefix.id}}},
        },
    })
    body = {
        "location": "labregion",
        "properties": {"virtualMachineProfile": {"networkProfile": {"networkInterfaceConfigurations": [interface]}}},
    }
    sets.begin_create_or_update(simulator.group, "gateways", body).result()
    instances = list(compute.virtual_machine_scale_set_vms.list(simulator.group, "gateways"))
    expect([one.latest_model_applied for one in instances] == [False, False], "Manual policy rolled out by itself")
    sets.begin_update_instances(simulator.group, "gateways", {"instanceIds": ["0"]}).result()
    one = compute.virtual_machine_scale_set_vms.get(simulator.group, "gateways", "0")
    expect(one.latest_model_applied and one.provisioning_state == "Succeeded", f"{one.as_dict()}")
    # The other one by a PUT of the instance.
    update = {"properties": {"networkProfileConfiguration": {"networkInterfaceConfigurations": [interface]}}}
    compute.virtual_machine_scale_set_vms.begin_update(simulator.group, "gateways", "1", update).result()
    used = network.public_ip_prefixes.get(simulator.group, "p")
    expect(len(used.public_ip_addresses) == 2, f"{used.as_dict()}")
    refusal(
        HttpResponseError, "InUsePublicIpPrefixCannotBeDeleted",
        lambda: network.public_ip_prefixes.begin_delete(simulator.group, "p"))
    members = network.load_balancers.get(simulator.group, "ilb").backend_address_pools[0]
    expect(len(members.backend_ip_configurations) == 2, f"{members.as_dict()}")
    # More instances than the prefix has addresses.
    refusal(
        HttpResponseError, "PublicIpPrefixOutOfIpAddressesForVMScaleSet",
        lambda: sets.begin_create_or_update(
            simulator.group, "gateways", {"location": "labregion", "sku": {"name": "Standard_D2s_v3", "capacity": 3}}))
    expect("stripped: 2" in simulator.control("inject", "strip"), "strip said something else")
    used = network.public_ip_prefixes.get(simulator.group, "p")
    expect(not used.public_ip_addresses, "the strip left public addresses")
    sets.begin_create_or_update(
        simulator.group, "gateways", {"location": "labregion", "sku": {"name": "Standard_D2s_v3", "capacity": 3}}
    ).result()
    names = [one.os_profile.computer_name for one in compute.virtual_machine_scale_set_vms.list(
        simulator.group, "gateways")]
    expect(names == ["gateways000000", "gateways000001", "gateways000002"], f"{names}")


def case_machines_interfaces_and_addresses(simulator):
    network, compute = simulator.network(), simulator.compute()
    machines = list(compute.virtual_machines.list(simulator.group))
    expect([one.name for one in machines] == ["pool-1", "pool-2", "pool-3"], "not three machines over two pages")
    expect(machines[0].tags["aks-managed-poolName"] == "pool", f"{machines[0].tags}")
    prefix = network.public_ip_prefixes.begin_create_or_update(
        simulator.group, "p", simulator.prefix(30)).result()
    wanted = {
        "location": "labregion", "sku": {"name": "Standard"},
        "properties": {
            "publicIPAllocationMethod": "Static", "publicIPPrefix": {"id": prefix.id}, "ipAddress": "203.0.113.6"},
    }
    address = network.public_ip_addresses.begin_create_or_update(simulator.group, "a", wanted).result()
    expect(address.ip_address == "203.0.113.6", f"{address.as_dict()}")
    interface = network.network_interfaces.get(simulator.group, "pool-1-nic")
    second = {
        "name": "egressgateway-1",
        "properties": {"primary": False, "subnet": simulator.subnet, "publicIPAddress": {"id": address.id}},
    }
    body = interface.serialize()
    body["properties"]["ipConfigurations"].append(second)
    changed = network.network_interfaces.begin_create_or_update(simulator.group, "pool-1-nic", body).result()
    expect(changed.ip_configurations[1].public_ip_address.id == address.id, f"{changed.as_dict()}")
    expect(changed.ip_configurations[1].private_ip_address is not None, "no private address")
    for action, code in [
        (lambda: network.public_ip_addresses.begin_delete(simulator.group, "a"), "PublicIPAddressCannotBeDeleted"),
        (lambda: network.network_interfaces.begin_delete(simulator.group, "pool-1-nic"), "NicInUse"),
        (lambda: network.public_ip_prefixes.begin_delete(simulator.group, "p"), "InUsePublicIpPrefixCannotBeDeleted"),
    ]:
        refusal(HttpResponseError, code, action)
    body["properties"]["ipConfigurations"].pop()
    network.network_interfaces.begin_create_or_update(simulator.group, "pool-1-nic", body).result()
    network.public_ip_addresses.begin_delete(simulator.group, "a").result()
    network.public_ip_prefixes.begin_delete(simulator.group, "p").result()
    expect([one.name for one in network.network_interfaces.list_all()] == [
        "pool-1-nic", "pool-2-nic", "pool-3-nic"], "another list")
    six = network.public_ip_prefixes.begin_create_or_update(
        simulator.group, "six", simulator.prefix(124, "IPv6")).result()
    expect(six.ip_prefix.endswith("/124"), f"{six.as_dict()}")


def case_faults_reach_the_client(simulator):
    client = simulator.network()
    client.load_balancers.begin_create_or_update(simulator.group, "ilb", simulator.load_balancer(6000)).result()
    simulator.control("inject", "throttle")
    error = refusal(
        HttpResponseError, "TooManyRequests", lambda: client.load_balancers.get(simulator.group, "ilb"))
    expect(error.response.headers["Retry-After"] == "2", f"{error.response.headers}")
    simulator.control("inject", "server-error")
    refusal(HttpResponseError, "InternalServerError", lambda: client.load_balancers.get(simulator.group, "ilb"))
    # The SDK's own retries take both faults in their stride.
    simulator.control("inject", "server-error")
    simulator.network(retry_total=3, retry_backoff_factor=0.1).load_balancers.get(simulator.group, "ilb")
    simulator.control("inject", "conflict")
    refusal(
        ResourceExistsError, "AnotherOperationInProgress",
        lambda: client.load_balancers.begin_create_or_update(simulator.group, "ilb", simulator.load_balancer(6000)))
    simulator.control("inject", "lro-failed")
    poller = client.public_ip_prefixes.begin_create_or_update(simulator.group, "p", simulator.prefix())
    refusal(HttpResponseError, "InternalServerError", poller.result)
    expect(client.public_ip_prefixes.get(simulator.group, "p").provisioning_state == "Failed", "it did not fail")
    healed = client.public_ip_prefixes.begin_create_or_update(simulator.group, "p", simulator.prefix()).result()
    expect(healed.ip_prefix == "203.0.113.2/31", f"{healed.as_dict()}")


case_faults_reach_the_client.options = ["--latency-scale", "0.1"]


def case_canceled_operation(simulator):
    client = simulator.network().load_balancers
    simulator.control("inject", "lro-canceled")
    # The first answer of a load balancer says Succeeded, so the operation itself must be asked.
    answers = []
    client.begin_create_or_update(
        simulator.group, "ilb", simulator.load_balancer(6000), polling=False,
        raw_response_hook=lambda response: answers.append(response.http_response.headers["Azure-AsyncOperation"]))
    status = operation_status(simulator, answers[0])
    expect(status["status"] == "Canceled", f"{status}")
    expect(status["error"]["code"] == "CanceledAndSupersededDueToAnotherOperation", f"{status}")


def operation_status(simulator, url):
    import requests

    token = simulator.credential().get_token("https://management.azure.com/.default").token
    for _ in range(100):
        answer = requests.get(
            url, headers={"Authorization": f"Bearer {token}"}, verify=simulator.trust, timeout=10).json()
        if answer["status"] != "InProgress":
            return answer
        time.sleep(0.05)
    raise AssertionError("the operation did not end")


def case_secret_and_expiry(simulator):
    wrong = simulator.network(simulator.credential("wrong"))
    try:
        wrong.load_balancers.get(simulator.group, "ilb")
        raise AssertionError("a wrong secret was let in")
    except ClientAuthenticationError as error:
        expect("AADSTS7000215" in str(error), f"{error}")

    class Stale:
        """A credential that gives one token for ever."""

        def __init__(self, token):
            self.token = token

        def get_token(self, *_, **__):
            return self.token

    token = simulator.credential().get_token("https://management.azure.com/.default")
    client = simulator.network(Stale(token)).load_balancers
    list(client.list(simulator.group))
    time.sleep(2.2)
    refusal(ClientAuthenticationError, "ExpiredAuthenticationToken", lambda: list(client.list(simulator.group)))


case_secret_and_expiry.options = ["--token-lifetime", "2"]


def case_certificate(simulator):
    credential = CertificateCredential(
        simulator.facts["tenant"], simulator.facts["client-id"],
        os.path.join(simulator.folder, "client.pem"), **simulator.sign_in())
    list(simulator.network(credential).load_balancers.list(simulator.group))
    stranger = CertificateCredential(
        simulator.facts["tenant"], simulator.facts["client-id"],
        os.path.join(simulator.folder, "stranger.pem"), **simulator.sign_in())
    try:
        stranger.get_token("https://management.azure.com/.default")
        raise AssertionError("an unknown certificate was let in")
    except ClientAuthenticationError as error:
        expect("AADSTS700027" in str(error), f"{error}")


def signed_token(key_file, **changes):
    """A service account's token, signed by `key_file` with RS256."""
    def encoded(value):
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    now = int(time.time())
    claims = {
        "iss": ISSUER, "sub": SUBJECT, "aud": ["api://AzureADTokenExchange"], "iat": now, "nbf": now,
        "exp": now + 600, **changes,
    }
    text = encoded(b'{"alg":"RS256","typ":"JWT"}') + "." + encoded(json.dumps(claims).encode())
    signature = subprocess.run(
        ["openssl", "dgst", "-sha256", "-sign", key_file], input=text.encode(), check=True, capture_output=True)
    return text + "." + encoded(signature.stdout)


def case_workload_identity(simulator):
    def attempt(token):
        path = os.path.join(simulator.folder, "federated-token")
        with open(path, "w", encoding="utf-8") as file:
            file.write(token)
        credential = WorkloadIdentityCredential(
            tenant_id=simulator.facts["tenant"], client_id=simulator.facts["client-id"], token_file_path=path,
            **simulator.sign_in())
        return list(simulator.network(credential).load_balancers.list(simulator.group))

    issuer = os.path.join(simulator.folder, "issuer.key")
    attempt(signed_token(issuer))
    for token, number in [
        (signed_token(issuer, sub="system:serviceaccount:demo:other"), 70021),
        (signed_token(issuer, aud="somebody"), 700212),
        (signed_token(issuer, exp=int(time.time()) - 1000), 700024),
        (signed_token(os.path.join(simulator.folder, "stranger.key")), 700027),
        ("not.a.token", 50027),
    ]:
        try:
            attempt(token)
            raise AssertionError(f"let in where AADSTS{number} was due")
        except ClientAuthenticationError as error:
            expect(f"AADSTS{number}" in str(error), f"AADSTS{number}: {error}")


def case_managed_identity(simulator):
    os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"] = simulator.facts["metadata"]
    try:
        list(simulator.network(ManagedIdentityCredential()).load_balancers.list(simulator.group))
        user = ManagedIdentityCredential(client_id=CLIENT_IDENTITY)
        list(simulator.network(user).load_balancers.list(simulator.group))
        try:
            ManagedIdentityCredential(client_id=str(uuid.uuid4())).get_token("https://management.azure.com/.default")
            raise AssertionError("an unknown identity got a token")
        except (ClientAuthenticationError, HttpResponseError) as error:
            expect("Identity not found" in str(error), f"{error}")
    finally:
        del os.environ["AZURE_POD_IDENTITY_AUTHORITY_HOST"]


def check_record(path):
    """What was recorded is JSON by line and holds no secret."""
    with open(path, encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    expect(lines, "nothing was recorded")
    for line in lines:
        expect({"time", "operation", "request", "response"} <= line.keys(), f"{line.keys()}")
        text = json.dumps(line)
        expect("lab-secret" not in text and "Bearer lab." not in text, f"a secret in {line['request']['url']}")
        expect('"access_token": "lab.' not in text, "a token was recorded")


def make_keys(folder):
    for name in ["client", "stranger"]:
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", f"/CN={name}",
             "-keyout", f"{folder}/{name}.key", "-out", f"{folder}/{name}.crt"], check=True, capture_output=True)
        with open(f"{folder}/{name}.pem", "wb") as whole:
            for part in ["key", "crt"]:
                with open(f"{folder}/{name}.{part}", "rb") as file:
                    whole.write(file.read())
    subprocess.run(["openssl", "genrsa", "-out", f"{folder}/issuer.key", "2048"], check=True, capture_output=True)
    subprocess.run(
        ["openssl", "rsa", "-in", f"{folder}/issuer.key", "-pubout", "-out", f"{folder}/issuer.pub"], check=True,
        capture_output=True)


def main(egressctl, folder, wanted="case_"):
    # Refusals are wanted here; the SDK would log each of them.
    logging.disable(logging.CRITICAL)
    make_keys(folder)
    cases = [(name, case) for name, case in globals().items() if name.startswith("case_") and wanted in name]
    passed = failed = 0
    for name, case in cases:
        begun = time.monotonic()
        try:
            options = [
                "--client-certificate", f"{folder}/client.crt",
                "--federated-credential", f"{ISSUER},{SUBJECT},{folder}/issuer.pub",
                "--user-assigned-identity",
                f"{CLIENT_IDENTITY},{uuid.uuid4()},/subscriptions/s/resourceGroups/g/providers/"
                "Microsoft.ManagedIdentity/userAssignedIdentities/gateway",
                *getattr(case, "options", []),
            ]
            with Simulator(egressctl, folder, *options) as simulator:
                case(simulator)
            check_record(simulator.record)
            passed += 1
            print(f"ok    {name} ({time.monotonic() - begun:.1f} s)", flush=True)
        except Exception:  # noqa: BLE001 - every failure of a case counts and is told
            failed += 1
            print(f"FAIL  {name}\n{traceback.format_exc()}", flush=True)
    print(f"azure-sdk: {passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
