/**
 * A pod's volumes on its node: emptyDir, hostPath, ConfigMap, Secret, downward API, projected; made before the sandbox, written
 * again when what they show has changed. Source: pkg/volume/*, kubelet_pods.go makeMounts 1.32.
 */
import type { Container, Json, Pod } from '../../../cluster/types/objects.ts';
import { wholeOf } from '../../../cluster/types/quantity.ts';
import { AT_FDCWD, MNT_DETACH, S_IFDIR, S_IFMT, S_IFREG, S_IFSOCK } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, toBase64 } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import { attempt, isDir, list, mkdirAll, statOf, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { type Payload, writeAtomically } from './atomic.ts';
import { dataOf, downward, expand, resourceField } from './environment.ts';
import { monotonic, rootOf, type Work } from './work.ts';

/** Between two looks at ConfigMaps and Secrets: the kubelet's sync frequency. */
const REFRESH = 60 * SECOND;

type Source = [kind: 'configMap' | 'secret' | 'downwardAPI' | 'projected' | 'emptyDir', plugin: string];
const SOURCES: readonly Source[] = [
  ['configMap', 'kubernetes.io~configmap'], ['secret', 'kubernetes.io~secret'], ['downwardAPI', 'kubernetes.io~downward-api'], ['projected', 'kubernetes.io~projected'], ['emptyDir', 'kubernetes.io~empty-dir'],
];

/** Where a volume lies on the node; null for one that the node does not make. */
export function volumePath(pod: Pod, v: Json): string | null {
  if (v.hostPath) return String(v.hostPath.path);
  const found = SOURCES.find(([kind]) => v[kind]);
  return found ? `${rootOf(pod)}/volumes/${found[1]}/${v.name}` : null;
}

const groupOf = (pod: Pod): number | null => pod.spec.securityContext?.fsGroup ?? null;

/** Makes every volume. Returns what is missing, in the kubelet's words. */
export function* setUpVolumes(w: Work): Call<string | null> {
  const { pod } = w.held;
  w.volumesAt = yield* monotonic();
  for (const v of pod.spec.volumes ?? []) {
    const wrong = yield* setUp(w, v);
    if (wrong) return `MountVolume.SetUp failed for volume "${v.name}" : ${wrong}`;
  }
  return null;
}

/** Writes again what has changed, once a minute; what is gone meanwhile stays as it was. */
export function* refreshVolumes(w: Work): Call<void> {
  const now = yield* monotonic();
  if (now - w.volumesAt < REFRESH) return;
  w.volumesAt = now;
  for (const v of w.held.pod.spec.volumes ?? []) if (v.configMap || v.secret || v.downwardAPI || v.projected) yield* setUp(w, v);
}

function* setUp(w: Work, v: Json): Call<string | null> {
  const { pod } = w.held;
  const at = volumePath(pod, v);
  if (at === null) return v.persistentVolumeClaim ? null : `not modelled: volumes of the kind ${Object.keys(v).find((field) => field !== 'name') ?? '?'}`;
  if (v.hostPath) return yield* checkHostPath(at, String(v.hostPath.type ?? ''));
  if (v.emptyDir) return yield* emptyDir(pod, at, v.emptyDir);
  const payload = yield* payloadOf(w, v);
  if (typeof payload === 'string') return payload;
  const saying = JSON.stringify([...payload.files]);
  if (w.volumesSeen.get(v.name) === saying) return null;
  yield* writeAtomically(at, payload);
  w.volumesSeen.set(v.name, saying);
  return null;
}

function* emptyDir(pod: Pod, at: string, source: Json): Call<null> {
  if (yield* statOf(at)) return null;
  yield* mkdirAll(at);
  if (source.medium === 'Memory') {
    const limit = wholeOf(source.sizeLimit);
    yield* attempt(sys('mount', 'tmpfs', at, 'tmpfs', 0, limit > 0 ? `size=${limit}` : ''), 0);
  }
  const gid = groupOf(pod);
  yield* sys('fchmodat', AT_FDCWD, at, gid === null ? 0o777 : 0o2777);
  if (gid !== null) yield* sys('fchownat', AT_FDCWD, at, 0, gid, 0);
  return null;
}

function* checkHostPath(at: string, type: string): Call<string | null> {
  const stat = yield* statOf(at);
  if (type === 'DirectoryOrCreate' && !stat) yield* mkdirAll(at);
  if (type === 'FileOrCreate' && !stat) yield* writeFile(at, '');
  const wanted: Record<string, [number, string]> = { Directory: [S_IFDIR, 'directory'], DirectoryOrCreate: [S_IFDIR, 'directory'], File: [S_IFREG, 'file'], FileOrCreate: [S_IFREG, 'file'], Socket: [S_IFSOCK, 'socket'] };
  const kind = wanted[type];
  if (!kind) return null;
  const now = yield* statOf(at);
  return now && (now.mode & S_IFMT) === kind[0] ? null : `hostPath type check failed: ${at} is not a ${kind[1]}`;
}

/** The files of a volume, or what is missing. */
function* payloadOf(w: Work, v: Json): Call<Payload | string> {
  const { pod } = w.held;
  const payload: Payload = { files: new Map(), gid: groupOf(pod) };
  const usual = (v.configMap ?? v.secret ?? v.downwardAPI ?? v.projected).defaultMode ?? 0o644;
  const sources: Json[] = v.projected ? (v.projected.sources ?? []) : [v];
  for (const s of sources) {
    const wrong = yield* addSource(w, s, usual, payload);
    if (wrong) return wrong;
  }
  return payload;
}

function* addSource(w: Work, s: Json, usual: number, into: Payload): Call<string | null> {
  const { pod } = w.held;
  const { namespace } = pod.metadata;
  const named = s.configMap ? (['configmaps', 'configmap', s.configMap.name, s.configMap] as const) : s.secret ? (['secrets', 'secret', s.secret.secretName ?? s.secret.name, s.secret] as const) : null;
  if (named) {
    const [plural, word, name, source] = named;
    const data = yield* dataOf(w, plural, name);
    if (!data) return source.optional ? null : `${word} "${name}" not found`;
    const items: Json[] = source.items ?? Object.keys(data).sort().map((key) => ({ key, path: key }));
    for (const item of items) {
      if (data[item.key] === undefined) {
        if (source.optional) continue;
        return `references non-existent ${word === 'secret' ? 'secret' : 'config'} key: ${item.key}`;
      }
      into.files.set(item.path, { data: data[item.key]!, mode: item.mode ?? usual });
    }
  }
  for (const item of s.downwardAPI?.items ?? []) {
    const value = item.fieldRef ? downward(w, item.fieldRef.fieldPath) : resourceField(w, null, item.resourceFieldRef);
    if (value === null) return `unsupported fieldPath: ${item.fieldRef?.fieldPath ?? item.resourceFieldRef?.resource}`;
    into.files.set(item.path, { data: value, mode: item.mode ?? usual });
  }
  if (s.serviceAccountToken) {
    const { path, audience, expirationSeconds } = s.serviceAccountToken;
    into.files.set(path, { data: yield* token(w, `${namespace}`, audience, expirationSeconds ?? 3600), mode: 0o644 });
  }
  if (s.clusterTrustBundle) return 'not modelled: cluster trust bundles';
  return null;
}

/** A service account's token: the claims of a real one; nobody signs it, for nobody here checks. Renewed at four fifths of its life. */
function* token(w: Work, namespace: string, audience: string | undefined, seconds: number): Call<string> {
  const { pod } = w.held;
  const now = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1e9);
  const issued = now - (now % Math.max(60, Math.floor(seconds * 0.8)));
  const url = (x: object): string => toBase64(bytes(JSON.stringify(x))).replace(/=+$/, '').replace(/\+/g, '-').replace(/\//g, '_');
  const account = pod.spec.serviceAccountName ?? 'default';
  const claims = {
    aud: [audience ?? 'https://kubernetes.default.svc.cluster.local'], exp: issued + seconds, iat: issued, iss: 'https://kubernetes.default.svc.cluster.local',
    'kubernetes.io': { namespace, node: { name: w.k.node }, pod: { name: pod.metadata.name, uid: pod.metadata.uid }, serviceaccount: { name: account } }, nbf: issued, sub: `system:serviceaccount:${namespace}:${account}`,
  };
  return `${url({ alg: 'none', typ: 'JWT' })}.${url(claims)}.`;
}

/** The mounts of a container; text when one cannot be. */
export function* mountsOf(w: Work, c: Container, env: readonly { key: string; value: string }[]): Call<Json[] | string> {
  const { pod } = w.held;
  const out: Json[] = [];
  for (const m of c.volumeMounts ?? []) {
    const v = (pod.spec.volumes ?? []).find((x) => x.name === m.name);
    const at = v ? (w.claims.get(v.name)?.path ?? volumePath(pod, v)) : null;
    if (at === null) continue;
    let hostPath = at;
    const given: string | undefined = (m as Json).subPathExpr === undefined ? m.subPath : expand((m as Json).subPathExpr, (name) => env.find((e) => e.key === name)?.value);
    if (given) {
      if (given.split('/').includes('..')) return `failed to prepare subPath for volumeMount "${m.name}" of container "${c.name}"`;
      hostPath = `${at}/${given}`;
      if (!(yield* statOf(hostPath))) {
        if (m.readOnly && v.configMap) return `failed to prepare subPath for volumeMount "${m.name}" of container "${c.name}"`;
        yield* attempt(mkdirAll(hostPath), undefined);
      }
    } else if (v.hostPath && !(yield* statOf(hostPath))) yield* attempt(mkdirAll(hostPath), undefined);
    const propagation = (m as Json).mountPropagation;
    out.push({ containerPath: m.mountPath, hostPath, readonly: (m.readOnly ?? false) || isReadOnly(v), ...(propagation && propagation !== 'None' ? { propagation: propagation === 'Bidirectional' ? 'PROPAGATION_BIDIRECTIONAL' : 'PROPAGATION_HOST_TO_CONTAINER' } : {}) });
  }
  return out;
}

const isReadOnly = (v: Json): boolean => Boolean(v.configMap || v.secret || v.downwardAPI || v.projected);

/** Unmounts what is mounted below the pod's directory, and removes that. */
export function* tearDownVolumes(pod: Pod): Call<void> {
  for (const { name } of yield* list(`${rootOf(pod)}/volumes/kubernetes.io~empty-dir`)) yield* attempt(sys('umount2', `${rootOf(pod)}/volumes/kubernetes.io~empty-dir/${name}`, MNT_DETACH), 0);
}

/** Bytes used below an emptyDir. */
export function* used(path: string): Call<number> {
  let sum = 0;
  for (const e of yield* list(path)) {
    const stat = yield* statOf(`${path}/${e.name}`);
    if (!stat) continue;
    sum += isDir(stat) ? yield* used(`${path}/${e.name}`) : Math.ceil(stat.size / 4096) * 4096;
  }
  return sum;
}
