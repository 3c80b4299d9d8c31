/**
 * Lines that a person might type at kubectl, damaged ones, and manifests with something wrong: commands with their own flags (as
 * kubectl's table has them) and values right, wrong or missing; objects of every kind with fields taken out, doubled, of another
 * type. Each must come back with a status, an error must say something, nothing of the program behind it may show, and the API
 * server must hold only whole objects after.
 */
import { KINDS } from '../../src/engine/cluster/types/kinds.ts';
import type { Json } from '../../src/engine/cluster/types/objects.ts';
import { COMMAND_FLAGS } from '../../src/engine/userland/kube/kubectl/kubectl.ts';
import { type Bench, bench, pass, run } from '../recorded/kubectl/door.ts';

type Roll = (below: number) => number;

/** Numbers from a seed: xorshift. */
function dice(seed: number): Roll {
  let x = seed * 2654435761 || 1;
  return (below) => {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    return (x >>> 0) % below;
  };
}

const pick = <T>(roll: Roll, list: readonly T[]): T => list[roll(list.length)]!;

const NAMES = ['web', 'web', 'api', 'db', 'q', 'nosuch', 'Bad_Name', '', 'hollow-1', 'hollow-2', 'default', 'a.b', 'x'.repeat(64)];
const TYPES = ['pods', 'po', 'deploy', 'deployments.apps', 'svc', 'nodes', 'no', 'rs', 'sts', 'ds', 'job', 'cj', 'cm', 'secret', 'ns', 'ing', 'netpol', 'hpa', 'pdb', 'quota', 'limits', 'sa', 'role', 'pvc', 'pv', 'sc', 'ev', 'all', 'nosuch', 'po,svc', 'Pod', '', ','];
const TEXTS = ['x', 'a=b', 'a!=b', 'a in (b,c)', 'a in (b', '=', 'x-', 'a=b:NoSchedule', 'k:NoExecute', '10', '-1', '1.5', '10s', '-5s', '1h', 'Always', 'Never', 'nginx', 'nginx:1.25', 'cpu=100m', 'cpu=x', 'a,b', '80', '80:90', '0', '99999', 'é', "it's", '{}', '[', '{"spec":{"replicas":2}}', '{"spec":{"replicas":"x"}}', '[{"op":"remove","path":"/metadata/labels"}]', '-', 'condition=Ready', 'delete', 'jsonpath={.status.phase}=Running', 'status.phase=Running', 'metadata.name=web', '/nosuch', 'app.yaml'];
const FORMATS = ['yaml', 'json', 'name', 'wide', 'jsonpath={.metadata.name}', 'jsonpath={.items[*].metadata.name}', 'jsonpath={range .items[*]}{.x}{end}', 'jsonpath={.a[?(@.b=="c")]}', 'jsonpath={..name}', 'jsonpath={.items[0:2]}', 'jsonpath={.', 'custom-columns=A:.metadata.name', 'custom-columns=A', 'go-template={{.metadata.name}}', 'go-template={{range .items}}{{.kind}}{{end}}', 'go-template={{.a.b.c}}', 'go-template={{', 'jsonpath-as-json={.spec}', 'bogus', ''];

interface Flag { name: string; value: boolean }

const flagsOf = (row: string): Flag[] => row.split(' ').filter((w) => w !== '').map((w) => /^(?:\w\/)?([\w-]+)(=)?/.exec(w)!).map((m) => ({ name: m[1]!, value: m[2] !== undefined }));

/** Commands that wait for ever, or need a kernel. */
const LEFT_OUT = /^(?:proxy|port-forward|edit|diff|attach|cp|apply edit-last-applied|debug|exec|run|completion)$/;
const COMMANDS = COMMAND_FLAGS.filter(([name]) => !LEFT_OUT.test(name)).map(([name, row]) => ({ name, flags: flagsOf(row) }));

function line(roll: Roll): string[] {
  if (roll(2) === 0) return pick(roll, SANE)(roll);
  const command = pick(roll, COMMANDS);
  const words = command.name.split(' ');
  for (let n = roll(3); n > 0; n--) words.push(roll(3) === 0 ? `${pick(roll, TYPES)}/${pick(roll, NAMES)}` : pick(roll, roll(2) === 0 ? TYPES : NAMES));
  for (let n = roll(3); n > 0; n--) words.push(pick(roll, TEXTS));
  for (let n = roll(4); n > 0 && command.flags.length > 0; n--) {
    const flag = pick(roll, command.flags);
    if (/^(?:watch|watch-only|follow|w)$/.test(flag.name)) continue;
    const value = flag.name === 'output' ? pick(roll, FORMATS) : flag.name === 'filename' ? pick(roll, ['-', 'app.yaml', '/nosuch', 'bad.yaml', '.']) : pick(roll, TEXTS);
    words.push(flag.value ? `--${flag.name}=${value}` : `--${flag.name}${roll(6) === 0 ? `=${value}` : ''}`);
  }
  if (roll(12) === 0) words.splice(1 + roll(words.length), 0, pick(roll, ['-n', '-A', '-o', '--bogus', '-z', '--', '--dry-run=client', '--dry-run=server', '-n', '-l']));
  if (roll(10) === 0) words[roll(words.length)] = damaged(roll, pick(roll, words));
  return words;
}

const GOOD = ['web', 'api', 'f1', 'hollow-1', 'default'];
const KNOWN = ['pods', 'deploy', 'svc', 'nodes', 'rs', 'cm', 'ns', 'ing', 'hpa', 'pdb', 'quota', 'sa', 'job', 'all', 'events', 'pvc'];

/** What people mostly type: whole words in their places, some of them for things that are not there. */
const SANE: readonly ((roll: Roll) => string[])[] = [
  (roll) => ['get', pick(roll, KNOWN), ...(roll(2) ? ['-o', pick(roll, FORMATS)] : []), ...(roll(4) ? [] : ['-A']), ...(roll(4) ? [] : ['--show-labels']), ...(roll(5) ? [] : ['--sort-by=.metadata.name'])],
  (roll) => ['get', `deploy/${pick(roll, GOOD)}`, '-o', pick(roll, FORMATS)], (roll) => ['describe', pick(roll, KNOWN), ...(roll(3) ? [] : [pick(roll, GOOD)])], (roll) => ['explain', pick(roll, ['pod', 'deploy.spec', 'svc.spec.ports', 'pod.spec.containers', 'job.x', 'ing']), ...(roll(3) ? [] : ['--recursive'])],
  (roll) => ['scale', `deploy/${pick(roll, GOOD)}`, `--replicas=${roll(5)}`], (roll) => ['set', 'image', `deploy/${pick(roll, GOOD)}`, `c=${pick(roll, TEXTS)}`], (roll) => ['set', 'env', 'deploy/web', `A${roll(3)}=${pick(roll, TEXTS)}`], (roll) => ['rollout', pick(roll, ['history', 'undo', 'restart', 'pause', 'resume', 'status']), `deploy/${pick(roll, GOOD)}`, ...(roll(3) ? [] : ['--timeout=5s'])],
  (roll) => ['label', pick(roll, ['deploy', 'nodes', 'svc']), pick(roll, GOOD), `k${roll(3)}${pick(roll, ['=v', '=w', '-', '=bad value'])}`, ...(roll(2) ? ['--overwrite'] : [])], (roll) => ['annotate', 'deploy', pick(roll, GOOD), `k${roll(3)}${pick(roll, ['=v', '-'])}`],
  (roll) => ['taint', 'nodes', pick(roll, ['hollow-1', 'hollow-2']), `t${roll(2)}${pick(roll, ['=a:NoSchedule', ':PreferNoSchedule', '-', ':Bad'])}`], (roll) => [pick(roll, ['cordon', 'uncordon']), pick(roll, ['hollow-1', 'hollow-2', 'nosuch'])], (roll) => ['drain', 'hollow-2', '--force', ...(roll(2) ? ['--delete-emptydir-data'] : []), '--timeout=10s'],
  (roll) => ['create', 'deployment', pick(roll, GOOD), '--image=nginx', `--replicas=${roll(4)}`], (roll) => ['create', 'configmap', pick(roll, GOOD), '--from-literal=a=b', ...(roll(2) ? ['--dry-run=client', '-o', 'yaml'] : [])], (roll) => ['create', 'job', pick(roll, GOOD), '--image=busybox', '--', 'true'], (roll) => ['expose', 'deploy', pick(roll, GOOD), `--port=${pick(roll, ['80', '0', 'x'])}`, `--name=s${roll(4)}`],
  (roll) => ['patch', 'deploy', pick(roll, GOOD), '-p', pick(roll, TEXTS), ...(roll(2) ? ['--type', pick(roll, ['json', 'merge', 'strategic'])] : [])], (roll) => ['delete', pick(roll, KNOWN), pick(roll, GOOD), '--wait=false'], (roll) => ['autoscale', 'deploy', pick(roll, GOOD), `--max=${roll(5)}`], (roll) => ['wait', `--for=${pick(roll, ['condition=Available', 'delete', 'jsonpath={.status.replicas}=2', 'create'])}`, `deploy/${pick(roll, GOOD)}`, '--timeout=2s'],
  (roll) => ['apply', '-f', pick(roll, ['-', 'app.yaml']), ...(roll(3) ? [] : ['--server-side']), ...(roll(5) ? [] : ['-o', pick(roll, FORMATS)])], (roll) => ['auth', 'can-i', pick(roll, ['get', 'create', '*']), pick(roll, KNOWN)], (roll) => ['config', pick(roll, ['view', 'get-contexts', 'current-context', 'get-users'])], (roll) => ['top', pick(roll, ['nodes', 'pods'])], (roll) => ['api-resources', ...(roll(2) ? ['-o', 'wide'] : [])],
  (roll) => ['events', '--for', `deploy/${pick(roll, GOOD)}`], (roll) => ['get', 'pods', '-l', pick(roll, TEXTS)], (roll) => ['get', '--raw', pick(roll, ['/version', '/api/v1/pods', '/healthz', '/nosuch'])], (roll) => ['create', 'role', 'r', '--verb=get', `--resource=${pick(roll, KNOWN)}`], () => ['cluster-info'], () => ['version'],
];

function damaged(roll: Roll, word: string): string {
  const at = roll(word.length + 1);
  return pick(roll, [word.slice(0, at), word.slice(0, at) + pick(roll, ['-', '=', '/', '.', ' ', '\n', '{', '"']) + word.slice(at), word.repeat(2), word.toUpperCase()]);
}

const POD = { containers: [{ name: 'c', image: 'nginx', ports: [{ containerPort: 80 }], env: [{ name: 'A', value: 'b' }], resources: { requests: { cpu: '100m', memory: '64Mi' } }, readinessProbe: { httpGet: { path: '/', port: 80 } } }], tolerations: [{ operator: 'Exists' }], volumes: [{ name: 'v', emptyDir: {} }] };
const labels = { app: 'web' };
const template = { metadata: { labels }, spec: POD };
const SPECS: Readonly<Record<string, Json>> = {
  Pod: { spec: POD }, Deployment: { spec: { replicas: 2, selector: { matchLabels: labels }, template } }, ReplicaSet: { spec: { replicas: 1, selector: { matchLabels: labels }, template } },
  StatefulSet: { spec: { replicas: 1, serviceName: 'web', selector: { matchLabels: labels }, template } }, DaemonSet: { spec: { selector: { matchLabels: labels }, template } }, Job: { spec: { completions: 1, template: { spec: { ...POD, restartPolicy: 'Never' } } } },
  CronJob: { spec: { schedule: '*/5 * * * *', jobTemplate: { spec: { template: { spec: { ...POD, restartPolicy: 'Never' } } } } } }, Service: { spec: { selector: labels, ports: [{ port: 80, targetPort: 80 }] } }, ConfigMap: { data: { a: 'b' } }, Secret: { data: { a: 'Yg==' }, type: 'Opaque' },
  Ingress: { spec: { rules: [{ host: 'a.example.com', http: { paths: [{ path: '/', pathType: 'Prefix', backend: { service: { name: 'web', port: { number: 80 } } } }] } }] } }, NetworkPolicy: { spec: { podSelector: {}, ingress: [{ from: [{ podSelector: { matchLabels: labels } }], ports: [{ port: 80 }] }] } },
  HorizontalPodAutoscaler: { spec: { scaleTargetRef: { apiVersion: 'apps/v1', kind: 'Deployment', name: 'web' }, minReplicas: 1, maxReplicas: 3, metrics: [{ type: 'Resource', resource: { name: 'cpu', target: { type: 'Utilization', averageUtilization: 80 } } }] } },
  PodDisruptionBudget: { spec: { minAvailable: 1, selector: { matchLabels: labels } } }, ResourceQuota: { spec: { hard: { pods: '5' } } }, LimitRange: { spec: { limits: [{ type: 'Container', default: { cpu: '1' } }] } }, Role: { rules: [{ apiGroups: [''], resources: ['pods'], verbs: ['get'] }] },
  RoleBinding: { roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'r' }, subjects: [{ kind: 'User', name: 'u', apiGroup: 'rbac.authorization.k8s.io' }] }, PersistentVolumeClaim: { spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } } }, Namespace: {}, PriorityClass: { value: 10 },
};
const WRONG: readonly Json[] = [null, 0, -1, 1.5, 1e30, true, '', 'x', ' ', 'é', '1Gi', '100m', [], {}, [null], [[]], { a: null }, 'a'.repeat(300), { $patch: 'replace' }];

/** An object of some kind, mostly with something wrong in it. */
function manifest(roll: Roll): Json {
  const wanted = pick(roll, Object.keys(SPECS));
  const kind = KINDS.find((k) => k.kind === wanted)!;
  const object: Json = JSON.parse(JSON.stringify({ apiVersion: kind.group ? `${kind.group}/${kind.version}` : kind.version, kind: kind.kind, metadata: { name: pick(roll, ['web', 'api', 'f1', 'f2', 'Bad_Name']), labels }, ...SPECS[kind.kind] }));
  for (let n = roll(4); n > 0; n--) spoil(roll, object);
  return object;
}

function spoil(roll: Roll, object: Json): void {
  let at: Json = object;
  for (let depth = 1 + roll(7); depth > 0; depth--) {
    const keys = Object.keys(at);
    if (keys.length === 0) break;
    const key = pick(roll, keys);
    const inner = at[key];
    if (depth === 1 || inner === null || typeof inner !== 'object') {
      const how = roll(5);
      if (how === 0) delete at[key];
      else if (how === 1) at[`${key}z`] = inner;
      else at[key] = JSON.parse(JSON.stringify(pick(roll, WRONG)));
      return;
    }
    at = inner;
  }
}

const APP = `apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {replicas: 2, selector: {matchLabels: {app: web}}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: nginx}]}}}
`;

export interface Outcome { lines: number; failed: number; faults: string[] }

/** What must never be seen. */
const SHOWN = /\bundefined\b|\[object Object\]|\bNaN\b|TypeError|RangeError|Cannot read|is not a function|at Object\.|\.ts:\d+/;

/** Lines `from` to `to` of a seed, on a cluster of their own. */
export function typeKubectl(seed: number, from: number, to: number): Outcome {
  const b: Bench = { ...bench({ hollow: 2 }, seed), lenient: true };
  b.files.set('/root/app.yaml', APP).set('/root/bad.yaml', 'a: [\n');
  pass(b, 5);
  const outcome: Outcome = { lines: 0, failed: 0, faults: [] };
  for (let i = from; i < to; i++) {
    const roll = dice(seed * 1_000_003 + i + 1);
    for (let k = 0; k < 4; k++) roll(2);
    const made = roll(3) === 0;
    const object = made ? manifest(roll) : null;
    const argv = made ? ['kubectl', pick(roll, ['apply', 'apply', 'create', 'replace', 'delete']), '-f', '-', ...(roll(6) === 0 ? ['--server-side'] : []), ...(roll(8) === 0 ? ['--validate=false'] : [])] : ['kubectl', ...line(roll)];
    const said = (why: string): void => void outcome.faults.push(`${i}: ${argv.map((a) => JSON.stringify(a)).join(' ')}${object ? ` <<< ${JSON.stringify(object)}` : ''}: ${why}`);
    outcome.lines++;
    try {
      const result = run(b, argv, made ? JSON.stringify(object) : roll(4) === 0 ? 'x' : APP, 40);
      if (result.exit !== 0) outcome.failed++;
      if (!Number.isInteger(result.exit) || result.exit < 0 || result.exit > 255) said(`status ${result.exit}`);
      if (result.exit !== 0 && result.exit !== 124 && result.stdout === '' && result.stderr === '') said('failed without a word');
      const shown = SHOWN.exec(result.stdout + result.stderr);
      if (shown && !JSON.stringify([argv, object]).includes(shown[0])) said(`shows ${JSON.stringify((result.stdout + result.stderr).slice(Math.max(0, shown.index - 80), shown.index + 80))}`);
      pass(b, 0.3);
    } catch (error) {
      said(`fault: ${error instanceof Error ? `${error.message} ${error.stack?.split('\n').slice(1, 4).map((l) => l.trim()).join(' ')}` : String(error)}`);
      if (outcome.faults.length > 40) break;
    }
  }
  for (const [kind, table] of b.cluster.store.tables) {
    for (const object of table.values()) if (!object.metadata?.name || !object.metadata.uid || !object.metadata.resourceVersion) outcome.faults.push(`${kind} without name, uid or version: ${JSON.stringify(object).slice(0, 200)}`);
  }
  return outcome;
}
