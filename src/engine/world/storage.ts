/**
 * Manifests of storage that lie under /root of a cluster's machines, and that the scenario `storage` applies: the lab's CSI driver with
 * its class `disk`, whose volumes follow their pods, and local-path with its class `local-path`, whose volumes stay on their node.
 */
import { BLOCK_STORE } from './blockstore.ts';

const DRIVER = 'disk.csi.nestbox.dev';
const SIDECARS = 'registry.k8s.io/sig-storage';

export const STORAGE_IMAGES = [
  `${SIDECARS}/csi-provisioner`, `${SIDECARS}/csi-attacher`, `${SIDECARS}/csi-resizer`, `${SIDECARS}/csi-node-driver-registrar`, 'nestbox/csi-disk', 'rancher/local-path-provisioner',
] as const;

const sidecar = (name: string, version: string): string => `      - name: ${name}
        image: ${SIDECARS}/${name}:${version}
        args: ["--csi-address=/csi/csi.sock"]
        volumeMounts:
        - {name: socket, mountPath: /csi}
`;

export const CSI_DISK_YAML = `# Network volumes of the block store at ${BLOCK_STORE.address}: a driver with a controller and a node part.
apiVersion: storage.k8s.io/v1
kind: CSIDriver
metadata:
  name: ${DRIVER}
spec:
  attachRequired: true
  podInfoOnMount: false
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: disk
provisioner: ${DRIVER}
reclaimPolicy: Delete
volumeBindingMode: WaitForFirstConsumer
allowVolumeExpansion: true
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: csi-disk-controller
  namespace: kube-system
  labels: {app: csi-disk-controller}
spec:
  replicas: 1
  selector:
    matchLabels: {app: csi-disk-controller}
  template:
    metadata:
      labels: {app: csi-disk-controller}
    spec:
      priorityClassName: system-cluster-critical
      hostNetwork: true
      containers:
${sidecar('csi-provisioner', 'v5.1.0')}${sidecar('csi-attacher', 'v4.7.0')}${sidecar('csi-resizer', 'v1.12.0')}      - name: csi-disk
        image: nestbox/csi-disk:v1.0.0
        args: ["--mode=controller", "--endpoint=unix:///csi/csi.sock", "--store=${BLOCK_STORE.address}:${BLOCK_STORE.port}"]
        volumeMounts:
        - {name: socket, mountPath: /csi}
      volumes:
      - name: socket
        emptyDir: {}
---
apiVersion: apps/v1
kind: DaemonSet
metadata:
  name: csi-disk-node
  namespace: kube-system
  labels: {app: csi-disk-node}
spec:
  selector:
    matchLabels: {app: csi-disk-node}
  template:
    metadata:
      labels: {app: csi-disk-node}
    spec:
      priorityClassName: system-node-critical
      hostNetwork: true
      tolerations:
      - operator: Exists
      containers:
      - name: node-driver-registrar
        image: ${SIDECARS}/csi-node-driver-registrar:v2.12.0
        args: ["--csi-address=/csi/csi.sock", "--kubelet-registration-path=/var/lib/kubelet/plugins/${DRIVER}/csi.sock"]
        volumeMounts:
        - {name: plugin, mountPath: /csi}
        - {name: registration, mountPath: /registration}
      - name: csi-disk
        image: nestbox/csi-disk:v1.0.0
        args: ["--mode=node", "--endpoint=unix:///csi/csi.sock"]
        env:
        - name: NODE_NAME
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        securityContext:
          privileged: true
        volumeMounts:
        - {name: plugin, mountPath: /csi}
        - {name: kubelet, mountPath: /var/lib/kubelet, mountPropagation: Bidirectional}
        - {name: dev, mountPath: /dev}
      volumes:
      - name: plugin
        hostPath: {path: /var/lib/kubelet/plugins/${DRIVER}, type: DirectoryOrCreate}
      - name: registration
        hostPath: {path: /var/lib/kubelet/plugins_registry, type: Directory}
      - name: kubelet
        hostPath: {path: /var/lib/kubelet, type: Directory}
      - name: dev
        hostPath: {path: /dev, type: Directory}
`;

export const LOCAL_PATH_YAML = `# Volumes that are directories of the node where their pod first ran.
apiVersion: v1
kind: Namespace
metadata:
  name: local-path-storage
---
apiVersion: storage.k8s.io/v1
kind: StorageClass
metadata:
  name: local-path
  annotations:
    storageclass.kubernetes.io/is-default-class: "true"
provisioner: rancher.io/local-path
reclaimPolicy: Delete
volumeBindingMode: WaitForFirstConsumer
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: local-path-provisioner
  namespace: local-path-storage
spec:
  replicas: 1
  selector:
    matchLabels: {app: local-path-provisioner}
  template:
    metadata:
      labels: {app: local-path-provisioner}
    spec:
      hostNetwork: true
      containers:
      - name: local-path-provisioner
        image: rancher/local-path-provisioner:v0.0.30
        env:
        - name: POD_NAMESPACE
          valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
`;

/** A program that keeps a log on a volume: change the class, and see what follows it and what does not. */
export const KEEPER_YAML = `apiVersion: v1
kind: PersistentVolumeClaim
metadata:
  name: data
spec:
  accessModes: [ReadWriteOnce]
  storageClassName: local-path
  resources:
    requests:
      storage: 1Gi
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: keeper
spec:
  replicas: 1
  strategy:
    type: Recreate
  selector:
    matchLabels: {app: keeper}
  template:
    metadata:
      labels: {app: keeper}
    spec:
      terminationGracePeriodSeconds: 2
      containers:
      - name: keeper
        image: busybox
        imagePullPolicy: IfNotPresent
        command: ["sh", "-c", "echo $NODE >> /data/log; cat /data/log; exec sleep 100000"]
        env:
        - name: NODE
          valueFrom: {fieldRef: {fieldPath: spec.nodeName}}
        volumeMounts:
        - {name: data, mountPath: /data}
      volumes:
      - name: data
        persistentVolumeClaim: {claimName: data}
`;
