/**
 * containerd's task service: it makes the bundle, starts the shim, and passes calls on to it. Tasks outlive containerd:
 * it finds them again by the bundles under /run. Source: containerd runtime/v2/{manager,shim,bundle}.go.
 */
import { type Body, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { nowIso } from '../../lib/clock.ts';
import { attempt, drain, exists, list, mkdirAll, reap, removeAll, tryRead, writeFile } from '../../lib/files.ts';
import { type Call, thread } from '../../lib/http.ts';
import { spawn } from '../shim/spawn.ts';
import { call, Refusal, type Requests, type Responses, SOCKET, type TaskState } from './api.ts';
import { type Daemon, publish, RUN, type Task } from './daemon.ts';
import { journal } from './log.ts';

const SHIM = '/usr/bin/containerd-shim-runc-v2';
const SERVICE = 'containerd.task.v3.Task';
const key = (namespace: string, id: string): string => `${namespace}/${id}`;

/** Finds the tasks whose shims still answer; clears away the bundles of others. */
export function* recover(d: Daemon): Call<void> {
  for (const { name: namespace } of yield* list(RUN)) {
    for (const { name: id } of yield* list(`${RUN}/${namespace}`)) {
      const bundle = `${RUN}/${namespace}/${id}`;
      const task: Task = { namespace, id, bundle, socket: ((yield* tryRead(`${bundle}/address`)) ?? '').replace(/^unix:\/\//, '') };
      try {
        yield* toShim(task, 'Get', { containerId: id });
        d.tasks.set(key(namespace, id), task);
        yield* watchShim(d, task.socket);
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
        yield* journal('warning', 'cleaning up after shim disconnected', { id, namespace });
        yield* cleanUp(task);
      }
    }
  }
}

function* toShim<K extends keyof Requests>(task: Pick<Task, 'namespace' | 'socket'>, method: K, body: object): Call<Responses[K]> {
  return (yield* call(`${SERVICE}/${method}`, body, task.namespace, task.socket)) as Responses[K];
}

/** One call of the service. Throws Refusal. */
export function* taskCall<K extends keyof Requests>(d: Daemon, namespace: string, method: K, request: Requests[K]): Call<Responses[K]> {
  if (method === 'Create') return (yield* createTask(d, namespace, request as Requests['Create'])) as Responses[K];
  if (method === 'List') return (yield* listTasks(d, namespace)) as Responses[K];
  const { containerId, execId } = request as { containerId: string; execId?: string };
  const task = d.tasks.get(key(namespace, String(containerId)));
  if (!task) throw new Refusal('NOT_FOUND', `no running task found: task ${containerId} not found: not found`);
  if (method !== 'Delete') return yield* toShim(task, method, request);
  if (execId) return yield* toShim(task, method, request);
  return (yield* deleteTask(d, task)) as Responses[K];
}

function* createTask(d: Daemon, namespace: string, r: Requests['Create']): Call<Responses['Create']> {
  const { containerId: id } = r;
  if (!/^[A-Za-z0-9][\w.-]*$/.test(id)) throw new Refusal('INVALID_ARGUMENT', `identifier ${JSON.stringify(id)} must match pattern: invalid argument`);
  if (d.tasks.has(key(namespace, id))) throw new Refusal('ALREADY_EXISTS', `task ${id}: already exists`);
  const bundle = `${RUN}/${namespace}/${id}`;
  yield* mkdirAll(`${bundle}/rootfs`, 0o711);
  const spec = r.rootfs?.length ? { ...r.spec, root: { ...r.spec.root, path: 'rootfs' } } : r.spec;
  yield* writeFile(`${bundle}/config.json`, JSON.stringify(spec));
  const task: Task = { namespace, id, bundle, socket: '' };
  try {
    task.socket = yield* startShim(namespace, r.spec.annotations?.['io.kubernetes.cri.sandbox-id'] ?? id, bundle);
    yield* writeFile(`${bundle}/address`, `unix://${task.socket}`);
    yield* journal('info', 'starting shim', { id, namespace, address: task.socket });
    const { spec: _, ...rest } = r;
    const made = (yield* call(`${SERVICE}/Create`, { ...rest, bundle }, namespace, task.socket)) as Responses['Create'];
    d.tasks.set(key(namespace, id), task);
    yield* watchShim(d, task.socket);
    return made;
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    if (task.socket !== '') yield* shutdown(task);
    yield* removeAll(bundle);
    throw new Refusal(error.code, `failed to create shim task: ${error.message}`);
  }
}

/** Starts the shim of a group, or finds the one that runs; where it listens. */
function* startShim(namespace: string, group: string, bundle: string): Call<string> {
  const [from, to] = yield* sys('pipe2', 0);
  const pid = yield* spawn({ argv: [SHIM, '-namespace', namespace, '-id', group, '-address', SOCKET, '-bundle', bundle, 'start'], stdio: [-1, to, 2] });
  yield* sys('close', to);
  const said = text(yield* drain(from)).trim();
  yield* sys('close', from);
  yield* reap(pid);
  if (!said.startsWith('unix://')) throw new Refusal('UNKNOWN', `failed to start shim: start failed: ${said}: unknown`);
  return said.slice('unix://'.length);
}

function* shutdown(task: Task): Call<void> {
  try {
    yield* call(`${SERVICE}/Shutdown`, {}, task.namespace, task.socket);
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
  }
}

function* deleteTask(d: Daemon, task: Task): Call<Responses['Delete']> {
  let answer: Responses['Delete'];
  try {
    answer = yield* toShim(task, 'Delete', { containerId: task.id });
    // From here on its shim ends as it should: who watches it has nothing to clear away.
    d.tasks.delete(key(task.namespace, task.id));
    yield* shutdown(task);
    yield* removeAll(task.bundle);
  } catch (error) {
    if (!(error instanceof Refusal) || error.code !== 'UNAVAILABLE') throw error;
    yield* cleanUp(task);
    answer = { pid: 0, exitStatus: 255, exitedAt: '' };
  }
  d.tasks.delete(key(task.namespace, task.id));
  yield* journal('info', 'shim disconnected', { id: task.id, namespace: task.namespace });
  return answer;
}

/** A call that a shim answers only by ending. What it held then is killed and told of, as its own end would have been. */
function* watchShim(d: Daemon, socket: string): Call<void> {
  if (d.watched.has(socket)) return;
  d.watched.add(socket);
  yield* thread(function* (): Body {
    try {
      yield* call(`${SERVICE}/Connect`, {}, '', socket);
    } catch (error) {
      if (!(error instanceof Refusal) && !(error instanceof SyntaxError)) throw error;
    }
    d.watched.delete(socket);
    for (const task of [...d.tasks.values()]) if (task.socket === socket) yield* lost(d, task);
    return 0;
  });
}

function* lost(d: Daemon, task: Task): Call<void> {
  const { id, namespace } = task;
  yield* journal('warning', 'cleaning up after shim disconnected', { id, namespace });
  yield* cleanUp(task);
  d.tasks.delete(key(namespace, id));
  const now = yield* nowIso();
  yield* publish(d, { timestamp: now, namespace, topic: '/tasks/exit', event: { containerId: id, id, exitStatus: 137, exitedAt: now } });
  yield* publish(d, { timestamp: now, namespace, topic: '/tasks/delete', event: { containerId: id, id, exitStatus: 137, exitedAt: now } });
}

/** What a shim that is gone has left. */
function* cleanUp(task: Task): Call<void> {
  const pid = yield* spawn({ argv: ['/usr/sbin/runc', '--root', `/run/containerd/runc/${task.namespace}`, 'delete', '--force', task.id], stdio: [-1, -1, -1] });
  yield* reap(pid);
  if (yield* exists(`${task.bundle}/rootfs`)) yield* attempt(sys('umount2', `${task.bundle}/rootfs`, 2), 0);
  yield* removeAll(task.bundle);
}

function* listTasks(d: Daemon, namespace: string): Call<Responses['List']> {
  const mine = [...d.tasks.values()].filter((t) => t.namespace === namespace).sort((a, b) => (a.id < b.id ? -1 : 1));
  const tasks: TaskState[] = [];
  for (const task of mine) {
    try {
      tasks.push((yield* toShim(task, 'Get', { containerId: task.id })).process);
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
    }
  }
  return { tasks };
}
