/** What kinds and fields are for, in our own words: "Kind" or "Structure.field"; a bare ".field" holds in every structure. */
const DOCS: Readonly<Record<string, string>> = Object.fromEntries(
  `Pod|One or more containers that are placed on a node together and share its network namespace and volumes.
Deployment|Keeps a number of equal pods and replaces them step by step when their template changes.
ReplicaSet|Keeps a number of equal pods; normally made and owned by a Deployment.
StatefulSet|Pods with names, order and volumes of their own that stay when a pod is replaced.
DaemonSet|One pod on every node that fits.
Job|Pods that run until enough of them have succeeded.
CronJob|Makes a Job whenever its schedule says so.
Service|One name and address for the pods that a selector finds.
ConfigMap|Settings by key, for environment variables and files of pods.
Secret|Confidential settings by key, in base64.
Namespace|A scope for names, quotas and access.
Node|A machine that runs pods.
Event|A report of something that happened to an object. Kept for an hour.
Endpoints|The addresses behind a Service.
EndpointSlice|Some of the addresses behind a Service.
Ingress|Rules by which HTTP requests from outside reach Services.
IngressClass|Which controller serves an Ingress.
NetworkPolicy|Which connections the selected pods may accept and make.
PersistentVolume|A piece of storage in the cluster.
PersistentVolumeClaim|A request for storage by a pod.
StorageClass|A way in which volumes are made on demand.
ServiceAccount|The identity of processes in pods.
HorizontalPodAutoscaler|Sets the number of replicas of a workload by what is measured.
PodDisruptionBudget|How many of the selected pods must stay when pods are evicted on purpose.
ResourceQuota|Limits of what a namespace may use together.
LimitRange|Limits and defaults for single objects of a namespace.
PriorityClass|A named priority of pods for the scheduler.
Role|Rules of what may be done in a namespace.
ClusterRole|Rules of what may be done in the whole cluster.
RoleBinding|Gives a role to users, groups or service accounts in a namespace.
ClusterRoleBinding|Gives a cluster role to users, groups or service accounts everywhere.
Lease|A lock or sign of life that its holder renews.
ControllerRevision|A kept state of a StatefulSet or DaemonSet for undoing.
Container|A container of the pod: an image, what runs in it and what it may use.
PodSpec|What the pod shall be.
DeploymentSpec|What the Deployment shall be.
ServiceSpec|What the Service shall be.
ObjectMeta|What every stored object carries: its name, labels and history.
ResourceRequirements|What the container asks for and what it may use at most.
DeploymentStrategy|How old pods are replaced by new ones.
Probe|A check that the kubelet makes of a container.
.apiVersion|Group and version of the schema that this object follows.
.kind|The kind of object that this is.
.metadata|Name, labels, annotations and what the system notes about the object.
.spec|The state that is wanted.
.status|The state that was seen last. Written by the system.
.name|A name, unique where it stands.
.namespace|The namespace that the object is in.
.labels|Keys and values by which objects are selected.
.annotations|Keys and values that tools keep with the object; never selected by.
.uid|Unique over all time; set by the server.
.resourceVersion|Changes with every write; for conflicts and watches.
.generation|Counts changes of what is wanted.
.creationTimestamp|When the server made it.
.deletionTimestamp|When it will be gone; set once deletion is asked for.
.finalizers|Who must finish before the object may go.
.ownerReferences|Objects on which this one depends; it goes with the last of them.
.generateName|A prefix to which the server adds a random end when there is no name.
.managedFields|Which manager wrote which field.
.selector|Selects objects by their labels.
.matchLabels|Labels that must all be there with these values.
.matchExpressions|Conditions on labels that must all hold.
.replicas|How many pods there shall be.
.template|The pod that is made.
.strategy|How old pods are replaced by new ones.
.minReadySeconds|Seconds that a new pod must be ready before it counts as available.
.revisionHistoryLimit|How many old states are kept for undoing.
.paused|Changes are not rolled out while true.
.progressDeadlineSeconds|Seconds without progress after which a rollout counts as failed.
DeploymentStrategy.type|Recreate: first all old pods go. RollingUpdate: some at a time.
.rollingUpdate|How many pods may be missing or more than wanted on the way.
.maxSurge|How many pods more than wanted there may be, as number or percentage.
.maxUnavailable|How many of the wanted pods may be missing, as number or percentage.
.containers|The containers of the pod; at least one.
.initContainers|Containers that run one after another before the others start.
.ephemeralContainers|Containers added to a running pod to look at it.
.volumes|What can be mounted in the pod's containers.
.restartPolicy|When containers that ended start again: Always, OnFailure or Never.
.nodeName|The node that has the pod; set by the scheduler.
.nodeSelector|Labels that a node must have.
.affinity|Wishes and conditions on where the pod goes.
.tolerations|Taints that do not keep the pod away.
.topologySpreadConstraints|How evenly pods are spread over zones, nodes or other domains.
.serviceAccountName|The service account under which the pod runs.
.terminationGracePeriodSeconds|Seconds between the polite signal and the kill.
.activeDeadlineSeconds|Seconds after which it is stopped.
.priorityClassName|Name of the pod's priority.
.priority|The pod's priority; the higher goes first and may push others out.
.schedulerName|The scheduler that places the pod.
.schedulingGates|While there are any, the pod is not scheduled.
.hostNetwork|The pod uses the node's network namespace.
.hostPID|The pod sees the node's processes.
.dnsPolicy|Where names are looked up.
.image|The image's name.
.imagePullPolicy|When the image is fetched: Always, IfNotPresent or Never.
.command|What runs, instead of the image's entry point.
.args|Arguments, instead of the image's own.
.workingDir|Directory in which the command starts.
.env|Environment variables.
.envFrom|Config maps and secrets whose keys become environment variables.
.valueFrom|Where a variable's value is taken from.
.value|The value.
.ports|Ports that are served.
Container.ports|Ports that the container serves; documentation, except for hostPort.
.containerPort|Port in the pod.
.hostPort|Port on the node.
.protocol|TCP, UDP or SCTP.
.port|The port.
.targetPort|Port of the pods, by number or by its name.
.nodePort|Port on every node.
.clusterIP|The address inside the cluster; None for a headless Service.
ServiceSpec.type|ClusterIP, NodePort, LoadBalancer or ExternalName.
.sessionAffinity|ClientIP keeps a client with one pod.
.externalTrafficPolicy|Local sends outside traffic only to pods on the same node.
.resources|What it asks for and what it may use at most.
.limits|The most that may be used.
.requests|What is reserved.
.livenessProbe|A check that restarts the container when it fails.
.readinessProbe|A check that takes the pod out of Services while it fails.
.startupProbe|A check that must succeed once before the other probes begin.
.httpGet|Asks over HTTP; 200 to 399 is well.
.tcpSocket|Opens a connection.
.exec|Runs a command in the container; 0 is well.
.initialDelaySeconds|Seconds before the first check.
.periodSeconds|Seconds between checks.
.timeoutSeconds|Seconds after which a check counts as failed.
.failureThreshold|Failures in a row that count.
.successThreshold|Successes in a row that count.
.volumeMounts|Where volumes appear in the container.
.mountPath|Path in the container.
.readOnly|Not to be written to.
.subPath|Path within the volume.
.securityContext|User, capabilities and other security settings.
.lifecycle|What is done after the start and before the stop.
.emptyDir|An empty directory that lives as long as the pod.
.hostPath|A path of the node.
.configMap|The keys of a config map as files.
.secret|The keys of a secret as files.
.persistentVolumeClaim|The volume of a claim in the same namespace.
.data|Values by key.
.binaryData|Values by key in base64.
.stringData|Values by key in plain text; written into data.
.immutable|May not be changed any more.
.taints|Keep pods away that do not tolerate them.
.unschedulable|No new pods come here.
.podCIDR|Addresses for the node's pods.
.schedule|When, in cron's notation.
.suspend|Makes nothing while true.
.parallelism|How many pods run at once at most.
.completions|How many pods must succeed.
.backoffLimit|Failures before giving up.
.ttlSecondsAfterFinished|Seconds after the end at which it is removed.
.jobTemplate|The Job that is made.
.concurrencyPolicy|Allow, Forbid or Replace when the last Job still runs.
.serviceName|The headless Service that names the pods.
.volumeClaimTemplates|Claims that every pod gets its own of.
.updateStrategy|How pods are replaced when the template changes.
.rules|The rules.
.minReplicas|The fewest replicas.
.maxReplicas|The most replicas.
.metrics|What is measured, and its target.
.scaleTargetRef|The workload that is scaled.
.minAvailable|How many pods must stay, as number or percentage.
.storageClassName|Name of the storage class.
.accessModes|How the volume may be mounted.
.volumeName|The volume that is bound.
.hard|The limits.
.description|A text for people.
.type|The type.`.split('\n').map((l) => [l.slice(0, l.indexOf('|')), l.slice(l.indexOf('|') + 1)]),
);

export function docOf(structure: string, field: string): string {
  return (field === '' ? DOCS[structure] : (DOCS[`${structure}.${field}`] ?? DOCS[`.${field}`])) ?? '';
}

/** Fields without which an object is refused. */
export const REQUIRED: Readonly<Record<string, readonly string[]>> = {
  PodSpec: ['containers'], Container: ['name'], DeploymentSpec: ['selector', 'template'], ReplicaSetSpec: ['selector'], StatefulSetSpec: ['selector', 'serviceName', 'template'], DaemonSetSpec: ['selector', 'template'],
  JobSpec: ['template'], CronJobSpec: ['jobTemplate', 'schedule'], ContainerPort: ['containerPort'], EnvVar: ['name'], KeyRef: ['key'], FieldRef: ['fieldPath'], VolumeMount: ['mountPath', 'name'], Volume: ['name'], HTTPGetAction: ['port'],
  TCPSocketAction: ['port'], ServicePort: ['port'], Requirement: ['key', 'operator'], TopologySpreadConstraint: ['maxSkew', 'topologyKey', 'whenUnsatisfiable'], PodAffinityTerm: ['topologyKey'], NodeSelector: ['nodeSelectorTerms'],
  Taint: ['effect', 'key'], OwnerReference: ['apiVersion', 'kind', 'name', 'uid'], SchedulingGate: ['name'], PriorityClass: ['value'], HorizontalPodAutoscalerSpec: ['maxReplicas', 'scaleTargetRef'], Event: ['involvedObject', 'metadata'],
};
