/**
 * Which fields each kind has and of what type: the table behind strict decoding ("unknown field", "cannot unmarshal").
 * One line a structure: `name:type`; types: s string, i integer, b boolean, q quantity, t time, x integer or string, m map of
 * strings, Q map of quantities, o any object, [T] list, otherwise a structure's name. Source: the core/v1, apps/v1,
 * discovery/v1, coordination/v1 API reference 1.32. Structures nothing here acts on are `o`.
 */
import { MORE } from './fields.ts';
import { quantityFault } from './quantity.ts';

const TABLE: Record<string, string> = {
  ObjectMeta: 'name:s generateName:s namespace:s selfLink:s uid:s resourceVersion:s generation:i creationTimestamp:t deletionTimestamp:t deletionGracePeriodSeconds:i labels:m annotations:m ownerReferences:[OwnerReference] finalizers:[s] managedFields:[o]',
  OwnerReference: 'apiVersion:s kind:s name:s uid:s controller:b blockOwnerDeletion:b',
  LabelSelector: 'matchLabels:m matchExpressions:[Requirement]',
  Requirement: 'key:s operator:s values:[s]',
  Pod: 'apiVersion:s kind:s metadata:ObjectMeta spec:PodSpec status:o',
  PodTemplateSpec: 'metadata:ObjectMeta spec:PodSpec',
  PodSpec: 'activeDeadlineSeconds:i affinity:Affinity automountServiceAccountToken:b containers:[Container] dnsConfig:o dnsPolicy:s enableServiceLinks:b ephemeralContainers:[o] hostAliases:[o] hostIPC:b hostNetwork:b hostPID:b hostUsers:b hostname:s imagePullSecrets:[o] initContainers:[Container] nodeName:s nodeSelector:m os:o overhead:Q preemptionPolicy:s priority:i priorityClassName:s readinessGates:[o] resourceClaims:[o] resources:ResourceRequirements restartPolicy:s runtimeClassName:s schedulerName:s schedulingGates:[SchedulingGate] securityContext:o serviceAccount:s serviceAccountName:s setHostnameAsFQDN:b shareProcessNamespace:b subdomain:s terminationGracePeriodSeconds:i tolerations:[Toleration] topologySpreadConstraints:[TopologySpreadConstraint] volumes:[Volume]',
  SchedulingGate: 'name:s',
  TopologySpreadConstraint: 'maxSkew:i topologyKey:s whenUnsatisfiable:s labelSelector:LabelSelector matchLabelKeys:[s] minDomains:i nodeAffinityPolicy:s nodeTaintsPolicy:s',
  Affinity: 'nodeAffinity:NodeAffinity podAffinity:PodAffinity podAntiAffinity:PodAffinity',
  NodeAffinity: 'requiredDuringSchedulingIgnoredDuringExecution:NodeSelector preferredDuringSchedulingIgnoredDuringExecution:[PreferredSchedulingTerm]',
  NodeSelector: 'nodeSelectorTerms:[NodeSelectorTerm]',
  NodeSelectorTerm: 'matchExpressions:[Requirement] matchFields:[Requirement]',
  PreferredSchedulingTerm: 'weight:i preference:NodeSelectorTerm',
  PodAffinity: 'requiredDuringSchedulingIgnoredDuringExecution:[PodAffinityTerm] preferredDuringSchedulingIgnoredDuringExecution:[WeightedPodAffinityTerm]',
  PodAffinityTerm: 'labelSelector:LabelSelector namespaces:[s] namespaceSelector:LabelSelector topologyKey:s matchLabelKeys:[s] mismatchLabelKeys:[s]',
  WeightedPodAffinityTerm: 'weight:i podAffinityTerm:PodAffinityTerm',
  Toleration: 'key:s operator:s value:s effect:s tolerationSeconds:i',
  Container: 'args:[s] command:[s] env:[EnvVar] envFrom:[EnvFromSource] image:s imagePullPolicy:s lifecycle:o livenessProbe:Probe name:s ports:[ContainerPort] readinessProbe:Probe resizePolicy:[o] resources:ResourceRequirements restartPolicy:s securityContext:o startupProbe:Probe stdin:b stdinOnce:b terminationMessagePath:s terminationMessagePolicy:s tty:b volumeDevices:[o] volumeMounts:[VolumeMount] workingDir:s',
  ContainerPort: 'containerPort:i hostIP:s hostPort:i name:s protocol:s',
  ResourceRequirements: 'limits:Q requests:Q claims:[o]',
  EnvVar: 'name:s value:s valueFrom:EnvVarSource',
  EnvVarSource: 'configMapKeyRef:KeyRef secretKeyRef:KeyRef fieldRef:FieldRef resourceFieldRef:o',
  KeyRef: 'name:s key:s optional:b',
  FieldRef: 'apiVersion:s fieldPath:s',
  EnvFromSource: 'configMapRef:NameRef secretRef:NameRef prefix:s',
  NameRef: 'name:s optional:b',
  VolumeMount: 'mountPath:s mountPropagation:s name:s readOnly:b recursiveReadOnly:s subPath:s subPathExpr:s',
  Probe: 'exec:ExecAction httpGet:HTTPGetAction tcpSocket:TCPSocketAction grpc:o initialDelaySeconds:i periodSeconds:i timeoutSeconds:i successThreshold:i failureThreshold:i terminationGracePeriodSeconds:i',
  ExecAction: 'command:[s]',
  HTTPGetAction: 'path:s port:x host:s scheme:s httpHeaders:[o]',
  TCPSocketAction: 'port:x host:s',
  Volume: 'name:s emptyDir:EmptyDir hostPath:HostPath configMap:ConfigMapVolume secret:SecretVolume projected:o downwardAPI:o persistentVolumeClaim:ClaimVolume nfs:o csi:o ephemeral:o image:o',
  EmptyDir: 'medium:s sizeLimit:q',
  HostPath: 'path:s type:s',
  ClaimVolume: 'claimName:s readOnly:b',
  ConfigMapVolume: 'name:s items:[o] defaultMode:i optional:b',
  SecretVolume: 'secretName:s items:[o] defaultMode:i optional:b',
  Deployment: 'apiVersion:s kind:s metadata:ObjectMeta spec:DeploymentSpec status:o',
  DeploymentSpec: 'replicas:i selector:LabelSelector template:PodTemplateSpec strategy:DeploymentStrategy minReadySeconds:i revisionHistoryLimit:i paused:b progressDeadlineSeconds:i',
  DeploymentStrategy: 'type:s rollingUpdate:RollingUpdateDeployment',
  RollingUpdateDeployment: 'maxSurge:x maxUnavailable:x',
  ReplicaSet: 'apiVersion:s kind:s metadata:ObjectMeta spec:ReplicaSetSpec status:o',
  ReplicaSetSpec: 'replicas:i minReadySeconds:i selector:LabelSelector template:PodTemplateSpec',
  StatefulSet: 'apiVersion:s kind:s metadata:ObjectMeta spec:StatefulSetSpec status:o',
  StatefulSetSpec: 'replicas:i selector:LabelSelector template:PodTemplateSpec volumeClaimTemplates:[PersistentVolumeClaim] serviceName:s podManagementPolicy:s updateStrategy:StatefulSetUpdateStrategy revisionHistoryLimit:i minReadySeconds:i persistentVolumeClaimRetentionPolicy:ClaimRetention ordinals:StatefulSetOrdinals',
  StatefulSetUpdateStrategy: 'type:s rollingUpdate:RollingUpdateStatefulSetStrategy',
  RollingUpdateStatefulSetStrategy: 'partition:i maxUnavailable:x',
  ClaimRetention: 'whenDeleted:s whenScaled:s',
  StatefulSetOrdinals: 'start:i',
  DaemonSet: 'apiVersion:s kind:s metadata:ObjectMeta spec:DaemonSetSpec status:o',
  DaemonSetSpec: 'selector:LabelSelector template:PodTemplateSpec updateStrategy:DaemonSetUpdateStrategy minReadySeconds:i revisionHistoryLimit:i',
  DaemonSetUpdateStrategy: 'type:s rollingUpdate:RollingUpdateDaemonSet',
  RollingUpdateDaemonSet: 'maxUnavailable:x maxSurge:x',
  ControllerRevision: 'apiVersion:s kind:s metadata:ObjectMeta data:o revision:i',
  Job: 'apiVersion:s kind:s metadata:ObjectMeta spec:JobSpec status:o',
  JobSpec: 'parallelism:i completions:i activeDeadlineSeconds:i podFailurePolicy:PodFailurePolicy successPolicy:SuccessPolicy backoffLimit:i backoffLimitPerIndex:i maxFailedIndexes:i selector:LabelSelector manualSelector:b template:PodTemplateSpec ttlSecondsAfterFinished:i completionMode:s suspend:b podReplacementPolicy:s managedBy:s',
  CronJob: 'apiVersion:s kind:s metadata:ObjectMeta spec:CronJobSpec status:o',
  CronJobSpec: 'schedule:s timeZone:s startingDeadlineSeconds:i concurrencyPolicy:s suspend:b jobTemplate:JobTemplateSpec successfulJobsHistoryLimit:i failedJobsHistoryLimit:i',
  JobTemplateSpec: 'metadata:ObjectMeta spec:JobSpec',
  PersistentVolumeClaim: 'apiVersion:s kind:s metadata:ObjectMeta spec:PersistentVolumeClaimSpec status:o',
  PersistentVolumeClaimSpec: 'accessModes:[s] selector:LabelSelector resources:ResourceRequirements volumeName:s storageClassName:s volumeMode:s dataSource:o dataSourceRef:o volumeAttributesClassName:s',
  PersistentVolume: 'apiVersion:s kind:s metadata:ObjectMeta spec:PersistentVolumeSpec status:o',
  PersistentVolumeSpec: 'accessModes:[s] capacity:Q claimRef:ObjectReference csi:CSIPersistentVolumeSource hostPath:HostPath iscsi:o local:LocalVolumeSource mountOptions:[s] nfs:NFSVolumeSource nodeAffinity:VolumeNodeAffinity persistentVolumeReclaimPolicy:s storageClassName:s volumeAttributesClassName:s volumeMode:s awsElasticBlockStore:o azureDisk:o azureFile:o cephfs:o cinder:o fc:o flexVolume:o flocker:o gcePersistentDisk:o glusterfs:o photonPersistentDisk:o portworxVolume:o quobyte:o rbd:o scaleIO:o storageos:o vsphereVolume:o',
  ObjectReference: 'apiVersion:s fieldPath:s kind:s name:s namespace:s resourceVersion:s uid:s',
  CSIPersistentVolumeSource: 'controllerExpandSecretRef:o controllerPublishSecretRef:o driver:s fsType:s nodeExpandSecretRef:o nodePublishSecretRef:o nodeStageSecretRef:o readOnly:b volumeAttributes:m volumeHandle:s',
  LocalVolumeSource: 'fsType:s path:s',
  NFSVolumeSource: 'path:s readOnly:b server:s',
  VolumeNodeAffinity: 'required:NodeSelector',
  StorageClass: 'apiVersion:s kind:s metadata:ObjectMeta allowVolumeExpansion:b allowedTopologies:[TopologySelectorTerm] mountOptions:[s] parameters:m provisioner:s reclaimPolicy:s volumeBindingMode:s',
  TopologySelectorTerm: 'matchLabelExpressions:[TopologySelectorLabelRequirement]',
  TopologySelectorLabelRequirement: 'key:s values:[s]',
  VolumeAttachment: 'apiVersion:s kind:s metadata:ObjectMeta spec:VolumeAttachmentSpec status:o',
  VolumeAttachmentSpec: 'attacher:s nodeName:s source:VolumeAttachmentSource',
  VolumeAttachmentSource: 'inlineVolumeSpec:o persistentVolumeName:s',
  CSIDriver: 'apiVersion:s kind:s metadata:ObjectMeta spec:CSIDriverSpec',
  CSIDriverSpec: 'attachRequired:b fsGroupPolicy:s podInfoOnMount:b requiresRepublish:b seLinuxMount:b storageCapacity:b tokenRequests:[o] volumeLifecycleModes:[s]',
  CSINode: 'apiVersion:s kind:s metadata:ObjectMeta spec:CSINodeSpec',
  CSINodeSpec: 'drivers:[CSINodeDriver]',
  CSINodeDriver: 'allocatable:VolumeNodeResources name:s nodeID:s topologyKeys:[s]',
  VolumeNodeResources: 'count:i',
  CSIStorageCapacity: 'apiVersion:s kind:s metadata:ObjectMeta capacity:q maximumVolumeSize:q nodeTopology:LabelSelector storageClassName:s',
  Service: 'apiVersion:s kind:s metadata:ObjectMeta spec:ServiceSpec status:o',
  ServiceSpec: 'allocateLoadBalancerNodePorts:b clusterIP:s clusterIPs:[s] externalIPs:[s] externalName:s externalTrafficPolicy:s healthCheckNodePort:i internalTrafficPolicy:s ipFamilies:[s] ipFamilyPolicy:s loadBalancerClass:s loadBalancerIP:s loadBalancerSourceRanges:[s] ports:[ServicePort] publishNotReadyAddresses:b selector:m sessionAffinity:s sessionAffinityConfig:o trafficDistribution:s type:s',
  ServicePort: 'appProtocol:s name:s nodePort:i port:i protocol:s targetPort:x',
  ConfigMap: 'apiVersion:s kind:s metadata:ObjectMeta data:m binaryData:m immutable:b',
  Secret: 'apiVersion:s kind:s metadata:ObjectMeta data:m stringData:m immutable:b type:s',
  Namespace: 'apiVersion:s kind:s metadata:ObjectMeta spec:NamespaceSpec status:o',
  NamespaceSpec: 'finalizers:[s]',
  Node: 'apiVersion:s kind:s metadata:ObjectMeta spec:NodeSpec status:o',
  NodeSpec: 'configSource:o externalID:s podCIDR:s podCIDRs:[s] providerID:s taints:[Taint] unschedulable:b',
  Taint: 'key:s value:s effect:s timeAdded:t',
  Event: 'apiVersion:s kind:s metadata:ObjectMeta involvedObject:o reason:s message:s source:o firstTimestamp:t lastTimestamp:t count:i type:s eventTime:t series:o action:s related:o reportingComponent:s reportingInstance:s',
  ServiceAccount: 'apiVersion:s kind:s metadata:ObjectMeta secrets:[o] imagePullSecrets:[o] automountServiceAccountToken:b',
  PriorityClass: 'apiVersion:s kind:s metadata:ObjectMeta value:i globalDefault:b description:s preemptionPolicy:s',
};

const SCHEMA = new Map(
  Object.entries({ ...TABLE, ...MORE }).map(([name, row]) => [name, new Map(row.split(' ').map((f) => [f.slice(0, f.indexOf(':')), f.slice(f.indexOf(':') + 1)]))]),
);

export interface Decoded {
  /** Paths of fields that no structure has, e.g. "spec.template.spec.containerz". */
  unknown: string[];
  /** The first value of a wrong type, as Go's decoder words it. */
  mistyped: string | null;
}

const GO: Record<string, string> = { s: 'string', i: 'int32', b: 'bool', m: 'map[string]string', o: 'map[string]interface {}' };

/** Holds a manifest against the schema of its kind. */
export function decode(kind: string, value: unknown): Decoded {
  const out: Decoded = { unknown: [], mistyped: null };
  structure(kind, value, '', '', out, 0);
  return out;
}

/** The fields of a structure, for `kubectl explain`: name to type; undefined for an unknown structure. */
export function fieldsOf(name: string): ReadonlyMap<string, string> | undefined {
  return SCHEMA.get(name);
}

function jsonType(value: unknown): string {
  if (Array.isArray(value)) return 'array';
  return typeof value === 'boolean' ? 'bool' : typeof value;
}

function mistyped(value: unknown, owner: string, path: string, go: string, out: Decoded): void {
  const clean = path.replace(/\[\d+\]/g, '');
  out.mistyped ??= `json: cannot unmarshal ${jsonType(value)} into Go ${clean === '' ? 'value' : `struct field ${owner}.${clean}`} of type ${go}`;
}

function structure(name: string, value: unknown, owner: string, path: string, out: Decoded, depth: number): void {
  const fields = SCHEMA.get(name)!;
  if (value === null || value === undefined) return;
  if (typeof value !== 'object' || Array.isArray(value)) {
    mistyped(value, owner, path, `${goPackage(name)}${name}`, out);
    return;
  }
  if (depth > 40) return;
  for (const [key, inner] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`;
    const type = fields.get(key);
    if (type === undefined) out.unknown.push(at);
    else field(type, inner, name, at, out, depth);
  }
}

function field(type: string, value: unknown, owner: string, path: string, out: Decoded, depth: number): void {
  if (value === null || value === undefined) return;
  if (type.startsWith('[')) {
    const inner = type.slice(1, -1);
    if (!Array.isArray(value)) mistyped(value, owner, path, `[]${GO[inner] ?? `${goPackage(inner)}${inner}`}`, out);
    else for (const [i, one] of value.entries()) field(inner, one, owner, `${path}[${i}]`, out, depth + 1);
    return;
  }
  switch (type) {
    case 's':
    case 't':
      if (typeof value !== 'string') mistyped(value, owner, path, 'string', out);
      return;
    case 'i':
      if (typeof value !== 'number') mistyped(value, owner, path, 'int32', out);
      else if (!Number.isInteger(value)) out.mistyped ??= `json: cannot unmarshal number ${value} into Go struct field ${owner}.${path.replace(/\[\d+\]/g, '')} of type int32`;
      return;
    case 'b':
      if (typeof value !== 'boolean') mistyped(value, owner, path, 'bool', out);
      return;
    case 'x':
      if (typeof value !== 'string' && typeof value !== 'number') mistyped(value, owner, path, 'intstr.IntOrString', out);
      return;
    case 'q':
      out.mistyped ??= quantityFault(value);
      return;
    case 'm':
    case 'Q':
    case 'o':
      if (typeof value !== 'object' || Array.isArray(value)) mistyped(value, owner, path, type === 'Q' ? 'v1.ResourceList' : GO[type]!, out);
      else if (type === 'm') {
        for (const one of Object.values(value)) if (one !== null && typeof one !== 'string') mistyped(one, owner, path, 'string', out);
      } else if (type === 'Q') for (const one of Object.values(value)) out.mistyped ??= quantityFault(one);
      return;
    default:
      structure(type, value, owner, path, out, depth + 1);
  }
}

function goPackage(name: string): string {
  return SCHEMA.has(name) ? 'v1.' : '';
}
