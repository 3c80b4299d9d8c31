/** `kubectl create`: from files, or from flags by a builder for each kind. */
import { findKind, type Kind } from '../../../cluster/types/kinds.ts';
import type { Json } from '../../../cluster/types/objects.ts';
import type { Call } from '../../lib/http.ts';
import { ask, call, type Client, err, Fatal, klog, out } from './client.ts';
import { BUILDERS } from './create-objects.ts';
import { ACCESS_BUILDERS } from './create-access.ts';
import { type Flags, on } from './flags.ts';
import { checkFormat } from './print.ts';
import { mustFetch, targets } from './resources.ts';
import { make, manifests, NEED_FILE, tell } from './write.ts';
import { seconds } from './query.ts';

const COMMON = 'o/output= dry-run=?unchanged save-config validate=?strict field-manager= show-managed-fields allow-missing-template-keys template=';
const FROM = 'from-literal=* from-file=* from-env-file=* append-hash';

/** The flags of `create` itself, and of each thing it makes. */
export const CREATE_FLAGS = `f/filename=* R/recursive raw= k/kustomize= edit windows-line-endings l/selector= ${COMMON}`;
export const CREATE_SUBS: Readonly<Record<string, string>> = {
  deployment: `image=* r/replicas= port= ${COMMON}`, namespace: COMMON, configmap: `${FROM} ${COMMON}`, serviceaccount: COMMON, job: `image=* from= ${COMMON}`,
  cronjob: `image=* schedule= restart= ${COMMON}`, 'secret generic': `${FROM} type= ${COMMON}`, 'secret tls': `cert= key= append-hash ${COMMON}`,
  'secret docker-registry': `docker-server= docker-username= docker-password= docker-email= append-hash from-file=* ${COMMON}`,
  'service clusterip': `tcp=* clusterip= ${COMMON}`, 'service nodeport': `tcp=* node-port= ${COMMON}`, 'service loadbalancer': `tcp=* ${COMMON}`, 'service externalname': `tcp=* external-name= ${COMMON}`,
  priorityclass: `value= global-default description= preemption-policy= ${COMMON}`, quota: `hard= scopes= ${COMMON}`, role: `verb=* resource=* resource-name=* ${COMMON}`,
  clusterrole: `verb=* resource=* resource-name=* non-resource-url=* aggregation-rule= ${COMMON}`, rolebinding: `role= clusterrole= user=* group=* serviceaccount=* ${COMMON}`,
  clusterrolebinding: `clusterrole= user=* group=* serviceaccount=* ${COMMON}`, ingress: `rule=* default-backend= class= annotation=* ${COMMON}`,
  poddisruptionbudget: `selector= min-available= max-unavailable= ${COMMON}`, token: 'duration= audience=* bound-object-kind= bound-object-name= bound-object-uid= o/output= show-managed-fields allow-missing-template-keys template=',
};
export const CREATE_ALIASES: Readonly<Record<string, string>> = {
  deploy: 'deployment', ns: 'namespace', cm: 'configmap', sa: 'serviceaccount', cj: 'cronjob', svc: 'service', pc: 'priorityclass', resourcequota: 'quota', pdb: 'poddisruptionbudget', ing: 'ingress',
};

const TRIES: Readonly<Record<string, number>> = { role: 2, clusterrole: 2 };

export function* create(client: Client, flags: Flags): Call<number> {
  checkFormat(flags.text.get('output') ?? '');
  const files = flags.many.get('filename');
  const [typed, ...args] = flags.args;
  if (flags.text.get('dry-run') === 'unchanged') yield* err(yield* klog('W', 'helpers.go:702', '--dry-run is deprecated and can be replaced with --dry-run=client.'));
  if (typed === undefined) {
    if (flags.text.has('raw')) return yield* raw(client, flags);
    if (!files && !flags.text.has('kustomize')) throw new Fatal(NEED_FILE);
    return yield* createFiles(client, flags);
  }
  const what = CREATE_ALIASES[typed] ?? typed;
  if (what === 'token') return yield* token(client, flags, args);
  const builder = BUILDERS[what] ?? ACCESS_BUILDERS[what];
  if (!builder) throw new Fatal(`error: Unexpected args: [${flags.args.join(' ')}]\nSee 'kubectl create -h' for help and examples`);
  if (TRIES[what]) client.attempts = TRIES[what];
  const object = yield* builder(flags, args, client);
  if (object.from !== undefined) yield* copyCronJob(client, object);
  const kind = kindFor(object);
  if (on(flags, 'append-hash')) throw new Fatal('error: not modelled: --append-hash (kubectl kustomize makes such names)');
  const done = yield* make(client, flags, kind, kind.namespaced ? client.namespace : undefined, object, 'created', null, `failed to create ${what === 'quota' ? 'quota' : what === 'namespace' || what === 'service' || what === 'serviceaccount' || what.startsWith('secret') ? what : kind.kind.toLowerCase()}`);
  return done ? 0 : 1;
}

/** The kind of an object that a builder made; the server may not serve it, which only matters when it is asked. */
function kindFor(object: Json): Kind {
  const known = findKind(object.apiVersion, object.kind);
  if (known) return known;
  const [group = '', version = 'v1'] = object.apiVersion.includes('/') ? object.apiVersion.split('/') : ['', object.apiVersion];
  const singular = object.kind.toLowerCase();
  return { kind: object.kind, group, version, plural: singular.endsWith('s') ? `${singular}es` : `${singular}s`, singular, short: [], namespaced: !/^Cluster|^PriorityClass$/.test(object.kind), all: false, verbs: [] };
}

function* raw(client: Client, flags: Flags): Call<number> {
  const path = flags.text.get('raw')!;
  if (flags.many.get('filename')?.length !== 1) throw new Fatal('error: --raw can only use a single local file or stdin');
  const [m] = yield* manifests(client, flags);
  yield* out(`${JSON.stringify(yield* ask(client, 'POST', path, m!.object))}\n`);
  return 0;
}

/** `create token NAME`: what the TokenRequest API gives. */
function* token(client: Client, flags: Flags, args: readonly string[]): Call<number> {
  if (args.length !== 1) throw new Fatal(`error: exactly one NAME is required, got ${args.length}\nSee 'kubectl create token -h' for help and examples`);
  const duration = flags.text.has('duration') ? seconds(flags.text.get('duration'), 0) : 0;
  if (duration < 0) throw new Fatal('error: --duration must be greater than or equal to 0');
  const body = { apiVersion: 'authentication.k8s.io/v1', kind: 'TokenRequest', metadata: { creationTimestamp: null }, spec: { audiences: flags.many.get('audience') ?? null, boundObjectRef: null, expirationSeconds: duration === 0 ? null : duration }, status: { expirationTimestamp: null, token: '' } };
  const path = `/api/v1/namespaces/${client.namespace}/serviceaccounts/${args[0]}/token`;
  const reply = yield* call(client, 'POST', path, body);
  if (reply.status >= 400) throw new Fatal(`error: failed to create token: ${reply.body?.message ?? 'the server could not find the requested resource'}`);
  yield* out(`${reply.body.status.token}\n`);
  return 0;
}

/** `create job NAME --from=cronjob/X`: the job that X would make now. */
function* copyCronJob(client: Client, object: Json): Call<void> {
  const { from } = object;
  delete object.from;
  const [t] = yield* targets(client, [from]);
  if (t?.kind.kind !== 'CronJob') throw new Fatal('error: from must be an existing cronjob');
  const cron = yield* mustFetch(client, t.kind, t.name!);
  object.metadata = {
    annotations: { 'cronjob.kubernetes.io/instantiate': 'manual', ...cron.spec.jobTemplate.metadata?.annotations }, creationTimestamp: null, ...(cron.spec.jobTemplate.metadata?.labels ? { labels: cron.spec.jobTemplate.metadata.labels } : {}), name: object.metadata.name,
    ownerReferences: [{ apiVersion: 'batch/v1', controller: true, kind: 'CronJob', name: cron.metadata.name, uid: cron.metadata.uid }],
  };
  object.spec = cron.spec.jobTemplate.spec;
}

function* createFiles(client: Client, flags: Flags): Call<number> {
  const problems: string[] = [];
  let status = 0;
  for (const m of yield* manifests(client, flags, problems)) {
    if (!(yield* make(client, flags, m.kind, m.namespace, m.object, 'created', m.item, `error when creating "${m.item.source}"`))) status = 1;
  }
  yield* tell(problems, status);
  return problems.length > 0 ? 1 : status;
}

