"""The resources of KubeRay as its API reference (ray.io/v1, v1.6) describes them, as far as ours use them.

What a field of Kubernetes' own holds is left to Kubernetes' own schemas.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from tests.manifests import Document


class Strict(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The API server prunes what it does not know, without a word; here it is an error."""


class Meta(Strict):
    name: str
    namespace: str
    labels: dict[str, str] = {}


class AuthOptions(Strict):
    mode: Literal["disabled", "token"]
    secretName: str = ""  # noqa: N815  # KubeRay's spelling, here and below


class RedisCredential(Strict):
    value: str | None = None
    valueFrom: Document | None = None  # noqa: N815


class GcsFaultTolerance(Strict):
    redisAddress: str  # noqa: N815
    redisUsername: RedisCredential | None = None  # noqa: N815
    redisPassword: RedisCredential | None = None  # noqa: N815
    externalStorageNamespace: str = ""  # noqa: N815


class AutoscalerOptions(Strict):
    version: Literal["v1", "v2"]
    idleTimeoutSeconds: int = 60  # noqa: N815
    upscalingMode: Literal["Default", "Aggressive", "Conservative"] = "Default"  # noqa: N815
    resources: Document = {}
    securityContext: Document = {}  # noqa: N815
    env: tuple[Document, ...] = ()


class Template(Strict):
    spec: Document
    metadata: Document = {}


class HeadGroup(Strict):
    rayStartParams: dict[str, str]  # noqa: N815
    template: Template
    serviceType: str = "ClusterIP"  # noqa: N815


class WorkerGroup(Strict):
    groupName: str  # noqa: N815
    minReplicas: Annotated[int, msgspec.Meta(ge=0)]  # noqa: N815
    maxReplicas: Annotated[int, msgspec.Meta(ge=0)]  # noqa: N815
    rayStartParams: dict[str, str]  # noqa: N815
    template: Template
    replicas: Annotated[int, msgspec.Meta(ge=0)] = 0
    numOfHosts: int = 1  # noqa: N815


class RayClusterSpec(Strict):
    rayVersion: str  # noqa: N815
    headGroupSpec: HeadGroup  # noqa: N815
    workerGroupSpecs: tuple[WorkerGroup, ...]  # noqa: N815
    authOptions: AuthOptions  # noqa: N815
    gcsFaultToleranceOptions: GcsFaultTolerance  # noqa: N815
    enableInTreeAutoscaling: bool  # noqa: N815
    autoscalerOptions: AutoscalerOptions  # noqa: N815


class RayCluster(Strict):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayCluster"]
    metadata: Meta
    spec: RayClusterSpec

    def templates(self) -> dict[str, Template]:
        """Give the pods of every group."""
        groups = {group.groupName: group.template for group in self.spec.workerGroupSpecs}
        return {"head": self.spec.headGroupSpec.template} | groups


class SubmitterConfig(Strict):
    backoffLimit: int  # noqa: N815


class RayJobSpec(Strict):
    clusterSelector: dict[str, str]  # noqa: N815
    entrypoint: str
    entrypointResources: str  # noqa: N815
    entrypointNumCpus: float  # noqa: N815
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]  # noqa: N815
    shutdownAfterJobFinishes: bool  # noqa: N815
    submitterPodTemplate: Template  # noqa: N815
    backoffLimit: int = 0  # noqa: N815
    submitterConfig: SubmitterConfig | None = None  # noqa: N815


class RayJob(Strict):
    apiVersion: Literal["ray.io/v1"]  # noqa: N815
    kind: Literal["RayJob"]
    metadata: Meta
    spec: RayJobSpec
