/** run, expose, autoscale: a pod, a Service, an autoscaler from flags. Source: kubectl pkg/cmd/{run,expose,autoscale} 1.32. */
import { mergePatch } from '../../../cluster/types/merge.ts';
import { apiVersionOf, kindNamed, pathOf } from '../../../cluster/types/kinds.ts';
import { copy, type Json, type KubeObject, type Pod } from '../../../cluster/types/objects.ts';
import { jsonPatch } from '../../../cluster/types/jsonpatch.ts';
import { strategicPatch } from '../../../cluster/types/strategic.ts';
import { sys } from '../../../kernel/sys.ts';
import { parseReference } from '../../containers/oci.ts';
import type { Call } from '../../lib/http.ts';
import { attachTo } from './attach.ts';
import { call, type Client, err, failed, Fatal, now, out } from './client.ts';
import { pairsOf } from './create-objects.ts';
import { type Flags, on } from './flags.ts';
import { logsOf } from './pods.ts';
import { seconds } from './query.ts';
import { fetch, mustFetch, targets, type Target } from './resources.ts';
import { dryRun, make, manifests, NEED_RESOURCE, required, whole } from './write.ts';

export const RUN_FLAGS =
  'image= restart= env=* port= l/labels= command dry-run=?unchanged o/output= i/stdin t/tty rm expose image-pull-policy= overrides= override-type= annotations=* q/quiet attach leave-stdin-open privileged save-config validate=?strict pod-running-timeout= grace-period= timeout= field-manager= show-managed-fields force wait=?true cascade=?background f/filename=* k/kustomize= R/recursive allow-missing-template-keys template=';

export function* run(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'image');
  if (flags.args.length === 0) throw new Fatal("error: NAME is required for run\nSee 'kubectl run -h' for help and examples");
  const interactive = on(flags, 'stdin') || on(flags, 'tty');
  const attached = flags.text.has('attach') ? on(flags, 'attach') : interactive;
  const restart = flags.text.get('restart') ?? 'Always';
  const wet = dryRun(flags) === '';
  if (on(flags, 'tty') && !on(flags, 'stdin')) throw new Fatal('error: -i/--stdin is required for containers with -t/--tty=true');
  if (!['Always', 'OnFailure', 'Never'].includes(restart)) throw new Fatal(`error: invalid restart policy: ${restart}\nSee 'kubectl run -h' for help and examples`);
  const asked = flags.text.get('image')!;
  if (asked === '') throw new Fatal('error: --image is required');
  if ('error' in parseReference(asked)) throw new Fatal(`error: Invalid image name ${JSON.stringify(asked)}: invalid reference format`);
  if (on(flags, 'rm') && !attached) throw new Fatal('error: --rm should only be used for attached containers');
  if (attached && !wet) throw new Fatal("error: --dry-run=[server|client] can't be used with attached containers options (--attach, --stdin, or --tty)");
  if (on(flags, 'expose') && !flags.text.has('port')) throw new Fatal('error: --port must be set when exposing a service');
  const name = flags.args[0]!;
  yield* call(client, 'GET', '/api');
  const pod = overridden(podOf(flags, name, restart), flags);
  let status = (yield* make(client, flags, kindNamed('Pod'), client.namespace, pod, attached ? '' : 'created', null, '')) ? 0 : 1;
  if (status === 0 && on(flags, 'expose')) {
    const port = whole(flags, 'port')!;
    const service = { apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, name }, spec: { ports: [{ port, protocol: 'TCP', targetPort: port }], selector: pod.metadata.labels }, status: { loadBalancer: {} } };
    const separate = ['yaml', ''].includes(flags.text.get('output') ?? '');
    if (separate && flags.text.get('output') === 'yaml') yield* out('---\n');
    if (!(yield* make(client, flags, kindNamed('Service'), client.namespace, service, 'created', null, ''))) status = 1;
  }
  return attached && status === 0 ? yield* untilDone(client, flags, pod.metadata.name) : status;
}

function podOf(flags: Flags, name: string, restartPolicy: string): Json {
  const labels = pairsOf(flags.text.get('labels') ?? '');
  const args = [...flags.args.slice(1), ...(flags.rest ?? [])];
  const port = whole(flags, 'port');
  const env = (flags.many.get('env') ?? []).map((e) => {
    const at = e.indexOf('=');
    if (at <= 0) throw new Fatal(`error: invalid env: ${e}`);
    return { name: e.slice(0, at), value: e.slice(at + 1) };
  });
  const notes = Object.fromEntries((flags.many.get('annotations') ?? []).map((a) => [a.split('=')[0]!, a.slice(a.indexOf('=') + 1)]));
  return {
    apiVersion: 'v1', kind: 'Pod', metadata: { ...(Object.keys(notes).length > 0 ? { annotations: notes } : {}), creationTimestamp: null, labels: Object.keys(labels).length > 0 ? labels : { run: name }, name },
    spec: {
      containers: [{
        ...(args.length > 0 ? (on(flags, 'command') ? { command: args } : { args }) : {}), ...(env.length > 0 ? { env } : {}), image: flags.text.get('image'),
        ...(flags.text.has('image-pull-policy') ? { imagePullPolicy: flags.text.get('image-pull-policy') } : {}), name, ...(port === undefined ? {} : { ports: [{ containerPort: port }] }), resources: {},
        ...(on(flags, 'privileged') ? { securityContext: { privileged: true } } : {}), ...(on(flags, 'stdin') ? { stdin: true, ...(on(flags, 'leave-stdin-open') ? {} : { stdinOnce: true }) } : {}), ...(on(flags, 'tty') ? { tty: true } : {}),
      }],
      dnsPolicy: 'ClusterFirst', restartPolicy,
    },
    status: {},
  };
}

/** `--overrides`: a patch of the kind of --override-type on what the flags made. */
export function overridden(object: Json, flags: Flags): Json {
  const given = flags.text.get('overrides');
  if (given === undefined) return object;
  let patch: Json;
  try {
    patch = JSON.parse(given);
  } catch (error) {
    throw new Fatal(`error: invalid JSON in --overrides: ${error instanceof Error ? error.message : 'unreadable'}`);
  }
  const type = flags.text.get('override-type') ?? 'merge';
  if (!['json', 'merge', 'strategic'].includes(type)) throw new Fatal(`error: invalid override type: "${type}"`);
  if (type === 'merge') return mergePatch(object, patch);
  if (type === 'strategic') return strategicPatch(copy(object), patch);
  const done = jsonPatch(object, patch);
  if (typeof done === 'string') throw new Fatal(`error: ${done}`);
  return done;
}

/** After `run -i`: attached until the container ends; then its exit status, and with --rm its end. */
function* untilDone(client: Client, flags: Flags, name: string): Call<number> {
  const pod = yield* started(client, name, flags.text.has('pod-running-timeout') ? seconds(flags.text.get('pod-running-timeout'), 60) : 60);
  let status = 0;
  try {
    if (pod.status.phase === 'Running') {
      if (on(flags, 'stdin') && !on(flags, 'quiet')) yield* err("If you don't see a command prompt, try pressing enter.\n");
      const end = yield* attachTo(pod, pod.spec.containers[0]!.name, { stdin: on(flags, 'stdin'), tty: on(flags, 'tty') });
      if (end.error !== null) {
        yield* err(`warning: couldn't attach to pod/${name}, falling back to streaming logs: ${end.error}\n`);
        yield* logsOf(pod);
      }
    } else yield* logsOf(pod);
  } catch (error) {
    if (!(error instanceof Fatal)) throw error;
    yield* err(`${error.message}\n`);
    status = 1;
  }
  const last = pod.spec.restartPolicy === 'Always' ? pod : yield* ended(client, name, status !== 0);
  const end = last.status.containerStatuses?.[0]?.state?.terminated;
  if (end && end.exitCode !== 0 && last.spec.restartPolicy === 'Never') {
    yield* err(`pod ${last.metadata.namespace}/${name} terminated (${end.reason})\n`);
    status = end.exitCode;
  }
  if (on(flags, 'rm')) yield* removed(client, last);
  return status;
}

/** The pod when its one round is over. */
function* ended(client: Client, name: string, hopeless: boolean): Call<KubeObject> {
  for (;;) {
    const pod = yield* mustFetch(client, kindNamed('Pod'), name);
    if (hopeless || ['Succeeded', 'Failed'].includes(pod.status.phase)) return pod;
    yield* sys('nanosleep', 200_000_000);
  }
}

function* removed(client: Client, pod: KubeObject): Call<void> {
  const { name, uid } = pod.metadata;
  const reply = yield* call(client, 'DELETE', pathOf(kindNamed('Pod'), client.namespace, name), {});
  if (failed(reply)) return;
  yield* out(`pod "${name}" deleted\n`);
  for (;;) {
    const there = yield* fetch(client, kindNamed('Pod'), name);
    if (typeof there === 'string' || there.metadata.uid !== uid) return;
    yield* sys('nanosleep', 200_000_000);
  }
}

/** The pod when its first container runs, has run or cannot. */
export function* started(client: Client, name: string, patience: number): Call<Pod> {
  const until = (yield* now()) + patience;
  for (;;) {
    const pod = (yield* mustFetch(client, kindNamed('Pod'), name)) as Pod;
    const state = pod.status.containerStatuses?.[0]?.state;
    if (state?.running || state?.terminated || (pod.status.phase !== 'Pending' && pod.status.phase !== undefined)) return pod;
    if ((yield* now()) > until) throw new Fatal('error: timed out waiting for the condition');
    yield* sys('nanosleep', 200_000_000);
  }
}

export const EXPOSE_FLAGS =
  'port= target-port= name= type= protocol= selector= l/labels= dry-run=?unchanged o/output= cluster-ip= external-ip= load-balancer-ip= session-affinity= overrides= override-type= f/filename=* k/kustomize= R/recursive validate=?strict save-config field-manager= show-managed-fields allow-missing-template-keys template=';

/** What a workload's selector is, for a Service in front of it. */
function selectorOf(o: KubeObject): Record<string, string> | undefined {
  switch (o.kind) {
    case 'Deployment':
    case 'ReplicaSet': {
      if (o.spec.selector?.matchExpressions?.length) throw new Fatal(`error: couldn't retrieve selectors via --selector flag or introspection: couldn't convert expressions - "${JSON.stringify(o.spec.selector.matchExpressions)}" to map-based selector format`);
      return o.spec.selector?.matchLabels;
    }
    case 'ReplicationController':
    case 'Service':
      return o.spec.selector;
    case 'Pod':
      if (Object.keys(o.metadata.labels ?? {}).length === 0) throw new Fatal("error: couldn't retrieve selectors via --selector flag or introspection: the pod has no labels and cannot be exposed");
      return o.metadata.labels;
    default:
      throw new Fatal(`error: cannot expose a ${o.kind}${apiVersionOf(kindNamed(o.kind)).includes('/') ? `.${kindNamed(o.kind).group}` : ''}`);
  }
}

export function* expose(client: Client, flags: Flags): Call<number> {
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  for (const t of wanted) {
    if (t.name === null) throw new Fatal(NEED_RESOURCE);
    const object = yield* mustFetch(client, t.kind, t.name);
    const own = selectorOf(object);
    if (!flags.text.has('selector') && (!own || Object.keys(own).length === 0)) throw new Fatal("error: couldn't retrieve selectors via --selector flag or introspection: invalid deployment: no selectors, therefore cannot be exposed");
    const service = overridden(serviceFor(object, flags, own ?? {}), flags);
    if (!(yield* make(client, flags, kindNamed('Service'), client.namespace, service, 'exposed', null, ''))) return 1;
  }
  return 0;
}

function serviceFor(object: KubeObject, flags: Flags, own: Record<string, string>): Json {
  const get = (flag: string): string | undefined => flags.text.get(flag);
  const spec = object.spec.template?.spec ?? object.spec;
  const known: { port: number; protocol: string }[] = object.kind === 'Service'
    ? (object.spec.ports ?? []).map((p: Json) => ({ port: p.port, protocol: p.protocol ?? 'TCP' }))
    : (spec.containers ?? []).flatMap((c: Json) => (c.ports ?? []).map((p: Json) => ({ port: p.containerPort, protocol: p.protocol ?? 'TCP' })));
  const given = get('port')?.split(',').map((p) => {
    if (!/^\d+$/.test(p)) throw new Fatal(`error: strconv.Atoi: parsing "${p}": invalid syntax`);
    return { port: Number(p), protocol: known.find((k) => k.port === Number(p))?.protocol ?? 'TCP' };
  });
  const list = given ?? known;
  if (list.length === 0) throw new Fatal("error: couldn't find port via --port flag or introspection\nSee 'kubectl expose -h' for help and examples");
  const target = get('target-port');
  const labels = flags.text.has('labels') ? pairsOf(get('labels')!) : object.metadata.labels;
  const headless = get('cluster-ip') === 'None';
  return {
    apiVersion: 'v1', kind: 'Service', metadata: { creationTimestamp: null, ...(labels ? { labels } : {}), name: get('name') ?? object.metadata.name },
    spec: {
      ...(get('cluster-ip') ? { clusterIP: headless ? 'None' : get('cluster-ip') } : {}), ...(get('external-ip') ? { externalIPs: [get('external-ip')] } : {}), ...(get('load-balancer-ip') ? { loadBalancerIP: get('load-balancer-ip') } : {}),
      ports: list.map(({ port, protocol }, i) => ({ ...(list.length > 1 ? { name: `port-${i + 1}` } : {}), port, protocol: get('protocol') ?? protocol, targetPort: target === undefined ? port : /^\d+$/.test(target) ? Number(target) : target })),
      selector: flags.text.has('selector') ? pairsOf(get('selector')!) : own, ...(get('session-affinity') ? { sessionAffinity: get('session-affinity') } : {}), ...(get('type') ? { type: get('type') } : {}),
    },
    status: { loadBalancer: {} },
  };
}

export const AUTOSCALE_FLAGS = 'min= max= cpu-percent= name= dry-run=?unchanged o/output= f/filename=* k/kustomize= R/recursive save-config field-manager= show-managed-fields allow-missing-template-keys template=';

const SCALABLE = ['Deployment', 'ReplicaSet', 'StatefulSet', 'ReplicationController'];

export function* autoscale(client: Client, flags: Flags): Call<number> {
  yield* required(flags, 'max');
  const [least, most, cpu] = [whole(flags, 'min') ?? -1, whole(flags, 'max')!, whole(flags, 'cpu-percent') ?? -1];
  if (most < 1) throw new Fatal('error: --max=MAXPODS is required and must be at least 1');
  if (most < least) throw new Fatal(`error: --max=MAXPODS must be larger or equal to --min=MINPODS, max: ${most}, min: ${least}`);
  const files = flags.many.get('filename');
  if (flags.args.length === 0 && !files) throw new Fatal(NEED_RESOURCE);
  const wanted = files ? (yield* manifests(client, flags)).map((m): Target => ({ kind: m.kind, name: m.name })) : yield* targets(client, flags.args);
  for (const t of wanted) {
    if (t.name === null) throw new Fatal(NEED_RESOURCE);
    if (!SCALABLE.includes(t.kind.kind)) throw new Fatal(`error: cannot autoscale a ${t.kind.kind}: the server could not find the requested resource`);
    const object = yield* mustFetch(client, t.kind, t.name);
    const hpa = {
      apiVersion: 'autoscaling/v1', kind: 'HorizontalPodAutoscaler', metadata: { creationTimestamp: null, name: flags.text.get('name') ?? object.metadata.name },
      spec: {
        maxReplicas: most, ...(least > 0 ? { minReplicas: least } : {}), scaleTargetRef: { apiVersion: apiVersionOf(t.kind), kind: t.kind.kind, name: object.metadata.name },
        ...(cpu >= 0 ? { targetCPUUtilizationPercentage: cpu } : {}),
      },
      status: { currentReplicas: 0, desiredReplicas: 0 },
    };
    const kind = { ...kindNamed('HorizontalPodAutoscaler'), version: 'v1' };
    if (!(yield* make(client, flags, kind, client.namespace, hpa, 'autoscaled', null, ''))) return 1;
  }
  return 0;
}
