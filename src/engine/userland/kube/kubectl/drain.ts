/**
 * drain: cordon, ask for the eviction of each pod that may go, ask again every five seconds while a disruption budget says no, wait
 * until they are gone. Source: k8s.io/kubectl/pkg/drain, pkg/cmd/drain 1.32; the order of its concurrent lines is the list's here.
 */
import { kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import { type Json, type Node, type Pod } from '../../../cluster/types/objects.ts';
import { parseTime } from '../../../cluster/types/time.ts';
import { sys } from '../../../kernel/sys.ts';
import { goDuration } from '../../lib/duration.ts';
import type { Call } from '../../lib/http.ts';
import { call, type Client, err, Fatal, failed, failureText, listKind, now, out } from './client.ts';
import { type Flags, on } from './flags.ts';
import { nodesOf, setCordon } from './nodes.ts';
import { seconds } from './query.ts';
import { fetch } from './resources.ts';
import { dryRun, marks, whole } from './write.ts';

export const DRAIN_FLAGS = 'l/selector= dry-run=?unchanged ignore-daemonsets delete-emptydir-data force grace-period= timeout= disable-eviction pod-selector= chunk-size= skip-wait-for-delete-timeout=';

/** Seconds between tries that a budget refuses, and between looks whether a pod is gone. */
const RETRY = 5;
const LOOK = 1;

type Verdict = { go: boolean; warning?: string; fatal?: string };
type Filter = (pod: Pod) => Call<Verdict>;

const KEEP: Verdict = { go: false };
const GO: Verdict = { go: true };
const over = (pod: Pod): boolean => pod.status.phase === 'Succeeded' || pod.status.phase === 'Failed';
const named = (pod: Pod): string => `${pod.metadata.namespace}/${pod.metadata.name}`;

/** One after another; the first that keeps a pod, or refuses, ends the questions about it. */
function filters(client: Client, flags: Flags): Filter[] {
  const force = on(flags, 'force');
  return [
    function* daemons(pod) {
      const owner = pod.metadata.ownerReferences?.find((o) => o.controller);
      if (owner?.kind !== 'DaemonSet' || over(pod)) return GO;
      const set = yield* fetch(client, kindNamed('DaemonSet'), owner.name, pod.metadata.namespace);
      if (typeof set === 'string') return force ? { go: true, warning: set } : { go: false, fatal: set };
      return on(flags, 'ignore-daemonsets') ? { go: false, warning: 'ignoring DaemonSet-managed Pods' } : { go: false, fatal: 'DaemonSet-managed Pods (use --ignore-daemonsets to ignore)' };
    },
    function* mirrors(pod) {
      return pod.metadata.annotations?.['kubernetes.io/config.mirror'] === undefined ? GO : KEEP;
    },
    function* local(pod) {
      if (!(pod.spec.volumes ?? []).some((v) => v.emptyDir) || over(pod)) return GO;
      return on(flags, 'delete-emptydir-data') ? { go: true, warning: 'deleting Pods with local storage' } : { go: false, fatal: 'Pods with local storage (use --delete-emptydir-data to override)' };
    },
    function* alone(pod) {
      if (over(pod) || pod.metadata.ownerReferences?.some((o) => o.controller)) return GO;
      return force ? { go: true, warning: 'deleting Pods that declare no controller' } : { go: false, fatal: 'cannot delete Pods that declare no controller (use --force to override)' };
    },
  ];
}

interface Sorted {
  pods: Pod[];
  warnings: string;
  /** One a reason. */
  faults: string[];
}

function* sortPods(client: Client, flags: Flags, node: string): Call<Sorted> {
  const list = (yield* listKind(client, kindNamed('Pod'), undefined, { fieldSelector: `spec.nodeName=${node}`, labelSelector: flags.text.get('pod-selector') })).items as Pod[];
  const asked = filters(client, flags);
  const pods: Pod[] = [];
  const warned = new Map<string, string[]>();
  const refused = new Map<string, string[]>();
  const add = (to: Map<string, string[]>, reason: string, pod: Pod): void => void to.set(reason, [...(to.get(reason) ?? []), named(pod)]);
  for (const pod of list) {
    let verdict = GO;
    for (const filter of asked) {
      const next = yield* filter(pod);
      verdict = next.warning || !next.go ? next : { ...verdict, go: true };
      if (!next.go) break;
    }
    if (verdict.warning) add(warned, verdict.warning, pod);
    if (verdict.fatal) add(refused, verdict.fatal, pod);
    if (verdict.go) pods.push(pod);
  }
  const told = (of: Map<string, string[]>, before: string): string[] => [...of].map(([reason, names]) => `${before}${reason}: ${names.join(', ')}`);
  return { pods, warnings: told(warned, '').join('; '), faults: told(refused, 'cannot delete ') };
}

interface Going {
  pod: Pod;
  asked: boolean;
  /** Seconds since the epoch: when to ask or look next. */
  next: number;
}

/** Asks for each and waits for it; what went wrong, one text a pod. */
function* empty(client: Client, flags: Flags, pods: readonly Pod[], run: string): Call<string[]> {
  const given = flags.text.get('timeout');
  const limit = given === undefined ? 0 : seconds(given, 0);
  const began = yield* now();
  const end = limit > 0 ? began + limit : Number.POSITIVE_INFINITY;
  const evicting = !on(flags, 'disable-eviction');
  const word = evicting ? 'evicted' : 'deleted';
  const faults: string[] = [];
  let going: Going[] = pods.map((pod) => ({ pod, asked: false, next: began }));
  while (going.length > 0) {
    const time = yield* now();
    const due = going.filter((g) => g.next <= time);
    if (evicting) for (const one of due) if (!one.asked) yield* out(`evicting pod ${named(one.pod)}${run === '' ? '' : ' (server dry run)'}\n`);
    for (const one of due) {
      const { metadata } = one.pod;
      const done = (fault?: string): void => {
        going = going.filter((g) => g !== one);
        if (fault) faults.push(fault);
      };
      if (!one.asked) {
        if (time >= end) done(`error when evicting pods/"${metadata.name}" -n "${metadata.namespace}": global timeout reached: ${goDuration(limit * 1e9)}`);
        else yield* askFor(client, flags, one, run, evicting, done);
        continue;
      }
      const there = yield* fetch(client, kindNamed('Pod'), metadata.name, metadata.namespace);
      if (typeof there === 'string' || there.metadata.uid !== metadata.uid || skips(flags, there as Pod, time)) {
        yield* out(`pod/${metadata.name} ${word}\n`);
        done();
      } else if (time >= end) done(`error when waiting for pod "${metadata.name}" in namespace "${metadata.namespace}" to terminate: global timeout reached: ${goDuration(limit * 1e9)}`);
      else one.next = time + LOOK;
    }
    const next = Math.min(...going.map((g) => g.next));
    const wait = next - (yield* now());
    if (going.length > 0 && wait > 0) yield* sys('nanosleep', Math.ceil(Math.min(wait, 60) * 1e9));
  }
  return faults;
}

function* askFor(client: Client, flags: Flags, one: Going, run: string, evicting: boolean, done: (fault?: string) => void): Call<void> {
  const { name, namespace } = one.pod.metadata;
  const grace = whole(flags, 'grace-period');
  const options: Json = { ...(grace === undefined || grace < 0 ? {} : { gracePeriodSeconds: grace }), ...(run === 'server' ? { dryRun: ['All'] } : {}) };
  const path = pathOf(kindNamed('Pod'), namespace, name);
  const reply = evicting
    ? yield* call(client, 'POST', `${path}/eviction`, { apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace }, deleteOptions: options })
    : yield* call(client, 'DELETE', path, { apiVersion: 'v1', kind: 'DeleteOptions', ...options });
  if (!failed(reply)) {
    if (run === 'server') return done();
    one.asked = true;
    one.next = yield* now();
  } else if (reply.status === 404) done();
  else if (reply.status === 429) {
    yield* err(`error when evicting pods/"${name}" -n "${namespace}" (will retry after ${RETRY}s): ${reply.body?.message ?? ''}\n`);
    one.next = (yield* now()) + RETRY;
  } else done(evicting ? `error when evicting pods/"${name}" -n "${namespace}": ${reply.body?.message ?? ''}` : failureText(reply.body));
}

/** --skip-wait-for-delete-timeout: a pod that should be gone for longer is not waited for. */
function skips(flags: Flags, pod: Pod, time: number): boolean {
  const most = whole(flags, 'skip-wait-for-delete-timeout') ?? 0;
  return most > 0 && pod.metadata.deletionTimestamp !== undefined && time - parseTime(pod.metadata.deletionTimestamp)! > most;
}

const together = (faults: readonly string[]): string => (faults.length === 1 ? faults[0]! : `[${faults.join(', ')}]`);

/** What keeps the node from being empty; nothing when it is. */
function* emptyNode(client: Client, flags: Flags, node: string, run: string): Call<string[]> {
  const { pods, warnings, faults } = yield* sortPods(client, flags, node);
  if (faults.length > 0) return faults;
  if (warnings !== '') yield* err(`Warning: ${warnings}\n`);
  if (run === 'client') {
    for (const pod of pods) yield* out(`evicting pod ${named(pod)} (dry run)\n`);
    return [];
  }
  const failures = yield* empty(client, flags, pods, run);
  if (failures.length === 0) return [];
  const left = yield* sortPods(client, flags, node);
  if (left.pods.length > 0) yield* err(`There are pending pods in node "${node}" when an error occurred: ${together(failures)}\n${left.pods.map((p) => `pod/${p.metadata.name}\n`).join('')}`);
  return failures;
}

export function* drain(client: Client, flags: Flags): Call<number> {
  if (flags.args.length === 0 && !flags.text.has('selector')) throw new Fatal("error: USAGE: drain NODE [flags]\nSee 'kubectl drain -h' for help and examples");
  if (flags.args.length > 0 && flags.text.has('selector')) throw new Fatal("error: error: cannot specify both a node name and a --selector option\nSee 'kubectl drain -h' for help and examples");
  const run = dryRun(flags);
  const nodes: Node[] = yield* nodesOf(client, flags, flags.args);
  for (const node of nodes) yield* setCordon(client, flags, node, true, 'cordon');
  const left: string[] = [];
  const faults: string[] = [];
  for (const { metadata } of nodes) {
    const failures = yield* emptyNode(client, flags, metadata.name, run);
    if (failures.length === 0) {
      yield* out(`node/${metadata.name} drained${marks(run)}\n`);
      continue;
    }
    yield* err(`error: unable to drain node "${metadata.name}" due to error: ${together(failures)}, continuing command...\n`);
    left.push(metadata.name);
    faults.push(...failures);
  }
  if (left.length === 0) return 0;
  yield* err(`There are pending nodes to be drained:\n${left.map((n) => ` ${n}\n`).join('')}${faults.join('\n')}\n`);
  return 1;
}
