/** What `kubectl create` makes of flags: workloads, services, configuration, budgets, quotas. Source: kubectl pkg/cmd/create 1.32. */
import type { Json } from '../../../cluster/types/objects.ts';
import { SysError } from '../../../kernel/abi.ts';
import { bytes, text, toBase64 } from '../../../sim/text.ts';
import { list, readBytes, statOf, isDir } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, Fatal, readPath } from './client.ts';
import { type Flags, on } from './flags.ts';
import { required, whole } from './write.ts';

/** An object from flags and what stands after the kind. `from` in a Job: the CronJob to copy. */
export type Builder = (flags: Flags, args: readonly string[], client: Client) => Call<Json>;

export function nameOf(command: string, args: readonly string[]): string {
  if (args.length !== 1) throw new Fatal(`error: exactly one NAME is required, got ${args.length}\nSee 'kubectl create ${command} -h' for help and examples`);
  return args[0]!;
}

const meta = (name: string): Json => ({ creationTimestamp: null, name });

/** "registry/path/nginx:1.19" is container "nginx". */
export function containerName(image: string): string {
  return image.split('/').pop()!.split(':')[0]!.split('@')[0]!.replace(/[_.]/g, '-');
}

function* deployment(flags: Flags, args: readonly string[]): Call<Json> {
  yield* required(flags, 'image');
  const name = nameOf('deployment', args);
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

/** A key's bytes, as far as they are text; else base64 apart. */
interface Held { data: Record<string, string>; binary: Record<string, string> }

function put(held: Held, key: string, value: Uint8Array, kind: string, name: string): void {
  if (!/^[-._a-zA-Z0-9]+$/.test(key)) {
    throw new Fatal(`error: "${key}" is not a valid key name for a ${kind}: a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')`);
  }
  if (Object.hasOwn(held.data, key) || Object.hasOwn(held.binary, key)) throw new Fatal(`error: cannot add key "${key}", another key by that name already exists in Data for ${kind} "${name}"`);
  const decoded = text(value);
  if (toBase64(bytes(decoded)) === toBase64(value)) held.data[key] = decoded;
  else held.binary[key] = toBase64(value);
}

function* fileOf(path: string): Call<Uint8Array> {
  try {
    return yield* readBytes(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`error: error reading ${path}: ${error.message.toLowerCase()}`);
  }
}

/** --from-literal, --from-file (a file or a folder's files), --from-env-file. */
function* gathered(flags: Flags, kind: string, name: string): Call<Held> {
  const held: Held = { data: {}, binary: {} };
  const envs = flags.many.get('from-env-file') ?? [];
  if (envs.length > 0 && (flags.many.has('from-file') || flags.many.has('from-literal'))) throw new Fatal('error: from-env-file cannot be combined with from-file or from-literal');
  for (const source of flags.many.get('from-file') ?? []) {
    const [key, path] = source.includes('=') ? [source.slice(0, source.indexOf('=')), source.slice(source.indexOf('=') + 1)] : ['', source];
    if (source.includes('=') && (key === '' || path === '')) throw new Fatal(key === '' ? `error: key name for file path ${path} missing` : `error: file path for key name ${key} missing`);
    if (/=.*=/.test(source)) throw new Fatal('error: key names or file paths cannot contain \'=\'');
    const stat = yield* statOf(path);
    if (stat && isDir(stat)) {
      if (key !== '') throw new Fatal('error: cannot give a key name for a directory path');
      const names = (yield* list(path)).filter((e) => e.type === 'file' && /^[-._a-zA-Z0-9]+$/.test(e.name)).map((e) => e.name).sort();
      for (const one of names) put(held, one, yield* fileOf(`${path.replace(/\/$/, '')}/${one}`), kind, name);
    } else put(held, key || path.split('/').pop()!, yield* fileOf(path), kind, name);
  }
  for (const source of flags.many.get('from-literal') ?? []) {
    const at = source.indexOf('=');
    if (at <= 0) throw new Fatal(`error: invalid literal source ${source}, expected key=value`);
    put(held, source.slice(0, at), bytes(source.slice(at + 1).replace(/^(['"])(.*)\1$/s, '$2')), kind, name);
  }
  for (const path of envs) {
    for (const line of text(yield* fileOf(path)).split(/\r?\n/)) {
      const trimmed = line.trimStart();
      if (trimmed === '' || trimmed.startsWith('#')) continue;
      const at = trimmed.indexOf('=');
      const key = at < 0 ? trimmed : trimmed.slice(0, at);
      put(held, key, bytes(at < 0 ? '' : trimmed.slice(at + 1)), kind, name);
    }
  }
  return held;
}

const encoded = (held: Held): Record<string, string> => ({ ...Object.fromEntries(Object.entries(held.data).map(([k, v]) => [k, toBase64(bytes(v))])), ...held.binary });
const some = (field: string, map: Json): Json => (Object.keys(map).length > 0 ? { [field]: map } : {});

const SECRETS: Record<string, (flags: Flags, name: string) => Call<Json>> = {
  *generic(flags, name) {
    const data = encoded(yield* gathered(flags, 'Secret', name));
    const type = flags.text.get('type');
    return { apiVersion: 'v1', ...some('data', data), kind: 'Secret', metadata: meta(name), ...(type ? { type } : {}) };
  },
  *tls(flags, name) {
    const [cert, key] = [flags.text.get('cert'), flags.text.get('key')];
    if (!cert || !key) throw new Fatal('error: key and cert must be specified');
    const read = function* (path: string): Call<string> {
      try {
        return yield* readPath(path);
      } catch (error) {
        if (error instanceof SysError) throw new Fatal(`error: open ${path}: ${error.message.toLowerCase()}`);
        throw error;
      }
    };
    const [crt, secret] = [yield* read(cert), yield* read(key)];
    if (!/-----BEGIN CERTIFICATE-----[^-]+-----END/.test(crt)) throw new Fatal('error: tls: failed to find any PEM data in certificate input');
    if (!/-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]+-----END/.test(secret)) throw new Fatal('error: tls: failed to find any PEM data in key input');
    return { apiVersion: 'v1', data: { 'tls.crt': toBase64(bytes(crt)), 'tls.key': toBase64(bytes(secret)) }, kind: 'Secret', metadata: meta(name), type: 'kubernetes.io/tls' };
  },
  *'docker-registry'(flags, name) {
    const get = (n: string): string => flags.text.get(n) ?? '';
    const server = get('docker-server') || 'https://index.docker.io/v1/';
    const type = 'kubernetes.io/dockerconfigjson';
    if (flags.many.has('from-file')) {
      const held = yield* gathered(flags, 'Secret', name);
      return { apiVersion: 'v1', data: encoded(held), kind: 'Secret', metadata: meta(name), type };
    }
    if (!get('docker-username') || !get('docker-password')) throw new Fatal('error: either --from-file or the combination of --docker-username, --docker-password and --docker-server is required');
    const auth = {
      username: get('docker-username'), password: get('docker-password'), ...(get('docker-email') ? { email: get('docker-email') } : {}),
      auth: toBase64(bytes(`${get('docker-username')}:${get('docker-password')}`)),
    };
    return { apiVersion: 'v1', data: { '.dockerconfigjson': toBase64(bytes(JSON.stringify({ auths: { [server]: auth } }))) }, kind: 'Secret', metadata: meta(name), type };
  },
};

const SERVICES: Readonly<Record<string, string>> = { clusterip: 'ClusterIP', nodeport: 'NodePort', loadbalancer: 'LoadBalancer', externalname: 'ExternalName' };

function* service(flags: Flags, args: readonly string[]): Call<Json> {
  const [type = '', ...rest] = args;
  if (type === 'externalname') yield* required(flags, 'external-name');
  const name = nameOf(`service ${type}`, rest);
  const given = flags.many.get('tcp') ?? [];
  const ip = flags.text.get('clusterip');
  if (ip === 'None' && given.length > 0) throw new Fatal('error: can not map ports with clusterip=None');
  if (given.length === 0 && ip !== 'None' && type !== 'externalname') throw new Fatal('error: at least one tcp port specifier must be provided');
  const nodePort = whole(flags, 'node-port');
  const ports = given.flatMap((one) => one.split(',')).map((one) => {
    const [port = '', target = port] = one.split(':');
    if (!/^\d+$/.test(port)) throw new Fatal(`error: strconv.ParseUint: parsing "${port}": invalid syntax`);
    if (Number(port) > 65535) throw new Fatal(`error: strconv.ParseUint: parsing "${port}": value out of range`);
    return { name: one.replace(':', '-'), ...(nodePort ? { nodePort } : {}), port: Number(port), protocol: 'TCP', targetPort: /^\d+$/.test(target) ? Number(target) : target };
  });
  const external = flags.text.get('external-name');
  return {
    apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, labels: { app: name }, name },
    spec: { ...(ip ? { clusterIP: ip } : {}), ...(external ? { externalName: external } : {}), ...(ports.length > 0 ? { ports } : {}), selector: { app: name }, type: SERVICES[type] },
    status: { loadBalancer: {} },
  };
}

/** The one container of a job made by hand. */
const oneShot = (flags: Flags, name: string, restartPolicy: string): Json => ({
  template: {
    metadata: { creationTimestamp: null },
    spec: { containers: [{ ...(flags.rest?.length ? { command: flags.rest } : {}), image: flags.many.get('image')?.[0] ?? flags.text.get('image'), name, resources: {} }], restartPolicy },
  },
});

function* budget(flags: Flags, args: readonly string[]): Call<Json> {
  const name = nameOf('poddisruptionbudget', args);
  const selector = flags.text.get('selector') ?? '';
  const [least, most] = [flags.text.get('min-available'), flags.text.get('max-unavailable')];
  if (selector === '') throw new Fatal('error: a selector must be specified');
  if (!least && !most) throw new Fatal('error: one of min-available or max-unavailable must be specified');
  if (least && most) throw new Fatal('error: min-available and max-unavailable cannot be both specified');
  const amount = (flag: string, value: string): Json => {
    if (!/^[0-9]+%?$/.test(value)) throw new Fatal(`error: invalid format specified for ${flag}`);
    return value.endsWith('%') ? value : Number(value);
  };
  return {
    apiVersion: 'policy/v1', kind: 'PodDisruptionBudget', metadata: meta(name),
    spec: { ...(most ? { maxUnavailable: amount('max-unavailable', most) } : {}), ...(least ? { minAvailable: amount('min-available', least) } : {}), selector: { matchLabels: pairsOf(selector) } },
    status: { currentHealthy: 0, desiredHealthy: 0, disruptionsAllowed: 0, expectedPods: 0 },
  };
}

/** "a=b,c=d" to a map. */
export function pairsOf(source: string): Record<string, string> {
  return Object.fromEntries(source.split(',').filter((p) => p !== '').map((p) => {
    if (!p.includes('=')) throw new Fatal(`error: unexpected label spec: ${p}`);
    return [p.slice(0, p.indexOf('=')).replace(/=$/, ''), p.slice(p.indexOf('=') + 1).replace(/^=/, '')];
  }));
}

const RULE = /^([\w*\-.]*)(\/.*)=([\w-]+):([\w-]+)(?:,(tls)=?([\w-]+)?)?$/;
const backend = (name: string, port: string): Json => ({ service: { name, port: /^\d+$/.test(port) ? { number: Number(port) } : { name: port } } });

function* ingress(flags: Flags, args: readonly string[]): Call<Json> {
  const name = nameOf('ingress', args);
  const rules = flags.many.get('rule') ?? [];
  const fallback = flags.text.get('default-backend');
  if (rules.length === 0 && !fallback) throw new Fatal('error: not enough information provided: every ingress has to either specify a default-backend (which catches all traffic) or a list of rules (which catch specific paths)');
  const hosts = new Map<string, Json[]>();
  const tls: { hosts?: string[]; secretName?: string }[] = [];
  for (const rule of rules) {
    const m = RULE.exec(rule);
    if (!m) throw new Fatal(`error: rule ${rule} is invalid and should be in format host/path=svcname:svcport[,tls[=secret]]`);
    const [, host = '', path = '', svc = '', port = '', secured, secret] = m;
    const prefix = path.endsWith('*');
    hosts.set(host, [...(hosts.get(host) ?? []), { backend: backend(svc, port), path: prefix ? path.slice(0, -1) : path, pathType: prefix ? 'Prefix' : 'Exact' }]);
    if (!secured) continue;
    const same = tls.find((t) => t.secretName === secret);
    if (same) same.hosts = [...new Set([...(same.hosts ?? []), host])];
    else tls.push({ ...(host === '' ? {} : { hosts: [host] }), ...(secret ? { secretName: secret } : {}) });
  }
  const m = fallback === undefined ? null : /^([\w-]+):([\w-]+)$/.exec(fallback);
  if (fallback !== undefined && !m) throw new Fatal('error: default-backend should be in format servicename:serviceport');
  const notes = (flags.many.get('annotation') ?? []).map((a) => {
    if (!a.includes('=')) throw new Fatal(`error: annotation ${a} is invalid and should be in format key=[value]`);
    return [a.slice(0, a.indexOf('=')), a.slice(a.indexOf('=') + 1)];
  });
  return {
    apiVersion: 'networking.k8s.io/v1', kind: 'Ingress', metadata: { ...(notes.length > 0 ? { annotations: Object.fromEntries(notes) } : {}), ...meta(name) },
    spec: {
      ...(m ? { defaultBackend: backend(m[1]!, m[2]!) } : {}), ...(flags.text.get('class') ? { ingressClassName: flags.text.get('class') } : {}),
      ...(hosts.size > 0 ? { rules: [...hosts].map(([host, paths]) => ({ ...(host === '' ? {} : { host }), http: { paths } })) } : {}), ...(tls.length > 0 ? { tls } : {}),
    },
    status: { loadBalancer: {} },
  };
}

export const BUILDERS: Record<string, Builder> = {
  deployment, service, ingress, poddisruptionbudget: budget,
  *job(flags, args) {
    const name = nameOf('job', args);
    const from = flags.text.get('from');
    const image = flags.many.get('image')?.[0];
    if ((from === undefined) === (image === undefined)) throw new Fatal('error: either --image or --from must be specified');
    if (from !== undefined && flags.rest?.length) throw new Fatal('error: cannot specify --from and command');
    return { apiVersion: 'batch/v1', kind: 'Job', metadata: meta(name), spec: from === undefined ? oneShot(flags, name, 'Never') : {}, status: {}, ...(from === undefined ? {} : { from }) };
  },
  *cronjob(flags, args) {
    yield* required(flags, 'image', 'schedule');
    const name = nameOf('cronjob', args);
    return {
      apiVersion: 'batch/v1', kind: 'CronJob', metadata: meta(name),
      spec: { jobTemplate: { metadata: meta(name), spec: oneShot(flags, name, flags.text.get('restart') ?? 'OnFailure') }, schedule: flags.text.get('schedule') }, status: {},
    };
  },
  *namespace(_flags, args) {
    return { apiVersion: 'v1', kind: 'Namespace', metadata: meta(nameOf('namespace', args)), spec: {}, status: {} };
  },
  *configmap(flags, args) {
    const name = nameOf('configmap', args);
    const held = yield* gathered(flags, 'ConfigMap', name);
    return { apiVersion: 'v1', ...some('binaryData', held.binary), ...some('data', held.data), kind: 'ConfigMap', metadata: meta(name) };
  },
  *serviceaccount(_flags, args) {
    return { apiVersion: 'v1', kind: 'ServiceAccount', metadata: meta(nameOf('serviceaccount', args)) };
  },
  *secret(flags, args) {
    const [type = '', ...rest] = args;
    return yield* SECRETS[type]!(flags, nameOf(`secret ${type}`, rest));
  },
  *priorityclass(flags, args) {
    const description = flags.text.get('description');
    return {
      apiVersion: 'scheduling.k8s.io/v1', ...(description ? { description } : {}), ...(on(flags, 'global-default') ? { globalDefault: true } : {}), kind: 'PriorityClass', metadata: meta(nameOf('priorityclass', args)),
      preemptionPolicy: flags.text.get('preemption-policy') ?? 'PreemptLowerPriority', value: whole(flags, 'value') ?? 0,
    };
  },
  *quota(flags, args) {
    const name = nameOf('quota', args);
    const hard = (flags.text.get('hard') ?? '').split(',').filter((p) => p !== '').map((p) => {
      if (!/^[^=]+=[^=]+$/.test(p)) throw new Fatal(`error: invalid argument syntax ${p}, expected <resource>=<value>`);
      return p.split('=') as [string, string];
    });
    const scopes = (flags.text.get('scopes') ?? '').split(',').filter((s) => s !== '');
    return { apiVersion: 'v1', kind: 'ResourceQuota', metadata: meta(name), spec: { ...some('hard', Object.fromEntries(hard)), ...(scopes.length > 0 ? { scopes } : {}) }, status: {} };
  },
};
