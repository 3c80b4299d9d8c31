/** create, run, expose: new objects from flags or files. */
import { mergePatch } from '../../../cluster/types/merge.ts';
import { findKind, kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, Pod } from '../../../cluster/types/objects.ts';
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, toBase64 } from '../../../sim/text.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, failed, Fatal, klog, now, out, readPath } from './client.ts';
import { type Flags, on } from './flags.ts';
import { checkFormat } from './print.ts';
import { fetch, mustFetch, targets, type Target } from './resources.ts';
import { followPod } from './pods.ts';
import { dryRun, make, manifests, NEED_FILE, NEED_RESOURCE, required, whole } from './write.ts';

export const CREATE_FLAGS =
  'f/filename=* R/recursive o/output= dry-run=?unchanged image=* r/replicas= port= save-config validate=?strict from-literal=* from-file=* from-env-file=* tcp=* clusterip= node-port= external-name= field-manager= show-managed-fields raw= k/kustomize= allow-missing-template-keys docker-server= docker-username= docker-password= docker-email= type= value= from= schedule= restart= global-default description= preemption-policy=';

export function* create(client: Client, flags: Flags): Call<number> {
  const format = flags.text.get('output') ?? '';
  checkFormat(format);
  const files = flags.many.get('filename');
  const [what, ...args] = flags.args;
  if (flags.text.get('dry-run') === 'unchanged') yield* err(yield* klog('W', 'helpers.go:702', '--dry-run is deprecated and can be replaced with --dry-run=client.'));
  if (what === undefined) {
    if (!files) throw new Fatal(NEED_FILE);
    return yield* createFiles(client, flags, files);
  }
  const builder = BUILDERS[what];
  if (!builder) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl create -h' for help and examples`);
  const object = yield* builder(flags, args);
  if (object.from !== undefined) yield* copyCronJob(client, object);
  const kind = findKind(object.apiVersion, object.kind)!;
  const done = yield* make(client, flags, kind, kind.namespaced ? client.namespace : undefined, object, 'created', null, `failed to create ${kind.kind.toLowerCase()}`);
  return done ? 0 : 1;
}

/** `create job NAME --from=cronjob/X`: the job that X would make now. */
function* copyCronJob(client: Client, object: Json): Call<void> {
  const { from } = object;
  delete object.from;
  const [t] = yield* targets(client, [from]);
  if (t?.kind.kind !== 'CronJob') throw new Fatal(`error: from must be an existing cronjob`);
  const cron = yield* mustFetch(client, t.kind, t.name!);
  object.metadata = {
    annotations: { 'cronjob.kubernetes.io/instantiate': 'manual', ...cron.spec.jobTemplate.metadata?.annotations }, creationTimestamp: null, ...(cron.spec.jobTemplate.metadata?.labels ? { labels: cron.spec.jobTemplate.metadata.labels } : {}), name: object.metadata.name,
    ownerReferences: [{ apiVersion: 'batch/v1', controller: true, kind: 'CronJob', name: cron.metadata.name, uid: cron.metadata.uid }],
  };
  object.spec = cron.spec.jobTemplate.spec;
}

function* createFiles(client: Client, flags: Flags, files: readonly string[]): Call<number> {
  const problems: string[] = [];
  let status = 0;
  for (const m of yield* manifests(client, files, problems)) {
    if (!(yield* make(client, flags, m.kind, m.namespace, m.object, 'created', m.item, `error when creating "${m.item.source}"`))) status = 1;
  }
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : status;
}

type Builder = (flags: Flags, args: readonly string[]) => Call<Json>;

function* nameOf(command: string, flags: Flags, args: readonly string[]): Call<string> {
  if (args.length !== 1) throw new Fatal(`error: exactly one NAME is required, got ${args.length}\nSee 'kubectl create ${command} -h' for help and examples`);
  void flags;
  return args[0]!;
}

/** "registry/path/nginx:1.19" is container "nginx". */
function containerName(image: string): string {
  return image.replace(/@.*$/, '').replace(/:[^/]*$/, '').split('/').pop()!.toLowerCase().replace(/[^a-z0-9-]/g, '-');
}

function* deployment(flags: Flags, args: readonly string[]): Call<Json> {
  yield* required(flags, 'image');
  const name = yield* nameOf('deployment', flags, args);
  const images = flags.many.get('image') ?? [flags.text.get('image')!];
  const port = whole(flags, 'port');
  if (images.length > 1 && flags.rest?.length) throw new Fatal('error: cannot specify multiple --image options and command');
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1', kind: 'Deployment', metadata: { creationTimestamp: null, labels, name },
    spec: {
      replicas: whole(flags, 'replicas') ?? 1, selector: { matchLabels: labels }, strategy: {},
      template: {
        metadata: { creationTimestamp: null, labels },
        spec: {
          containers: images.map((image) => ({
            ...(flags.rest?.length ? { command: flags.rest } : {}), image, name: containerName(image), ...(port === undefined ? {} : { ports: [{ containerPort: port }] }), resources: {},
          })),
        },
      },
    },
    status: {},
  };
}

function* literals(flags: Flags): Call<Record<string, string>> {
  const data: Record<string, string> = {};
  for (const source of flags.many.get('from-literal') ?? []) {
    const at = source.indexOf('=');
    if (at <= 0) throw new Fatal(`error: invalid literal source ${source}, expected key=value`);
    data[source.slice(0, at)] = source.slice(at + 1).replace(/^(['"])(.*)\1$/, '$2');
  }
  for (const source of flags.many.get('from-file') ?? []) {
    const at = source.indexOf('=');
    const path = at < 0 ? source : source.slice(at + 1);
    try {
      data[at < 0 ? path.split('/').pop()! : source.slice(0, at)] = yield* readPath(path);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Fatal(`error: error reading ${path}: ${error.message.toLowerCase()}`);
    }
  }
  return data;
}

/** The one container of a job made by hand. */
const oneShot = (flags: Flags, name: string, restartPolicy: string): Json => ({
  template: {
    metadata: { creationTimestamp: null },
    spec: { containers: [{ ...(flags.rest?.length ? { command: flags.rest } : {}), image: flags.many.get('image')?.[0] ?? flags.text.get('image'), name, resources: {} }], restartPolicy },
  },
});

const BUILDERS: Record<string, Builder> = {
  *job(flags, args) {
    const name = yield* nameOf('job', flags, args);
    const from = flags.text.get('from');
    if (from !== undefined && (flags.many.get('image') ?? []).length > 0) throw new Fatal('error: either --image or --from must be specified');
    if (from === undefined) {
      if ((flags.many.get('image') ?? []).length === 0) throw new Fatal('error: either --image or --from must be specified');
      return { apiVersion: 'batch/v1', kind: 'Job', metadata: { creationTimestamp: null, name }, spec: oneShot(flags, name, 'Never'), status: {} };
    }
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: { creationTimestamp: null, name }, spec: {}, status: {}, from };
  },
  *cronjob(flags, args) {
    yield* required(flags, 'image', 'schedule');
    const name = yield* nameOf('cronjob', flags, args);
    const restart = flags.text.get('restart') ?? 'OnFailure';
    return {
      apiVersion: 'batch/v1', kind: 'CronJob', metadata: { creationTimestamp: null, name },
      spec: { jobTemplate: { metadata: { creationTimestamp: null, name }, spec: oneShot(flags, name, restart) }, schedule: flags.text.get('schedule') }, status: {},
    };
  },
  cj: (flags, args) => BUILDERS.cronjob!(flags, args),
  deployment, deploy: deployment,
  *namespace(flags, args) {
    const name = yield* nameOf('namespace', flags, args);
    return { apiVersion: 'v1', kind: 'Namespace', metadata: { creationTimestamp: null, name }, spec: {}, status: {} };
  },
  ns: (flags, args) => BUILDERS.namespace!(flags, args),
  *configmap(flags, args) {
    const name = yield* nameOf('configmap', flags, args);
    const data = yield* literals(flags);
    return { apiVersion: 'v1', ...(Object.keys(data).length > 0 ? { data } : {}), kind: 'ConfigMap', metadata: { creationTimestamp: null, name } };
  },
  cm: (flags, args) => BUILDERS.configmap!(flags, args),
  *serviceaccount(flags, args) {
    return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { creationTimestamp: null, name: yield* nameOf('serviceaccount', flags, args) } };
  },
  sa: (flags, args) => BUILDERS.serviceaccount!(flags, args),
  *secret(flags, args) {
    const [type, ...rest] = args;
    const encode = (map: Record<string, string>): Json => Object.fromEntries(Object.entries(map).map(([k, v]) => [k, toBase64(bytes(v))]));
    if (type === 'generic') {
      const name = yield* nameOf('secret', flags, rest);
      return { apiVersion: 'v1', data: encode(yield* literals(flags)), kind: 'Secret', metadata: { creationTimestamp: null, name } };
    }
    if (type === 'docker-registry') {
      const name = yield* nameOf('secret', flags, rest);
      const get = (f: string): string => flags.text.get(`docker-${f}`) ?? '';
      const auth = { username: get('username'), password: get('password'), ...(get('email') ? { email: get('email') } : {}), auth: toBase64(bytes(`${get('username')}:${get('password')}`)) };
      const config = JSON.stringify({ auths: { [get('server')]: auth } });
      return { apiVersion: 'v1', data: encode({ '.dockerconfigjson': config }), kind: 'Secret', metadata: { creationTimestamp: null, name }, type: 'kubernetes.io/dockerconfigjson' };
    }
    throw new Fatal(`error: Unexpected args: [secret ${args.join(' ')}]\nSee 'kubectl create secret -h' for help and examples`);
  },
  *service(flags, args) {
    const [type = '', ...rest] = args;
    const types: Record<string, string> = { clusterip: 'ClusterIP', nodeport: 'NodePort', loadbalancer: 'LoadBalancer', externalname: 'ExternalName' };
    if (!types[type]) throw new Fatal(`error: Unexpected args: [service ${args.join(' ')}]\nSee 'kubectl create service -h' for help and examples`);
    const name = yield* nameOf('service', flags, rest);
    const ports = (flags.many.get('tcp') ?? []).map((text) => {
      const [port = '', target = port] = text.split(':');
      for (const p of [port]) if (!/^\d+$/.test(p)) throw new Fatal(`error: strconv.ParseUint: parsing "${p}": invalid syntax`);
      return { name: text.replace(':', '-'), port: Number(port), protocol: 'TCP', targetPort: /^\d+$/.test(target) ? Number(target) : target };
    });
    const external = flags.text.get('external-name');
    return {
      apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, labels: { app: name }, name },
      spec: { ...(external ? { externalName: external } : {}), ...(ports.length > 0 ? { ports } : {}), selector: { app: name }, type: types[type] },
      status: { loadBalancer: {} },
    };
  },
  svc: (flags, args) => BUILDERS.service!(flags, args),
  *priorityclass(flags, args) {
    const name = yield* nameOf('priorityclass', flags, args);
    return { apiVersion: 'scheduling.k8s.io/v1', kind: 'PriorityClass', metadata: { creationTimestamp: null, name }, value: whole(flags, 'value') ?? 0, globalDefault: on(flags, 'global-default') };
  },
};

export const RUN_FLAGS =
  'image= restart= env=* port= l/labels= command dry-run=?unchanged o/output= i/stdin t/tty rm expose image-pull-policy= overrides= annotations=* q/quiet attach leave-stdin-open privileged save-config validate=?strict';

export function* run(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'image');
  if (flags.args.length === 0) throw new Fatal("error: NAME is required for run\nSee 'kubectl run -h' for help and examples");
  const attached = on(flags, 'stdin') || on(flags, 'attach') || on(flags, 'tty');
  if (on(flags, 'rm') && !attached) throw new Fatal('error: --rm should only be used for attached containers');
  if (on(flags, 'tty')) throw new Fatal('error: not modelled: a terminal attached to a new pod (-t); run it with sleep, then kubectl exec -it');
  const name = flags.args[0]!;
  yield* call(client, 'GET', '/api');
  const labels: Record<string, string> = {};
  for (const pair of (flags.text.get('labels') ?? '').split(',').filter((p) => p !== '')) labels[pair.split('=')[0]!] = pair.slice(pair.indexOf('=') + 1);
  const args = [...flags.args.slice(1), ...(flags.rest ?? [])];
  const port = whole(flags, 'port');
  const env = (flags.many.get('env') ?? []).map((e) => {
    const at = e.indexOf('=');
    if (at <= 0) throw new Fatal(`error: invalid env: ${e}`);
    return { name: e.slice(0, at), value: e.slice(at + 1) };
  });
  const restart = flags.text.get('restart') ?? 'Always';
  if (!['Always', 'OnFailure', 'Never'].includes(restart)) throw new Fatal(`error: invalid restart policy: ${restart}\nSee 'kubectl run -h' for help and examples`);
  const notes = Object.fromEntries((flags.many.get('annotations') ?? []).map((a) => [a.split('=')[0]!, a.slice(a.indexOf('=') + 1)]));
  const pod = {
    apiVersion: 'v1', kind: 'Pod', metadata: { ...(Object.keys(notes).length > 0 ? { annotations: notes } : {}), creationTimestamp: null, labels: Object.keys(labels).length > 0 ? labels : { run: name }, name },
    spec: {
      containers: [{
        ...(args.length > 0 ? (on(flags, 'command') ? { command: args } : { args }) : {}), ...(env.length > 0 ? { env } : {}), image: flags.text.get('image'),
        ...(flags.text.has('image-pull-policy') ? { imagePullPolicy: flags.text.get('image-pull-policy') } : {}), name, ...(port === undefined ? {} : { ports: [{ containerPort: port }] }), resources: {},
      }],
      dnsPolicy: 'ClusterFirst', restartPolicy: restart,
    },
    status: {},
  };
  let status = (yield* make(client, flags, kindNamed('Pod'), client.namespace, overridden(pod, flags.text.get('overrides')), on(flags, 'rm') || attached ? '' : 'created', null, '')) ? 0 : 1;
  if (on(flags, 'expose')) {
    if (port === undefined) throw new Fatal('error: --port must be set when exposing a service');
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, name }, spec: { ports: [{ port, protocol: 'TCP', targetPort: port }], selector: pod.metadata.labels }, status: { loadBalancer: {} } };
    if (!(yield* make(client, flags, kindNamed('Service'), client.namespace, service, 'created', null, ''))) status = 1;
  }
  return attached && status === 0 && dryRun(flags) === '' ? yield* untilDone(client, flags, name) : status;
}

/** After `run -i`: its output until it ends, its exit status, and with --rm its end. Attaching itself falls back to logs. */
function* untilDone(client: Client, flags: Flags, name: string): Call<number> {
  const pod = yield* started(client, name);
  if (on(flags, 'stdin') && !on(flags, 'quiet')) yield* err("If you don't see a command prompt, try pressing enter.\n");
  if (pod.status.phase === 'Running') yield* err(`warning: couldn't attach to pod/${name}, falling back to streaming logs: not modelled: attach\n`);
  let status = 0;
  try {
    yield* followPod(pod);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    yield* err(`${error.message}\n`);
    status = 1;
  }
  const last = yield* mustFetch(client, kindNamed('Pod'), name);
  const ended = last.status.containerStatuses?.[0]?.state?.terminated;
  if (ended && ended.exitCode !== 0 && last.spec.restartPolicy === 'Never') {
    yield* err(`pod ${last.metadata.namespace}/${name} terminated (${ended.reason})\n`);
    status = ended.exitCode;
  }
  if (!on(flags, 'rm')) return status;
  const reply = yield* call(client, 'DELETE', pathOf(kindNamed('Pod'), client.namespace, name), {});
  if (failed(reply)) return status;
  yield* out(`pod "${name}" deleted\n`);
  for (;;) {
    const there = yield* fetch(client, kindNamed('Pod'), name);
    if (typeof there === 'string' || there.metadata.uid !== last.metadata.uid) return status;
    yield* sys('nanosleep', 200_000_000);
  }
}

/** The pod when its first container runs, has run or cannot. */
function* started(client: Client, name: string): Call<Pod> {
  const until = (yield* now()) + 60;
  for (;;) {
    const pod = (yield* mustFetch(client, kindNamed('Pod'), name)) as Pod;
    const state = pod.status.containerStatuses?.[0]?.state;
    if (state?.running || state?.terminated || (pod.status.phase !== 'Pending' && pod.status.phase !== undefined)) return pod;
    if ((yield* now()) > until) throw new Fatal('error: timed out waiting for the condition');
    yield* sys('nanosleep', 200_000_000);
  }
}

/** `--overrides`: a JSON merge patch on what the flags made. */
function overridden(pod: Json, overrides: string | undefined): Json {
  if (overrides === undefined) return pod;
  let patch: Json;
  try {
    patch = JSON.parse(overrides);
  } catch (error) {
    throw new Fatal(`error: invalid JSON in --overrides: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
  return mergePatch(pod, patch);
}

export const EXPOSE_FLAGS = 'port= target-port= name= type= protocol= selector= l/labels= dry-run=?unchanged o/output= cluster-ip= external-ip= session-affinity= f/filename=* validate=?strict save-config';

export function* expose(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  const wanted = files ? (yield* manifests(client, files)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  for (const t of wanted) {
    if (t.name === null) throw new Fatal(NEED_RESOURCE);
    const object = yield* mustFetch(client, t.kind, t.name);
    const own = object.kind === 'Deployment' || object.kind === 'ReplicaSet' ? object.spec.selector?.matchLabels : object.kind === 'Service' ? object.spec.selector : object.metadata.labels;
    if (!['Deployment', 'ReplicaSet', 'Service', 'Pod'].includes(object.kind)) throw new Fatal(`error: cannot expose a ${object.kind}`);
    if (!own || Object.keys(own).length === 0) throw new Fatal("error: couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed");
    const spec = object.spec.template?.spec ?? object.spec;
    const known: number[] = (spec.containers ?? []).flatMap((c: Json) => (c.ports ?? []).map((p: Json) => p.containerPort));
    const given = whole(flags, 'port');
    const list = given === undefined ? known : [given];
    if (list.length === 0) throw new Fatal("error: couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples");
    const target = flags.text.get('target-port');
    const selector = flags.text.has('selector') ? Object.fromEntries(flags.text.get('selector')!.split(',').map((p) => p.split('=') as [string, string])) : own;
    const service = {
      apiVersion: 'v1', kind: 'Service',
      metadata: { creationTimestamp: null, ...(object.metadata.labels ? { labels: object.metadata.labels } : {}), name: flags.text.get('name') ?? object.metadata.name },
      spec: {
        ...(flags.text.has('cluster-ip') ? { clusterIP: flags.text.get('cluster-ip') } : {}),
        ports: list.map((port, i) => ({ ...(list.length > 1 ? { name: `port-${i + 1}` } : {}), port, protocol: flags.text.get('protocol') ?? 'TCP', targetPort: target === undefined ? port : /^\d+$/.test(target) ? Number(target) : target })),
        selector, ...(flags.text.has('type') ? { type: flags.text.get('type') } : {}),
      },
      status: { loadBalancer: {} },
    };
    if (!(yield* make(client, flags, kindNamed('Service'), client.namespace, service, 'exposed', null, ''))) return 1;
  }
  return 0;
}
