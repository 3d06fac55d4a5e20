"""The manifests of deploy/kuberay are valid, offer what the shipped team asks for, and let in whoever has to."""

from __future__ import annotations

import json
import re
import shlex
from importlib.metadata import version

import kubernetes_validate  # type: ignore[import-untyped]  # ships no types
import msgspec
import pytest

from remit.cli import main
from tests import manifests
from tests.manifests import SHIPPED_TEAM, TRUSTED, Document
from tests.page import ROOT
from tests.unit.deploy.kuberay import RayCluster, RayJob, Template
from tests.unit.test_readme import parsed

FOLDER = "deploy/kuberay"
KUBERNETES = "1.37"
POLICIES = manifests.documents(f"{FOLDER}/network-policy.yaml")


@pytest.fixture
def cluster() -> RayCluster:
    return msgspec.convert(manifests.document(f"{FOLDER}/raycluster.yaml"), RayCluster)


@pytest.fixture
def job() -> RayJob:
    return msgspec.convert(manifests.document(f"{FOLDER}/deploy-job.yaml"), RayJob)


def validate(manifest: Document) -> None:
    """Hold a manifest against Kubernetes' own schema.

    Raises:
        kubernetes_validate.ValidationError: it does not fit, or has a field that Kubernetes does not know.
    """
    kubernetes_validate.validate(manifest, KUBERNETES, strict=True)


def pod(template: Template) -> Document:
    return {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one", **template.metadata}, "spec": template.spec}


def containers(template: Template) -> list[Document]:
    return msgspec.convert(template.spec["containers"], list[Document])


def offered(cluster: RayCluster) -> dict[str, dict[str, float]]:
    """Give what the nodes of every worker group offer; KubeRay wants JSON in quotes for the shell of `ray start`."""
    said = {group.groupName: group.rayStartParams.get("resources", "'{}'") for group in cluster.spec.workerGroupSpecs}
    return {name: msgspec.json.decode(shlex.split(text)[0], type=dict[str, float]) for name, text in said.items()}


# --- what is written is what the API takes ---------------------------------------------------------


@pytest.mark.parametrize("group", ["head", "trusted", "analysts", "judges", "menders"])
def test_the_pods_of_a_group_are_valid_by_kubernetes_own_schema(cluster: RayCluster, group: str) -> None:
    validate(pod(cluster.templates()[group]))


def test_the_pod_that_submits_the_job_is_valid(job: RayJob) -> None:
    validate(pod(job.spec.submitterPodTemplate))


@pytest.mark.parametrize("manifest", [*POLICIES, *manifests.documents(f"{FOLDER}/namespace.yaml")])
def test_a_manifest_of_kubernetes_is_valid_by_its_schema(manifest: Document) -> None:
    validate(manifest)


def test_a_misspelt_field_of_a_pod_is_refused(cluster: RayCluster) -> None:
    template = cluster.templates()["trusted"]
    template.spec["automountServiceAccountTokens"] = False

    with pytest.raises(kubernetes_validate.ValidationError, match="automountServiceAccountTokens"):
        validate(pod(template))


def test_a_misspelt_field_of_kuberay_is_refused() -> None:
    manifest = manifests.document(f"{FOLDER}/raycluster.yaml")
    spec = msgspec.convert(manifest["spec"], Document)

    with pytest.raises(msgspec.ValidationError, match="enableAutoscaling"):
        msgspec.convert(manifest | {"spec": spec | {"enableAutoscaling": True}}, RayCluster)


def test_the_kustomization_names_every_manifest_and_the_image_of_all_pods(cluster: RayCluster, job: RayJob) -> None:
    kustomization = manifests.document(f"{FOLDER}/kustomization.yaml")
    files = {path.name for path in (ROOT / FOLDER).glob("*.yaml")} - {"kustomization.yaml"}
    pods = [*cluster.templates().values(), job.spec.submitterPodTemplate]

    assert set(msgspec.convert(kustomization["resources"], list[str])) == files
    (image,) = msgspec.convert(kustomization["images"], list[dict[str, str]])
    assert {item["image"] for template in pods for item in containers(template)} == {image["name"]}


# --- every role finds a place ----------------------------------------------------------------------


def test_every_role_of_the_shipped_team_finds_a_group_and_no_group_offers_another(cluster: RayCluster) -> None:
    roles = {name for group in offered(cluster).values() for name in group} - {TRUSTED}

    assert roles == manifests.role_resources()


def test_a_group_is_trusted_or_offers_roles_and_the_head_runs_nothing(cluster: RayCluster) -> None:
    groups = offered(cluster)

    assert {name for name, group in groups.items() if TRUSTED in group} == {"trusted"}
    assert groups["trusted"] == {TRUSTED: 1}
    assert cluster.spec.headGroupSpec.rayStartParams["num-cpus"] == "0"
    assert "resources" not in cluster.spec.headGroupSpec.rayStartParams


def test_the_job_starts_the_shipped_team_where_the_secrets_are(cluster: RayCluster, job: RayJob) -> None:
    name, *words = shlex.split(job.spec.entrypoint)

    with parsed(main.command, words) as command:
        asked = dict(command.params)

    assert (name, words[0], asked["team"], asked["ray_address"]) == ("remit", "deploy", SHIPPED_TEAM, "auto")
    assert [str(asked["secrets"])] == mounted_secrets(cluster.templates()["trusted"])
    assert asked["profile"] == "cluster"
    assert json.loads(job.spec.entrypointResources).keys() == {TRUSTED}
    assert job.spec.clusterSelector == {"ray.io/cluster": cluster.metadata.name}
    assert not job.spec.shutdownAfterJobFinishes


# --- who has what ----------------------------------------------------------------------------------


def mounted_secrets(template: Template) -> list[str]:
    volumes = msgspec.convert(template.spec.get("volumes", []), list[Document])
    secret = {volume["name"] for volume in volumes if "secret" in volume}
    mounts = [
        mount
        for item in containers(template)
        for mount in msgspec.convert(item.get("volumeMounts", []), list[Document])
    ]
    return [str(mount["mountPath"]) for mount in mounts if mount["name"] in secret]


def test_the_signing_keys_are_mounted_in_the_trusted_group_and_nowhere_else(cluster: RayCluster) -> None:
    having = {group for group, template in cluster.templates().items() if mounted_secrets(template)}

    assert having == {"trusted"}
    assert "signing" not in json.dumps(msgspec.to_builtins(cluster.templates()["analysts"]))


def test_no_worker_may_speak_to_kubernetes_and_no_container_has_privileges(cluster: RayCluster, job: RayJob) -> None:
    templates = cluster.templates() | {"submitter": job.spec.submitterPodTemplate}
    for name, template in templates.items():
        for container in containers(template):
            context = msgspec.convert(container["securityContext"], Document)
            assert context["allowPrivilegeEscalation"] is False
            assert context["runAsNonRoot"] is True
            assert context["capabilities"] == {"drop": ["ALL"]}
        assert template.spec.get("automountServiceAccountToken", True) is (name == "head"), name


def test_ray_wants_its_token_from_everybody(cluster: RayCluster, job: RayJob) -> None:
    (submitter,) = containers(job.spec.submitterPodTemplate)
    env = {str(item["name"]): item for item in msgspec.convert(submitter["env"], list[Document])}

    assert cluster.spec.authOptions.mode == "token"
    assert env["RAY_AUTH_MODE"]["value"] == "token"
    assert cluster.spec.authOptions.secretName in json.dumps(env["RAY_AUTH_TOKEN"])


# --- who may reach whom ----------------------------------------------------------------------------

REMIT, NATS, ELSEWHERE = "remit", "nats", "elsewhere"
HEAD = (REMIT, {"ray.io/cluster": "remit", "ray.io/node-type": "head", "ray.io/group": "headgroup"})
CLEANER = (REMIT, {"ray.io/cluster": "remit", "ray.io/node-type": "redis-cleanup"})
TRUSTED_POD = (REMIT, {"ray.io/cluster": "remit", "ray.io/node-type": "worker", "ray.io/group": "trusted"})
ANALYST = (REMIT, {"ray.io/cluster": "remit", "ray.io/node-type": "worker", "ray.io/group": "analysts"})
SUBMITTER = (REMIT, {"remit/part": "submitter"})
REDIS = (REMIT, {"app": "redis"})
STRANGER = (ELSEWHERE, {"app": "shop"})
NEIGHBOUR = (REMIT, {"app": "shop"})
PUBLISHER = (ELSEWHERE, {"remit/part": "publisher"})
SERVER = (NATS, {"app.kubernetes.io/name": "nats"})
OPERATOR = ("kuberay-system", {"app.kubernetes.io/name": "kuberay-operator"})
DNS = ("kube-system", {"k8s-app": "kube-dns"})

Pod = tuple[str, dict[str, str]]


class Selector(msgspec.Struct):
    matchLabels: dict[str, str] = {}  # noqa: N815  # Kubernetes' spelling, here and below

    def fits(self, labels: dict[str, str]) -> bool:
        return self.matchLabels.items() <= labels.items()


class Peer(msgspec.Struct):
    podSelector: Selector | None = None  # noqa: N815
    namespaceSelector: Selector | None = None  # noqa: N815
    ipBlock: Document | None = None  # noqa: N815

    def fits(self, pod: Pod, own: str) -> bool:
        namespace, labels = pod
        if self.ipBlock is not None:
            return False
        if self.namespaceSelector is None:
            is_there = namespace == own
        else:
            is_there = self.namespaceSelector.fits({"kubernetes.io/metadata.name": namespace})
        return is_there and (self.podSelector is None or self.podSelector.fits(labels))


class Port(msgspec.Struct):
    port: int
    protocol: str = "TCP"


class Rule(msgspec.Struct):
    source: list[Peer] = msgspec.field(name="from", default_factory=list)
    target: list[Peer] = msgspec.field(name="to", default_factory=list)
    ports: list[Port] = []

    def allows(self, other: Pod, port: int, own: str) -> bool:
        peers = self.source or self.target
        is_port = not self.ports or any(port == item.port for item in self.ports)
        return is_port and (not peers or any(peer.fits(other, own) for peer in peers))


class PolicySpec(msgspec.Struct):
    podSelector: Selector  # noqa: N815
    policyTypes: list[str]  # noqa: N815
    ingress: list[Rule] = []
    egress: list[Rule] = []


class PolicyMeta(msgspec.Struct):
    namespace: str


class Policy(msgspec.Struct):
    metadata: PolicyMeta
    spec: PolicySpec


def reaches(source: Pod, target: Pod, port: int) -> bool:
    """Say whether the policies let one pod reach another: as Kubernetes adds them up, out here and in there."""
    policies = [msgspec.convert(item, Policy) for item in POLICIES]

    def passes(pod: Pod, other: Pod, direction: str) -> bool:
        selecting = [
            policy
            for policy in policies
            if policy.metadata.namespace == pod[0]
            and policy.spec.podSelector.fits(pod[1])
            and direction in policy.spec.policyTypes
        ]
        rules = [
            rule
            for policy in selecting
            for rule in (policy.spec.egress if direction == "Egress" else policy.spec.ingress)
        ]
        return not selecting or any(rule.allows(other, port, pod[0]) for rule in rules)

    return passes(source, target, "Egress") and passes(target, source, "Ingress")


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (ANALYST, HEAD, 6379),
        (HEAD, ANALYST, 8076),
        (ANALYST, SERVER, 4222),
        (TRUSTED_POD, SERVER, 4222),
        (ANALYST, DNS, 53),
        (HEAD, REDIS, 6379),
        (CLEANER, REDIS, 6379),
        (SUBMITTER, HEAD, 8265),
        (OPERATOR, HEAD, 8265),
        (PUBLISHER, SERVER, 4222),
        (SERVER, SERVER, 6222),
    ],
)
def test_whoever_has_to_reaches(source: Pod, target: Pod, port: int) -> None:
    assert reaches(source, target, port)


@pytest.mark.parametrize(
    ("source", "target", "port"),
    [
        (STRANGER, HEAD, 6379),
        (STRANGER, HEAD, 8265),
        (NEIGHBOUR, HEAD, 8265),
        (NEIGHBOUR, ANALYST, 8076),
        (STRANGER, SERVER, 4222),
        (NEIGHBOUR, SERVER, 4222),
        (PUBLISHER, HEAD, 8265),
        (PUBLISHER, SERVER, 6222),
        (ANALYST, SERVER, 8222),
        (ANALYST, SERVER, 6222),
        (ANALYST, REDIS, 6379),
        (TRUSTED_POD, REDIS, 6379),
        (ANALYST, STRANGER, 443),
        (TRUSTED_POD, STRANGER, 443),
        (HEAD, STRANGER, 443),
        (SUBMITTER, ANALYST, 8076),
        (SUBMITTER, SERVER, 4222),
        (OPERATOR, ANALYST, 8265),
        (SERVER, HEAD, 6379),
    ],
)
def test_whoever_has_not_does_not_reach(source: Pod, target: Pod, port: int) -> None:
    assert not reaches(source, target, port)


# --- one version everywhere ------------------------------------------------------------------------


def test_image_and_cluster_have_the_ray_that_is_locked(cluster: RayCluster) -> None:
    dockerfile = (ROOT / FOLDER / "Dockerfile").read_text()
    (image,) = re.findall(r"^FROM rayproject/ray:(\S+)", dockerfile, re.MULTILINE)

    assert cluster.spec.rayVersion == version("ray")
    assert re.fullmatch(rf"{re.escape(version('ray'))}-py3\d+-cpu", image)


def test_nothing_here_names_a_registry_that_exists() -> None:
    text = "\n".join(path.read_text() for path in (ROOT / FOLDER).iterdir() if path.is_file())

    assert set(re.findall(r"\b[\w.-]+\.(?:io|com|org|dev)/[\w-]+", text)) <= LABEL_DOMAINS


LABEL_DOMAINS = {
    *("kubernetes.io/metadata", "kubernetes.io/name", "kubernetes.io/hostname", "kubernetes.io/enforce"),
    *("app.kubernetes.io/name", "pod-security.kubernetes.io/enforce", "pod-security.kubernetes.io/warn"),
    *("ray.io/v1", "ray.io/cluster", "ray.io/group", "ray.io/node-type"),
    *("networking.k8s.io/v1", "kustomize.config.k8s.io/v1beta1"),
}
