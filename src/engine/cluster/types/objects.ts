/**
 * The objects of the Kubernetes API as this lab knows them: plain JSON, field names of core/v1, apps/v1, discovery and
 * coordination. Only fields that something here reads or prints are typed; what else a manifest may hold is in
 * `schema.ts`. Objects in the store are never changed in place: a write replaces the whole object.
 */
// biome-ignore lint/suspicious/noExplicitAny: JSON whose shape the schema table checks
export type Json = any;
export type Labels = Record<string, string>;

export interface OwnerReference {
  apiVersion: string;
  kind: string;
  name: string;
  uid: string;
  controller?: boolean;
  blockOwnerDeletion?: boolean;
}

export interface Meta {
  name: string;
  generateName?: string;
  namespace?: string;
  labels?: Labels;
  annotations?: Labels;
  uid?: string;
  resourceVersion?: string;
  generation?: number;
  creationTimestamp?: string | null;
  deletionTimestamp?: string;
  deletionGracePeriodSeconds?: number;
  finalizers?: string[];
  ownerReferences?: OwnerReference[];
  managedFields?: Json[];
}

export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: Meta;
  spec?: Json;
  status?: Json;
  [field: string]: Json;
}

export interface LabelSelector {
  matchLabels?: Labels;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

export interface Taint {
  key: string;
  value?: string;
  effect: string;
  timeAdded?: string;
}

export interface Toleration {
  key?: string;
  operator?: string;
  value?: string;
  effect?: string;
  tolerationSeconds?: number;
}

export interface ContainerPort {
  name?: string;
  containerPort: number;
  hostPort?: number;
  hostIP?: string;
  protocol?: string;
}

export type Quantities = Record<string, string | number>;

export interface Container {
  name: string;
  image: string;
  command?: string[];
  args?: string[];
  workingDir?: string;
  ports?: ContainerPort[];
  env?: { name: string; value?: string; valueFrom?: Json }[];
  envFrom?: Json[];
  resources?: { requests?: Quantities; limits?: Quantities };
  volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; subPath?: string }[];
  livenessProbe?: Json;
  readinessProbe?: Json;
  startupProbe?: Json;
  imagePullPolicy?: string;
  terminationMessagePath?: string;
  terminationMessagePolicy?: string;
  securityContext?: Json;
  restartPolicy?: string;
  tty?: boolean;
  stdin?: boolean;
  [field: string]: Json;
}

export interface NodeSelectorTerm {
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
  matchFields?: { key: string; operator: string; values?: string[] }[];
}

export interface PodSpec {
  containers: Container[];
  initContainers?: Container[];
  nodeName?: string;
  nodeSelector?: Labels;
  affinity?: Json;
  tolerations?: Toleration[];
  restartPolicy?: string;
  schedulerName?: string;
  priority?: number;
  priorityClassName?: string;
  preemptionPolicy?: string;
  terminationGracePeriodSeconds?: number;
  hostNetwork?: boolean;
  overhead?: Quantities;
  volumes?: Json[];
  serviceAccountName?: string;
  schedulingGates?: { name: string }[];
  topologySpreadConstraints?: Json[];
  [field: string]: Json;
}

export interface Condition {
  type: string;
  status: string;
  reason?: string;
  message?: string;
  lastProbeTime?: string | null;
  lastTransitionTime?: string | null;
  lastUpdateTime?: string | null;
  lastHeartbeatTime?: string | null;
}

export interface ContainerState {
  waiting?: { reason?: string; message?: string };
  running?: { startedAt: string };
  terminated?: { exitCode: number; signal?: number; reason?: string; message?: string; startedAt?: string | null; finishedAt?: string | null; containerID?: string };
}

export interface ContainerStatus {
  name: string;
  state: ContainerState;
  lastState: ContainerState;
  ready: boolean;
  restartCount: number;
  image: string;
  imageID: string;
  containerID?: string;
  started?: boolean;
}

export interface PodStatus {
  phase?: string;
  reason?: string;
  message?: string;
  conditions?: Condition[];
  hostIP?: string;
  podIP?: string;
  podIPs?: { ip: string }[];
  startTime?: string;
  containerStatuses?: ContainerStatus[];
  initContainerStatuses?: ContainerStatus[];
  qosClass?: string;
  nominatedNodeName?: string;
}

export interface Pod extends KubeObject {
  spec: PodSpec;
  status: PodStatus;
}

export interface NodeStatus {
  capacity?: Quantities;
  allocatable?: Quantities;
  conditions?: Condition[];
  addresses?: { type: string; address: string }[];
  nodeInfo?: Record<string, string>;
  images?: { names?: string[]; sizeBytes?: number }[];
}

export interface Node extends KubeObject {
  spec: { podCIDR?: string; podCIDRs?: string[]; taints?: Taint[]; unschedulable?: boolean; providerID?: string };
  status: NodeStatus;
}

export interface PodTemplate {
  metadata: { labels?: Labels; annotations?: Labels; creationTimestamp?: string | null };
  spec: PodSpec;
}

export interface ReplicaSet extends KubeObject {
  spec: { replicas: number; minReadySeconds?: number; selector: LabelSelector; template: PodTemplate };
  status: { replicas: number; readyReplicas?: number; availableReplicas?: number; fullyLabeledReplicas?: number; observedGeneration?: number };
}

export interface Deployment extends KubeObject {
  spec: {
    replicas: number;
    minReadySeconds?: number;
    selector: LabelSelector;
    template: PodTemplate;
    strategy: { type: string; rollingUpdate?: { maxSurge: string | number; maxUnavailable: string | number } };
    revisionHistoryLimit?: number;
    progressDeadlineSeconds?: number;
    paused?: boolean;
  };
  status: {
    observedGeneration?: number;
    replicas?: number;
    updatedReplicas?: number;
    readyReplicas?: number;
    availableReplicas?: number;
    unavailableReplicas?: number;
    conditions?: Condition[];
    collisionCount?: number;
  };
}

export interface ServicePort {
  name?: string;
  protocol?: string;
  port: number;
  targetPort?: number | string;
  nodePort?: number;
}

export interface Service extends KubeObject {
  spec: {
    type?: string;
    clusterIP?: string;
    clusterIPs?: string[];
    ports?: ServicePort[];
    selector?: Labels;
    externalName?: string;
    sessionAffinity?: string;
    [field: string]: Json;
  };
}

export interface KubeEvent extends KubeObject {
  involvedObject: { kind: string; namespace?: string; name: string; uid?: string; apiVersion?: string; resourceVersion?: string; fieldPath?: string };
  reason: string;
  message: string;
  type: string;
  count?: number;
  firstTimestamp: string | null;
  lastTimestamp: string | null;
  source: { component?: string; host?: string };
  /** The newer recorder's: when it was said first, and how often since; the timestamps above are null then. */
  eventTime?: string | null;
  series?: { count: number; lastObservedTime: string };
}

/** When an event was said last. */
export const saidAt = (e: KubeEvent): string | null => e.series?.lastObservedTime ?? e.lastTimestamp ?? e.eventTime ?? e.firstTimestamp;

/** The error body of the API. */
export interface Status {
  kind: 'Status';
  apiVersion: 'v1';
  metadata: Record<string, never>;
  status: 'Failure' | 'Success';
  message?: string;
  reason?: string;
  details?: Json;
  code?: number;
}

/** Whether a JSON value is a map of names to values. */
export const isObject = (x: Json): boolean => x !== null && typeof x === 'object' && !Array.isArray(x);

/** A deep copy of JSON. */
export function copy<T>(value: T): T {
  if (Array.isArray(value)) return value.map(copy) as T;
  if (value !== null && typeof value === 'object') {
    const out: Record<string, unknown> = {};
    for (const key in value) out[key] = copy(value[key]);
    return out as T;
  }
  return value;
}

/**
 * A copy with more fields, or others; in hot places instead of `{ ...object, more }`, which costs V8 a hidden class of its own (2 µs and
 * 300 bytes) each time that `more` has a name that `object` lacks.
 */
export function extended<T extends object>(object: T, more: Partial<T>): T {
  const out: Record<string, unknown> = {};
  for (const key in object) out[key] = object[key];
  for (const key in more) out[key] = more[key];
  return out as T;
}

/** Whether two JSON values are equal; the order of keys does not matter. */
export function same(a: unknown, b: unknown): boolean {
  if (a === b) return true;
  if (a === null || b === null || typeof a !== 'object' || typeof b !== 'object') return false;
  if (Array.isArray(a) !== Array.isArray(b)) return false;
  if (Array.isArray(a) && Array.isArray(b)) return a.length === b.length && a.every((x, i) => same(x, b[i]));
  const left = a as Record<string, unknown>;
  const right = b as Record<string, unknown>;
  const keys = Object.keys(left).filter((k) => left[k] !== undefined);
  if (keys.length !== Object.keys(right).filter((k) => right[k] !== undefined).length) return false;
  return keys.every((k) => same(left[k], right[k]));
}

/** "namespace/name", or the name alone of what has no namespace. */
export function keyOf(meta: Meta): string {
  return meta.namespace ? `${meta.namespace}/${meta.name}` : meta.name;
}
