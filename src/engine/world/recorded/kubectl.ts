/**
 * The states in which the kubectl transcripts began: a 1.20 server with two hollow nodes, worker-1 and worker-2, and the files
 * that the commands name. `kubectl-1.32-offline` has no server at all.
 */
import type { ScenarioSpec } from '../scenario.ts';
import type { Tree } from '../../kernel/vfs/build.ts';
import { GiB } from '../../sim/units.ts';

const APP = `apiVersion: apps/v1
kind: Deployment
metadata:
  name: api
  labels: {app: api}
spec:
  replicas: 2
  selector:
    matchLabels: {app: api}
  template:
    metadata:
      labels: {app: api}
    spec:
      containers:
      - name: api
        image: api:1
        ports:
        - containerPort: 8080
        resources:
          requests: {cpu: 100m, memory: 64Mi}
          limits: {cpu: 500m, memory: 128Mi}
        livenessProbe:
          httpGet: {path: /healthz, port: 8080}
          initialDelaySeconds: 3
        readinessProbe:
          tcpSocket: {port: 8080}
        env:
        - name: A
          value: "1"
        volumeMounts:
        - {name: data, mountPath: /data}
      volumes:
      - name: data
        emptyDir: {}
---
apiVersion: v1
kind: Service
metadata:
  name: api
spec:
  selector: {app: api}
  ports:
  - port: 80
    targetPort: 8080
`;

const PEND = `apiVersion: v1
kind: Pod
metadata: {name: big}
spec:
  containers:
  - name: c
    image: x
    resources: {requests: {cpu: "1000", memory: 1Ti}}
---
apiVersion: v1
kind: Pod
metadata: {name: sel}
spec:
  nodeSelector: {disk: nvme}
  containers:
  - {name: c, image: x}
---
apiVersion: v1
kind: Pod
metadata: {name: cmref}
spec:
  containers:
  - name: c
    image: x
    envFrom: [{configMapRef: {name: missing}}]
---
apiVersion: v1
kind: Pod
metadata: {name: volref}
spec:
  volumes: [{name: v, secret: {secretName: missing}}]
  containers:
  - {name: c, image: x, volumeMounts: [{name: v, mountPath: /v}]}
---
apiVersion: v1
kind: Pod
metadata: {name: two}
spec:
  initContainers:
  - {name: i, image: init}
  containers:
  - {name: a, image: x}
  - {name: b, image: y}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: ds}
spec:
  selector: {matchLabels: {d: s}}
  template:
    metadata: {labels: {d: s}}
    spec: {containers: [{name: c, image: x}]}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  serviceName: db
  replicas: 2
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec: {containers: [{name: c, image: pg}]}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: pvc1}
spec: {accessModes: [ReadWriteOnce], resources: {requests: {storage: 1Gi}}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: ing}
spec:
  rules:
  - host: a.example.com
    http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np}
spec: {podSelector: {matchLabels: {app: web}}, ingress: [{from: [{podSelector: {matchLabels: {a: b}}}]}]}
`;

const WORKER = `apiVersion: v1
kind: Node
metadata: {name: worker-1, labels: {node-role.kubernetes.io/worker: ""}}
`;

const OFFLINE = `apiVersion: v1
kind: Config
contexts:
- context:
    namespace: x
  name: c
`;

/** Two users of one cluster, as when it was recorded. */
export const SERVED = `apiVersion: v1
kind: Config
clusters:
- name: kubernetes
  cluster:
    insecure-skip-tls-verify: true
    server: https://10.0.0.10:6443
contexts:
- name: alice@kubernetes
  context: {cluster: kubernetes, user: alice}
- name: kubernetes-admin@kubernetes
  context: {cluster: kubernetes, user: kubernetes-admin}
current-context: kubernetes-admin@kubernetes
users:
- name: alice
  user: {token: alice-token}
- name: kubernetes-admin
  user: {token: admin-token}
`;

const file = (data: string): Tree[string] => ({ type: 'file', data, mode: 0o644 });

function scenario(name: string, manifests: readonly string[], served = true): ScenarioSpec {
  return {
    name: `recorded/${name}`,
    hosts: [{
      name: 'lab', cpus: 2, memory: 4 * GiB, address: '10.0.0.5', services: [], images: [], domains: [],
      files: { '/root/app.yaml': file(APP), '/root/pend.yaml': file(PEND), '/root/.kube/config': file(served ? SERVED : OFFLINE) },
    }],
    cluster: served ? { hollow: 2, hollowNames: ['worker-1', 'worker-2'], serverVersion: 'v1.20.2' } : null,
    manifests,
  };
}

export const kubectlScenarios: Record<string, () => ScenarioSpec> = {
  'kubectl-1.20-live': () => scenario('kubectl-1.20-live', []),
  'kubectl-1.32-live': () => scenario('kubectl-1.32-live', [WORKER, PEND]),
  'kubectl-1.32-offline': () => scenario('kubectl-1.32-offline', [], false),
};
