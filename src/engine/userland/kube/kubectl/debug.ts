/**
 * debug: an ephemeral container in a running pod, a changed copy of a pod, or a pod on a node with the node's namespaces.
 * Source: kubectl pkg/cmd/debug 1.32. Profiles: what they set of securityContext, namespaces and the host's root.
 */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import { copy, type Json, type KubeObject, type Pod } from '../../../cluster/types/objects.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { attachTo } from './attach.ts';
import { ask, type Client, err, Fatal, now, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { logsOf } from './pods.ts';
import { mustFetch, targets } from './resources.ts';

export const DEBUG_FLAGS = 'image= c/container= target= i/stdin t/tty copy-to= replace same-node set-image=* share-processes=?true attach env=* image-pull-policy= profile= custom= q/quiet f/filename=* arguments-only keep-annotations keep-labels keep-liveness keep-readiness keep-startup keep-init-containers=?true';

const PROFILES = ['legacy', 'general', 'baseline', 'netadmin', 'restricted', 'sysadmin'];

function check(flags: Flags): void {
  const has = (f: string): boolean => flags.text.has(f);
  const args = flags.rest ?? [];
  if (has('copy-to')) {
    if (!has('image') && !has('set-image') && args.length === 0) throw new Fatal('error: you must specify --image, --set-image or command arguments.');
    if (args.length > 0 && !has('container') && !has('image')) throw new Fatal('error: you must specify an existing container or a new image when specifying args.');
    if (has('target')) throw new Fatal('error: --target is incompatible with --copy-to. Use --share-processes instead.');
  } else {
    for (const f of ['replace', 'same-node', 'set-image']) if (has(f)) throw new Fatal(`error: --${f} may only be used with --copy-to.`);
    if (!has('image')) throw new Fatal('error: you must specify --image when not using --copy-to.');
  }
  if (has('image') && /\s|^$/.test(flags.text.get('image')!)) throw new Fatal(`error: invalid image name "${flags.text.get('image')}": invalid reference format`);
  if (on(flags, 'tty') && !on(flags, 'stdin')) throw new Fatal('error: -i/--stdin is required for containers with -t/--tty=true');
  if (!PROFILES.includes(flags.text.get('profile') ?? 'legacy')) throw new Fatal(`error: unknown profile: ${flags.text.get('profile')}`);
  if (has('custom')) throw new Fatal('error: not modelled: kubectl debug --custom');
}

export function* debug(client: Client, flags: Flags): Call<number> {
  if (flags.args.length === 0) throw new Fatal("error: NAME is required for debug\nSee 'kubectl debug -h' for help and examples");
  check(flags);
  if ((flags.text.get('profile') ?? 'legacy') === 'legacy') yield* err('--profile=legacy is deprecated and will be removed in the future. It is recommended to explicitly specify a profile, for example "--profile=general".\n');
  const named = flags.args.some((a) => a.includes('/')) ? flags.args : flags.args.flatMap((a) => [`pod/${a}`]);
  for (const t of yield* targets(client, named)) {
    if (t.name === null) throw new Fatal('error: resource(s) were provided, but no name was specified');
    const object = yield* mustFetch(client, t.kind, t.name);
    if (object.kind === 'Node') yield* visitNode(client, flags, object);
    else if (object.kind === 'Pod') yield* flags.text.has('copy-to') ? visitCopy(client, flags, object as Pod) : visitPod(client, flags, object as Pod);
    else throw new Fatal(`error: "${object.metadata.name}" not supported by debug`);
  }
  return 0;
}

const LETTERS = 'bcdfghjklmnpqrstvwxz2456789';

/** Five characters, as generated names end. */
function* suffix(): Call<string> {
  let n = Math.floor((yield* sys('clock_gettime', 'realtime')) / 1000) + (yield* sys('getpid')) * 7919;
  let out_ = '';
  for (let i = 0; i < 5; i++) {
    out_ += LETTERS[n % LETTERS.length]!;
    n = Math.floor(n / LETTERS.length);
  }
  return out_;
}

function* containerFrom(flags: Flags, prefix: string, taken: readonly string[]): Call<Json> {
  let name = flags.text.get('container') ?? '';
  if (name === '') {
    do name = `${prefix}-${yield* suffix()}`;
    while (taken.includes(name));
    if (!on(flags, 'quiet')) yield* out(`Defaulting debug container name to ${name}.\n`);
  }
  const env = (flags.many.get('env') ?? []).map((e) => ({ name: e.slice(0, e.indexOf('=')), value: e.slice(e.indexOf('=') + 1) }));
  const args = flags.rest ?? [];
  return {
    name, image: flags.text.get('image'), ...(env.length > 0 ? { env } : {}), imagePullPolicy: flags.text.get('image-pull-policy') || undefined, resources: {}, terminationMessagePolicy: 'File',
    ...(args.length > 0 ? (on(flags, 'arguments-only') ? { args } : { command: args }) : {}), ...(on(flags, 'stdin') ? { stdin: true } : {}), ...(on(flags, 'tty') ? { tty: true } : {}), ...security(flags.text.get('profile') ?? 'legacy', false),
  };
}

/** What a profile gives the container. */
function security(profile: string, node: boolean): Json {
  const capabilities = { general: node ? null : ['SYS_PTRACE'], netadmin: ['NET_ADMIN', 'NET_RAW'] }[profile as 'general'];
  if (profile === 'sysadmin') return { securityContext: { privileged: true } };
  if (profile === 'restricted') return { securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] }, runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } };
  return capabilities ? { securityContext: { capabilities: { add: capabilities } } } : {};
}

function* visitPod(client: Client, flags: Flags, pod: Pod): Call<void> {
  const taken = [...pod.spec.containers, ...(pod.spec.initContainers ?? []), ...((pod.spec as Json).ephemeralContainers ?? [])].map((c) => c.name);
  const target = flags.text.get('target');
  if (target && !on(flags, 'quiet')) yield* out(`Targeting container ${JSON.stringify(target)}. If you don't see processes from this container it may be because the container runtime doesn't support this feature.\n`);
  const container = { ...(yield* containerFrom(flags, 'debugger', taken)), ...(target ? { targetContainerName: target } : {}) };
  const body = { spec: { ephemeralContainers: [container] } };
  const path = pathOf(kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name, 'ephemeralcontainers');
  yield* ask(client, 'PATCH', path, body, 'strategic');
  yield* join(client, flags, pod.metadata.name, container.name, 'ephemeralContainerStatuses');
}

/** With -i (or --attach): waits for the container and stays with it. */
function* join(client: Client, flags: Flags, name: string, container: string, list: 'ephemeralContainerStatuses' | 'containerStatuses'): Call<void> {
  const wanted = flags.text.has('attach') ? on(flags, 'attach') : on(flags, 'stdin');
  if (!wanted) return;
  if (!on(flags, 'quiet') && on(flags, 'stdin')) yield* err("If you don't see a command prompt, try pressing enter.\n");
  const until = (yield* now()) + 60;
  for (;;) {
    const pod = (yield* mustFetch(client, kindNamed('Pod'), name)) as Pod;
    const state = ((pod.status as Json)[list] ?? []).find((s: Json) => s.name === container)?.state;
    if (state?.running) {
      const end = yield* attachTo(pod, container, { stdin: on(flags, 'stdin'), tty: on(flags, 'tty') });
      if (end.error !== null) {
        yield* err(`warning: couldn't attach to pod/${name}, falling back to streaming logs: ${end.error}\n`);
        yield* logsOf(pod, container);
      }
      return;
    }
    if (state?.terminated) {
      yield* logsOf(pod, container);
      if (state.terminated.exitCode !== 0) yield* err(`pod ${pod.metadata.namespace}/${name} terminated (${state.terminated.reason})\n`);
      return;
    }
    if ((yield* now()) > until) throw new Fatal('error: timed out waiting for the condition');
    yield* sys('nanosleep', 200_000_000);
  }
}

function* visitNode(client: Client, flags: Flags, node: KubeObject): Call<void> {
  const name = `node-debugger-${node.metadata.name}-${yield* suffix()}`;
  const profile = flags.text.get('profile') ?? 'legacy';
  const container = { ...(yield* containerFrom({ ...flags, text: new Map([...flags.text, ['container', flags.text.get('container') ?? 'debugger']]) }, 'debugger', [])), ...security(profile, true) };
  const hostly = profile !== 'baseline' && profile !== 'restricted';
  if (!on(flags, 'quiet')) yield* out(`Creating debugging pod ${name} with container ${container.name} on node ${node.metadata.name}.\n`);
  const root = { mountPath: '/host', name: 'host-root' };
  const pod = {
    apiVersion: 'v1', kind: 'Pod', metadata: { name, labels: { 'app.kubernetes.io/managed-by': 'kubectl-debug' } },
    spec: {
      containers: [{ ...container, ...(profile === 'baseline' || profile === 'restricted' || profile === 'netadmin' ? {} : { volumeMounts: [root] }) }],
      ...(hostly ? { hostIPC: profile !== 'netadmin', hostNetwork: true, hostPID: true } : {}), nodeName: node.metadata.name, restartPolicy: 'Never', tolerations: [{ operator: 'Exists' }],
      ...(profile === 'baseline' || profile === 'restricted' || profile === 'netadmin' ? {} : { volumes: [{ hostPath: { path: '/' }, name: 'host-root' }] }),
    },
  };
  yield* ask(client, 'POST', pathOf(kindNamed('Pod'), client.namespace), pod);
  yield* join(client, flags, name, container.name, 'containerStatuses');
}

/** `--copy-to`: the pod again under another name, changed. */
function* visitCopy(client: Client, flags: Flags, pod: Pod): Call<void> {
  const name = flags.text.get('copy-to')!;
  const made: Json = { apiVersion: 'v1', kind: 'Pod', metadata: { annotations: on(flags, 'keep-annotations') ? pod.metadata.annotations : undefined, labels: on(flags, 'keep-labels') ? pod.metadata.labels : undefined, name, namespace: pod.metadata.namespace }, spec: copy(pod.spec) };
  const { spec } = made;
  if (!on(flags, 'same-node')) delete spec.nodeName;
  delete spec.ephemeralContainers;
  if (flags.text.get('keep-init-containers') === 'false') delete spec.initContainers;
  for (const c of spec.containers) for (const probe of ['liveness', 'readiness', 'startup']) if (!on(flags, `keep-${probe}`)) delete c[`${probe}Probe`];
  if (flags.text.get('share-processes') !== 'false') spec.shareProcessNamespace = true;
  for (const pair of (flags.many.get('set-image') ?? []).flatMap((p) => p.split(','))) {
    const [which = '', image = ''] = [pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1)];
    if (!pair.includes('=') || which === '' || image === '') throw new Fatal(`error: invalid --set-image argument: ${pair}`);
    for (const c of spec.containers) if (which === '*' || c.name === which) c.image = image;
  }
  const given = flags.text.get('container');
  const there = spec.containers.find((c: Json) => c.name === given);
  let watched = given ?? '';
  if (there) {
    if (flags.text.get('image')) there.image = flags.text.get('image');
    if (flags.rest?.length) {
      there.command = flags.rest;
      delete there.args;
    }
    Object.assign(there, on(flags, 'stdin') ? { stdin: true } : {}, on(flags, 'tty') ? { tty: true } : {});
  } else if (flags.text.get('image')) {
    const container = yield* containerFrom(flags, 'debugger', spec.containers.map((c: Json) => c.name));
    watched = container.name;
    spec.containers.push(container);
  } else if (given) throw new Fatal(`error: could not find container ${given}`);
  yield* ask(client, 'POST', pathOf(kindNamed('Pod'), pod.metadata.namespace), made);
  if (on(flags, 'replace')) yield* ask(client, 'DELETE', pathOf(kindNamed('Pod'), pod.metadata.namespace, pod.metadata.name), {});
  if (watched !== '') yield* join(client, flags, name, watched, 'containerStatuses');
}
