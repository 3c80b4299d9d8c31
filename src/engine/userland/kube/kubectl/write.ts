/** Changing: create, run, expose, apply, replace, delete, patch, scale, label, annotate. */
import { findKind, type Kind, kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import type { Json, KubeObject } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { AT_FDCWD, S_IFDIR, S_IFMT, O_RDONLY, O_DIRECTORY, SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { toBase64, bytes } from '../../../sim/text.ts';
import { ask, call, type Client, err, failed, failureText, Fatal, klog, listKind, out, readFd, readPath } from './client.ts';
import { type Flags, on } from './flags.ts';
import { type Item, ManifestError, readManifest } from './manifest.ts';
import { annotated, LAST_APPLIED, lastApplied, threeWay } from './merge.ts';
import { checkFormat, printAs } from './print.ts';
import { display, fetch, mustFetch, targets, type Target } from './resources.ts';

export interface Manifest {
  kind: Kind;
  name: string;
  namespace: string | undefined;
  object: Json;
  item: Item;
}

const NEED_FILE = 'error: must specify one of -f and -k';

/** Reads -f arguments: files, directories, "-". Kinds that do not exist are reported with file and line. */
export function* manifests(client: Client, paths: readonly string[], problems: string[] = []): Call<Manifest[]> {
  const items: Item[] = [];
  for (const path of paths.flatMap((p) => p.split(','))) {
    for (const file of yield* expand(path)) {
      try {
        items.push(...readManifest(file === '-' ? yield* readFd(0) : yield* readPath(file), file === '-' ? 'STDIN' : file));
      } catch (error) {
        if (error instanceof SysError) throw new Fatal(error.errno === 'ENOENT' ? `error: the path "${file}" does not exist` : `error: open ${file}: ${error.message.toLowerCase()}`);
        if (error instanceof ManifestError) throw new Fatal(`error: ${error.message}`);
        throw error;
      }
    }
  }
  if (items.length === 0) throw new Fatal('error: no objects passed to apply');
  const found: Manifest[] = [];
  for (const item of items) {
    const { apiVersion, kind, metadata } = item.object;
    for (const [field, value] of [['apiVersion', apiVersion], ['kind', kind]] as const) {
      if (typeof value !== 'string' || value === '') {
        throw new Fatal(`error: error validating "${item.source}": error validating data: ${field} not set; if you choose to ignore these errors, turn validation off with --validate=false`);
      }
    }
    const known = findKind(apiVersion, kind);
    if (!known) {
      const line = item.lineOf('kind');
      problems.push(`error: resource mapping not found for name: "${metadata?.name ?? ''}" namespace: "${metadata?.namespace ?? ''}" from "${item.source}": no matches for kind "${kind}" in version "${apiVersion}"\nensure CRDs are installed first${line === null ? '' : `\n(${item.source}, line ${line}: kind: ${kind})`}`);
      continue;
    }
    const namespace = known.namespaced ? (metadata?.namespace ?? client.namespace) : undefined;
    found.push({ kind: known, name: String(metadata?.name ?? ''), namespace, object: item.object, item });
  }
  return found;
}

function* expand(path: string): Call<string[]> {
  if (path === '-') return ['-'];
  if (/^https?:/.test(path)) throw new Fatal(`error: unable to read URL "${path}": there is no network beyond the lab`);
  try {
    const stat = yield* sys('newfstatat', AT_FDCWD, path, 0);
    if ((stat.mode & S_IFMT) !== S_IFDIR) return [path];
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY | O_DIRECTORY);
    const names: string[] = [];
    for (;;) {
      const some = yield* sys('getdents64', fd);
      if (some.length === 0) break;
      names.push(...some.filter((e) => e.type === 'file' && /\.(ya?ml|json)$/.test(e.name)).map((e) => e.name));
    }
    yield* sys('close', fd);
    if (names.length === 0) throw new Fatal(`error: error reading [${path}]: recognized file extensions are [.json .yaml .yml]`);
    return names.sort().map((n) => `${path.replace(/\/$/, '')}/${n}`);
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(error.errno === 'ENOENT' ? `error: the path "${path}" does not exist` : `error: stat ${path}: ${error.message.toLowerCase()}`);
    throw error;
  }
}

function dryRun(flags: Flags): '' | 'client' | 'server' {
  const value = flags.text.get('dry-run') ?? 'none';
  if (value === 'none' || value === 'false') return '';
  if (value === 'client' || value === 'server') return value;
  if (value === 'unchanged' || value === 'true') return 'client';
  throw new Fatal(`error: Invalid dry-run value (${value}). Must be "none", "server", or "client".`);
}

const marks = (run: string): string => (run === '' ? '' : run === 'client' ? ' (dry run)' : ' (server dry run)');

/** "…/pods?fieldValidation=Strict&dryRun=All" */
function query(flags: Flags, run: string): string {
  const validate = flags.text.get('validate') ?? 'strict';
  const level = ['false', 'ignore'].includes(validate) ? 'Ignore' : validate === 'warn' ? 'Warn' : 'Strict';
  return `?fieldManager=kubectl&fieldValidation=${level}${run === 'server' ? '&dryRun=All' : ''}`;
}

/** After a failure that names fields: where they stand in the file. */
function located(text: string, item: Item | null): string {
  if (!item) return text;
  const fields = [...text.matchAll(/unknown field "([^"]+)"/g)].map((m) => m[1]!);
  for (const m of text.matchAll(/Go struct field \w+\.([\w.]+)/g)) fields.push(m[1]!);
  const lines = fields.flatMap((f) => {
    const line = item.lineOf(f);
    return line === null ? [] : [`(${item.source}, line ${line}: ${f})`];
  });
  return [text, ...new Set(lines)].join('\n');
}

/** Prints what a command made: in the asked format, or "deployment.apps/web created". */
function* announce(flags: Flags, kind: Kind, object: KubeObject, verb: string, run: string): Call<void> {
  const format = flags.text.get('output') ?? '';
  if (format === '') yield* out(`${display(kind, object.metadata.name)} ${verb}${marks(run)}\n`);
  else yield* printAs(format, [{ ...object, apiVersion: object.apiVersion, kind: kind.kind }], true);
}

function* make(client: Client, flags: Flags, kind: Kind, namespace: string | undefined, object: Json, verb: string, item: Item | null, doing: string): Call<boolean> {
  const run = dryRun(flags);
  let made = object;
  if (run !== 'client') {
    const body = on(flags, 'save-config') ? annotated(object) : object;
    const reply = yield* call(client, 'POST', `${pathOf(kind, namespace)}${query(flags, run)}`, body);
    if (failed(reply)) {
      yield* err(`${located(failureText(reply.body, doing), item)}\n`);
      return false;
    }
    made = reply.body;
  } else if (flags.text.has('namespace') && kind.namespaced) made = { ...object, metadata: { ...object.metadata, namespace } };
  yield* announce(flags, kind, made, verb, run);
  return true;
}

// ---- create

export const CREATE_FLAGS =
  'f/filename=* R/recursive o/output= dry-run=?unchanged image=* r/replicas= port= save-config validate=?strict from-literal=* from-file=* from-env-file=* tcp=* clusterip= node-port= external-name= field-manager= show-managed-fields raw= k/kustomize= allow-missing-template-keys docker-server= docker-username= docker-password= docker-email= type= value= global-default description= preemption-policy=';

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
  const kind = findKind(object.apiVersion, object.kind)!;
  const done = yield* make(client, flags, kind, kind.namespaced ? client.namespace : undefined, object, 'created', null, `failed to create ${kind.kind.toLowerCase()}`);
  return done ? 0 : 1;
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

function* required(flags: Flags, name: string): Call<void> {
  if (!flags.text.has(name)) throw new Fatal((yield* klog('E', 'run.go:72', `"command failed" err="required flag(s) \\"${name}\\" not set"`)).trimEnd());
}

function whole(flags: Flags, name: string): number | undefined {
  const text = flags.text.get(name);
  if (text === undefined) return undefined;
  if (!/^-?\d+$/.test(text)) throw new Fatal(`Error: invalid argument "${text}" for "--${name}" flag: strconv.ParseInt: parsing "${text}": invalid syntax\nSee 'kubectl --help' for usage.`);
  return Number(text);
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

const BUILDERS: Record<string, Builder> = {
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

// ---- run, expose

export const RUN_FLAGS =
  'image= restart= env=* port= l/labels= command dry-run=?unchanged o/output= i/stdin t/tty rm expose image-pull-policy= overrides= annotations=* q/quiet attach leave-stdin-open privileged save-config validate=?strict';

export function* run(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'image');
  if (flags.args.length === 0) throw new Fatal("error: NAME is required for run\nSee 'kubectl run -h' for help and examples");
  if (on(flags, 'rm') || on(flags, 'stdin') || on(flags, 'tty')) throw new Fatal('error: not modelled: attaching to a pod (-i, -t, --rm); run it, then use kubectl logs and kubectl exec');
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
  const pod = {
    apiVersion: 'v1', kind: 'Pod', metadata: { creationTimestamp: null, labels: Object.keys(labels).length > 0 ? labels : { run: name }, name },
    spec: {
      containers: [{
        ...(args.length > 0 ? (on(flags, 'command') ? { command: args } : { args }) : {}), ...(env.length > 0 ? { env } : {}), image: flags.text.get('image'),
        ...(flags.text.has('image-pull-policy') ? { imagePullPolicy: flags.text.get('image-pull-policy') } : {}), name, ...(port === undefined ? {} : { ports: [{ containerPort: port }] }), resources: {},
      }],
      dnsPolicy: 'ClusterFirst', restartPolicy: restart,
    },
    status: {},
  };
  let status = (yield* make(client, flags, kindNamed('Pod'), client.namespace, pod, 'created', null, '')) ? 0 : 1;
  if (on(flags, 'expose')) {
    if (port === undefined) throw new Fatal('error: --port must be set when exposing a service');
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, name }, spec: { ports: [{ port, protocol: 'TCP', targetPort: port }], selector: pod.metadata.labels }, status: { loadBalancer: {} } };
    if (!(yield* make(client, flags, kindNamed('Service'), client.namespace, service, 'created', null, ''))) status = 1;
  }
  return status;
}

export const EXPOSE_FLAGS = 'port= target-port= name= type= protocol= selector= l/labels= dry-run=?unchanged o/output= cluster-ip= external-ip= session-affinity= f/filename=* validate=?strict save-config';
const NEED_RESOURCE = "error: You must provide one or more resources by argument or filename.\nExample resource specifications include:\n   '-f rsrc.yaml'\n   '--filename=rsrc.json'\n   '<resource> <name>'\n   '<resource>'";

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

// ---- apply, replace, diff

export const APPLY_FLAGS =
  'f/filename=* R/recursive k/kustomize= dry-run=?unchanged o/output= validate=?strict server-side force-conflicts force prune all l/selector= overwrite=?true field-manager= wait grace-period= timeout= show-managed-fields save-config';

export function* apply(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  checkFormat(flags.text.get('output') ?? '');
  if (!files) {
    if (flags.args.length > 0) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl apply -h' for help and examples`);
    throw new Fatal(NEED_FILE);
  }
  const problems: string[] = [];
  let status = 0;
  for (const m of yield* manifests(client, files, problems)) if (!(yield* applyOne(client, flags, m))) status = 1;
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : status;
}

function* applyOne(client: Client, flags: Flags, m: Manifest): Call<boolean> {
  const run = dryRun(flags);
  const { kind, name, namespace, item } = m;
  const path = pathOf(kind, namespace, name);
  if (name === '') {
    yield* err(`error: error when retrieving current configuration of:\nResource: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Resource=${kind.plural}", GroupVersionKind: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Kind=${kind.kind}"\nName: "", Namespace: "${namespace ?? ''}"\nfrom server for: "${item.source}": resource name may not be empty\n`);
    return false;
  }
  const object = { ...m.object, metadata: { ...m.object.metadata, ...(namespace ? { namespace } : {}) } };
  if (on(flags, 'server-side')) {
    const reply = yield* call(client, 'PATCH', `${path}${query(flags, run)}`, object, 'apply');
    if (failed(reply)) {
      yield* err(`${located(failureText(reply.body), item)}\n`);
      return false;
    }
    yield* announce(flags, kind, reply.body, 'serverside-applied', run);
    return true;
  }
  const reply = yield* call(client, 'GET', path);
  if (reply.status === 404) return yield* make(client, flags, kind, namespace, annotated(object), 'created', item, `error when creating "${item.source}"`);
  if (failed(reply)) {
    yield* err(`${failureText(reply.body)}\n`);
    return false;
  }
  const live = reply.body as KubeObject;
  const before = lastApplied(live);
  if (before === null) {
    yield* err(`Warning: resource ${kind.plural}/${name} is missing the ${LAST_APPLIED} annotation which is required by kubectl apply. kubectl apply should only be used on resources created declaratively by either kubectl create --save-config or kubectl apply. The missing annotation will be patched automatically.\n`);
  }
  const patch = threeWay(before ?? {}, annotated(object), live);
  if (Object.keys(patch).length === 0) {
    yield* announce(flags, kind, live, 'unchanged', run);
    return true;
  }
  if (run === 'client') {
    yield* announce(flags, kind, live, 'configured', run);
    return true;
  }
  const answer = yield* call(client, 'PATCH', `${path}${query(flags, run)}`, patch, 'strategic');
  if (failed(answer)) {
    const wrapped = answer.body?.reason === 'Invalid' ? failureText(answer.body) : failureText(answer.body, `error when applying patch:\n${JSON.stringify(patch)}\nto:\nResource: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Resource=${kind.plural}", GroupVersionKind: "${kind.group ? `${kind.group}/` : '/'}${kind.version}, Kind=${kind.kind}"\nName: "${name}", Namespace: "${namespace ?? ''}"\nfor: "${item.source}": error when patching "${item.source}"`);
    yield* err(`${located(wrapped, item)}\n`);
    return false;
  }
  yield* announce(flags, kind, answer.body, 'configured', run);
  return true;
}

export function* diff(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (!files) throw new Fatal(NEED_FILE);
  let differs = 0;
  for (const m of yield* manifests(client, files)) {
    const live = yield* fetch(client, m.kind, m.name, m.namespace ?? client.namespace);
    const wanted = annotated({ ...m.object, metadata: { ...m.object.metadata, ...(m.namespace ? { namespace: m.namespace } : {}) } });
    const patch = typeof live === 'string' ? wanted : threeWay(lastApplied(live) ?? {}, wanted, live);
    delete patch.metadata?.annotations?.[LAST_APPLIED];
    const lines = changes(patch, typeof live === 'string' ? {} : live, '');
    if (lines.length === 0) continue;
    differs = 1;
    yield* out(`diff -u -N LIVE/${m.kind.group || ''}${m.kind.group ? '.' : ''}${m.kind.version}.${m.kind.kind}.${m.namespace ?? ''}.${m.name} MERGED\n${lines.join('\n')}\n`);
  }
  return differs;
}

/** What a patch would change, a line a field. Thin: not a unified diff of the YAML. */
function changes(patch: Json, live: Json, path: string): string[] {
  return Object.entries(patch as Record<string, Json>).flatMap(([key, value]) => {
    const at = path === '' ? key : `${path}.${key}`;
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) return changes(value, live?.[key] ?? {}, at);
    const old = live?.[key];
    return [...(old === undefined ? [] : [`-${at}: ${JSON.stringify(old)}`]), ...(value === null ? [] : [`+${at}: ${JSON.stringify(value)}`])];
  });
}

export const REPLACE_FLAGS = 'f/filename=* force o/output= dry-run=?unchanged validate=?strict save-config grace-period= k/kustomize= R/recursive';

export function* replace(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (!files) throw new Fatal(NEED_FILE);
  const problems: string[] = [];
  let status = 0;
  const run = dryRun(flags);
  for (const m of yield* manifests(client, files, problems)) {
    const reply = yield* call(client, 'PUT', `${pathOf(m.kind, m.namespace, m.name)}${query(flags, run)}`, m.object);
    if (failed(reply)) {
      status = 1;
      const doing = reply.body?.reason === 'Invalid' ? '' : `error when replacing "${m.item.source}"`;
      yield* err(`${located(failureText(reply.body, doing), m.item)}\n`);
    } else yield* announce(flags, m.kind, reply.body, 'replaced', run);
  }
  for (const p of problems) yield* err(`${p}\n`);
  return problems.length > 0 ? 1 : status;
}

// ---- delete

export const DELETE_FLAGS = 'f/filename=* l/selector= all A/all-namespaces force now grace-period= wait=?true timeout= ignore-not-found cascade=?background dry-run=?unchanged o/output= field-selector= R/recursive k/kustomize= i/interactive';

export function* remove(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  const selector = flags.text.get('selector');
  const fields = flags.text.get('field-selector');
  const run = dryRun(flags);
  const gone: { kind: Kind; name: string; namespace: string | undefined; uid: string }[] = [];
  const wanted: { kind: Kind; name: string; namespace: string | undefined; source: string }[] = [];
  if (files) {
    for (const m of yield* manifests(client, files)) wanted.push({ kind: m.kind, name: m.name, namespace: m.namespace, source: m.item.source });
  } else {
    for (const t of yield* targets(client, flags.args)) {
      const namespace = t.kind.namespaced ? client.namespace : undefined;
      if (t.name !== null) {
        wanted.push({ kind: t.kind, name: t.name, namespace, source: '' });
        continue;
      }
      if (selector === undefined && fields === undefined && !on(flags, 'all')) throw new Fatal('error: resource(s) were provided, but no name, label selector, or --all flag specified');
      const { items } = yield* listKind(client, t.kind, on(flags, 'all-namespaces') ? undefined : namespace, { labelSelector: selector, fieldSelector: fields });
      for (const o of items) wanted.push({ kind: t.kind, name: o.metadata.name, namespace: o.metadata.namespace, source: '' });
    }
    if (wanted.length === 0) yield* out('No resources found\n');
  }
  const force = on(flags, 'force');
  const grace = flags.text.has('grace-period') ? whole(flags, 'grace-period')! : force ? 0 : on(flags, 'now') ? 1 : -1;
  if (force) yield* err('Warning: Immediate deletion does not wait for confirmation that the running resource has been terminated. The resource may continue to run on the cluster indefinitely.\n');
  else if (grace === 0) throw new Fatal('error: --force and --grace-period=0 must be used together: use --grace-period=1 or add --force');
  const cascade = { background: 'Background', orphan: 'Orphan', foreground: 'Background', true: 'Background', false: 'Orphan' }[flags.text.get('cascade') ?? 'background'] ?? 'Background';
  let status = 0;
  for (const w of wanted) {
    const body = { kind: 'DeleteOptions', apiVersion: 'v1', propagationPolicy: cascade, ...(grace >= 0 ? { gracePeriodSeconds: grace } : {}) };
    const before = yield* fetch(client, w.kind, w.name, w.namespace);
    const reply = run === 'client' && typeof before !== 'string' ? { status: 200, body: {} } : yield* call(client, 'DELETE', `${pathOf(w.kind, w.namespace, w.name)}${run === 'server' ? '?dryRun=All' : ''}`, body);
    if (failed(reply)) {
      if (reply.status === 404 && on(flags, 'ignore-not-found')) continue;
      yield* err(`${failureText(reply.body, w.source === '' ? '' : `error when deleting "${w.source}"`)}\n`);
      status = 1;
      continue;
    }
    const shown = flags.text.get('output') === 'name' ? `${display(w.kind, w.name)}` : `${w.kind.singular}${w.kind.group ? `.${w.kind.group}` : ''} "${w.name}" ${force ? 'force deleted' : 'deleted'}${marks(run)}`;
    yield* out(`${shown}\n`);
    if (typeof before !== 'string') gone.push({ kind: w.kind, name: w.name, namespace: w.namespace, uid: before.metadata.uid! });
  }
  if (flags.text.get('wait') !== 'false' && run === '' && !force) for (const g of gone) yield* waitGone(client, g);
  return status;
}

function* waitGone(client: Client, g: { kind: Kind; name: string; namespace: string | undefined; uid: string }): Call<void> {
  for (;;) {
    const there = yield* fetch(client, g.kind, g.name, g.namespace);
    if (typeof there === 'string' || there.metadata.uid !== g.uid) return;
    yield* sys('nanosleep', 200_000_000);
  }
}

// ---- patch, scale, label, annotate

export const PATCH_FLAGS = 'p/patch= patch-file= type= o/output= dry-run=?unchanged subresource= f/filename=* local';

export function* patch(client: Client, flags: Flags): Call<number> {
  const file = flags.text.get('patch-file');
  const given = flags.text.get('patch') ?? (file === undefined ? undefined : yield* readPath(file));
  if (!given) throw new Fatal('error: must specify --patch or --patch-file containing the contents of the patch');
  const [t] = yield* targets(client, flags.args);
  if (!t || t.name === null) throw new Fatal('error: resource(s) were provided, but no name was specified');
  let body: Json;
  try {
    body = readManifest(given.trim().startsWith('[') ? `x: ${given}` : given, 'patch')[0]?.object;
  } catch (error) {
    if (!(error instanceof ManifestError)) throw error;
    if (/cannot unmarshal/.test(error.message)) body = given;
    else throw new Fatal(`error: unable to parse "${given}": ${error.message.replace(/^.*?yaml: /, 'yaml: ')}`);
  }
  if (given.trim().startsWith('[')) body = body.x;
  const type = flags.text.get('type') ?? 'strategic';
  if (!['json', 'merge', 'strategic'].includes(type)) throw new Fatal(`error: --type must be one of [json merge strategic], not ${JSON.stringify(type)}`);
  const run = dryRun(flags);
  const before = yield* mustFetch(client, t.kind, t.name);
  const reply = yield* call(client, 'PATCH', `${pathOf(t.kind, t.kind.namespaced ? client.namespace : undefined, t.name, flags.text.get('subresource'))}${query(flags, run)}`, typeof body === 'string' ? JSON.stringify(body) : body, type);
  if (failed(reply)) throw new Fatal(failureText(reply.body));
  const changed = reply.body.metadata.resourceVersion !== before.metadata.resourceVersion;
  yield* announce(flags, t.kind, reply.body, changed ? 'patched' : 'patched (no change)', run);
  return 0;
}

export const SCALE_FLAGS = 'replicas= current-replicas= resource-version= timeout= l/selector= all f/filename=* o/output= dry-run=?unchanged';

export function* scale(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'replicas');
  const replicas = whole(flags, 'replicas')!;
  if (replicas < 0) throw new Fatal('error: The --replicas=COUNT flag is required, and COUNT must be greater than or equal to 0');
  const files = flags.many.get('filename');
  const wanted = files ? (yield* manifests(client, files)).map((m): Target => ({ kind: m.kind, name: m.name })) : flags.args.length === 0 ? [] : yield* targets(client, flags.args);
  if (wanted.length === 0) throw new Fatal(NEED_RESOURCE);
  const run = dryRun(flags);
  let status = 0;
  const all: Target[] = [];
  for (const t of wanted) {
    if (t.name !== null) all.push(t);
    else for (const o of (yield* listKind(client, t.kind, client.namespace, { labelSelector: flags.text.get('selector') })).items) all.push({ kind: t.kind, name: o.metadata.name });
  }
  if (all.length === 0) throw new Fatal('error: no objects passed to scale');
  for (const t of all) {
    const current = whole(flags, 'current-replicas');
    const there = yield* fetch(client, t.kind, t.name!);
    if (typeof there === 'string') {
      yield* err(`${there}\n`);
      status = 1;
      continue;
    }
    if (!['Deployment', 'ReplicaSet'].includes(t.kind.kind)) throw new Fatal('Error from server (NotFound): the server could not find the requested resource');
    if (current !== undefined && there.spec.replicas !== current) {
      yield* err(`error: Expected replicas to be ${current}, was ${there.spec.replicas}\n`);
      status = 1;
      continue;
    }
    if (run !== 'client') yield* ask(client, 'PATCH', `${pathOf(t.kind, client.namespace, t.name!, 'scale')}${query(flags, run)}`, { spec: { replicas } }, 'merge');
    yield* out(`${display(t.kind, t.name!)} scaled${marks(run)}\n`);
  }
  return status;
}

export const LABEL_FLAGS = 'overwrite l/selector= all A/all-namespaces list resource-version= o/output= dry-run=?unchanged f/filename=* field-selector= local';

/** label and annotate are one thing on two fields. */
export function* mark(client: Client, flags: Flags, field: 'labels' | 'annotations'): Call<number> {
  const word = field === 'labels' ? 'label' : 'annotation';
  const done = field === 'labels' ? 'labeled' : 'annotated';
  const isChange = (a: string): boolean => /^[^=]+=/.test(a) || /^[^=]+-$/.test(a);
  const first = flags.args.findIndex((a, i) => i > 0 && isChange(a));
  const resources = first < 0 ? flags.args : flags.args.slice(0, first);
  const edits = first < 0 ? [] : flags.args.slice(first);
  if (resources.length === 0) throw new Fatal(field === 'labels' ? 'error: at least one label update is required' : 'error: at least one annotation update is required');
  if (edits.length === 0 && !on(flags, 'list')) throw new Fatal(`error: at least one ${word} update is required`);
  const set: Record<string, string | null> = {};
  for (const e of edits) {
    if (!e.includes('=')) set[e.slice(0, -1)] = null;
    else set[e.slice(0, e.indexOf('='))] = e.slice(e.indexOf('=') + 1);
  }
  const run = dryRun(flags);
  const all: { kind: Kind; object: KubeObject }[] = [];
  const wanted = yield* targets(client, resources);
  for (const t of wanted) {
    if (t.name !== null) all.push({ kind: t.kind, object: yield* mustFetch(client, t.kind, t.name) });
    else if (on(flags, 'all') || flags.text.has('selector')) {
      for (const object of (yield* listKind(client, t.kind, t.kind.namespaced ? client.namespace : undefined, { labelSelector: flags.text.get('selector') })).items) all.push({ kind: t.kind, object });
    } else throw new Fatal('error: resource(s) were provided, but no name was specified');
  }
  let status = 0;
  for (const { kind, object } of all) {
    const have = object.metadata[field] ?? {};
    const clash = Object.entries(set).find(([k, v]) => v !== null && have[k] !== undefined && have[k] !== v);
    if (clash && !on(flags, 'overwrite')) {
      yield* err(field === 'labels' ? `error: '${clash[0]}' already has a value (${have[clash[0]]}), and --overwrite is false\n` : `error: --overwrite is false but found the following declared annotation(s): '${clash[0]}' already has a value (${have[clash[0]]})\n`);
      status = 1;
      continue;
    }
    if (on(flags, 'list')) {
      for (const k of Object.keys(have).sort()) yield* out(`${k}=${have[k]}\n`);
      continue;
    }
    for (const [k, v] of Object.entries(set)) if (v === null && have[k] === undefined) yield* out(`${word} "${k}" not found.\n`);
    const changes = Object.entries(set).some(([k, v]) => (v === null ? have[k] !== undefined : have[k] !== v));
    const removesOnly = Object.values(set).every((v) => v === null);
    if (run !== 'client' && changes) {
      yield* ask(client, 'PATCH', `${pathOf(kind, object.metadata.namespace, object.metadata.name)}${query(flags, run)}`, { metadata: { [field]: set } }, 'merge');
    }
    const verb = field === 'labels' ? (!changes ? 'not labeled' : removesOnly ? 'unlabeled' : done) : done;
    if (flags.text.has('output')) yield* printAs(flags.text.get('output')!, [yield* mustFetch(client, kind, object.metadata.name, object.metadata.namespace)], true);
    else yield* out(`${display(kind, object.metadata.name)} ${verb}${marks(run)}\n`);
  }
  return status;
}

export { dryRun, marks, query, whole };
