/**
 * System V objects: shared memory segments, message queues, sets of semaphores, each kind with its ids in each ipc namespace.
 * Ids go up to 64 before they begin anew with the next sequence number. Source: sysvipc(7), shmget(2), msgop(2), semop(2), ipc/util.c.
 * Left out: attaching segments (shmat), SEM_UNDO, message copies.
 */
import { IPC_CREAT, IPC_EXCL, IPC_NOWAIT, SysError } from './abi.ts';
import { nsCapable, shownGid, shownUid } from './credentials.ts';
import type { IpcNamespace, Kernel, Task } from './records.ts';
import type { IpcStatus, SemOperation } from './sys.ts';
import { pidIn } from './task.ts';
import { wallClock } from './vfs/inode.ts';
import { BLOCK, type MayBlock } from './vfs/types.ts';
import { waitOn, wake } from './wait.ts';

export type IpcKind = 'shm' | 'msg' | 'sem';

/** What /proc/sys/kernel says of a new namespace. */
export const IPC_KNOBS: Readonly<Record<string, string>> = {
  msgmax: '8192', msgmnb: '16384', msgmni: '32000', sem: '32000\t1024000000\t500\t32000', shmall: '18446744073692774399', shmmax: '18446744073692774399', shmmni: '4096', shm_rmid_forced: '0',
};

interface Message {
  type: number;
  data: Uint8Array;
}

export interface IpcObject {
  kind: IpcKind;
  id: number;
  key: number;
  mode: number;
  uid: number; gid: number; cuid: number; cgid: number;
  ctime: number;
  /** Of segments: bytes, and who made and last used it. */
  size: number;
  creator: Task['pid'];
  messages: Message[];
  mostBytes: number;
  sender: number; receiver: number;
  values: number[];
  /** Of each semaphore: who changed it last. */
  changers: number[];
  /** Of the last change from one side and the other, seconds; 0 never. */
  times: { put: number; taken: number };
}

export interface IpcTable {
  objects: Map<number, IpcObject>;
  last: number;
  sequence: number;
}

const CYCLE = 64;
const SEQUENCE = 32768;

function tableOf(ns: IpcNamespace, kind: IpcKind): IpcTable {
  ns.tables ??= { shm: fresh(), msg: fresh(), sem: fresh() };
  return ns.tables[kind];
}

const fresh = (): IpcTable => ({ objects: new Map(), last: -1, sequence: 0 });

const knob = (ns: IpcNamespace, name: string, at = 0): number => Number((ns.knobs?.get(name) ?? IPC_KNOBS[name]!).split('\t')[at]);

/** In the order of their places. */
export function ipcObjects(ns: IpcNamespace, kind: IpcKind): IpcObject[] {
  return [...tableOf(ns, kind).objects.values()].sort((a, b) => (a.id % SEQUENCE) - (b.id % SEQUENCE));
}

function freshId(table: IpcTable): number {
  const most = Math.max(Math.floor((table.objects.size * 3) / 2), CYCLE);
  const taken = new Set([...table.objects.keys()].map((id) => id % SEQUENCE));
  let at = table.last + 1;
  while (at >= most || taken.has(at)) at = at >= most ? 0 : at + 1;
  if (at <= table.last) table.sequence = (table.sequence + 1) % 65536;
  table.last = at;
  return table.sequence * SEQUENCE + at;
}

function allowed(task: Task, object: IpcObject, mask: number): boolean {
  const { cred } = task;
  const among = (gid: number): boolean => cred.egid === gid || cred.groups.includes(gid);
  const shift = cred.euid === object.uid || cred.euid === object.cuid ? 6 : among(object.gid) || among(object.cgid) ? 3 : 0;
  return (((object.mode >> shift) & 7) & mask) === mask || nsCapable(task, task.ns.ipc.owner, 'ipc_owner');
}

/** Finds the object of a key, or makes one. Throws ENOENT, EEXIST, EACCES, EINVAL, ENOSPC. */
function get(kernel: Kernel, task: Task, kind: IpcKind, key: number, flags: number, fits: (found: IpcObject) => boolean, most: number, fill: (made: IpcObject) => void): number {
  const table = tableOf(task.ns.ipc, kind);
  const found = key === 0 ? undefined : [...table.objects.values()].find((one) => one.key === key);
  if (found) {
    if (flags & IPC_CREAT && flags & IPC_EXCL) throw new SysError('EEXIST');
    if (!fits(found)) throw new SysError('EINVAL');
    if (!allowed(task, found, ((flags >> 6) | (flags >> 3) | flags) & 7)) throw new SysError('EACCES');
    return found.id;
  }
  if (key !== 0 && !(flags & IPC_CREAT)) throw new SysError('ENOENT');
  const { euid, egid } = task.cred;
  const made: IpcObject = {
    kind, id: 0, key, mode: flags & 0o777, uid: euid, gid: egid, cuid: euid, cgid: egid, ctime: Math.floor(wallClock(kernel)), size: 0, creator: task.leader.pid, messages: [],
    mostBytes: knob(task.ns.ipc, 'msgmnb'), sender: 0, receiver: 0, values: [], changers: [], times: { put: 0, taken: 0 },
  };
  fill(made);
  if (table.objects.size >= most) throw new SysError('ENOSPC');
  made.id = freshId(table);
  table.objects.set(made.id, made);
  return made.id;
}

export function shmget(kernel: Kernel, task: Task, key: number, size: number, flags: number): number {
  const { ipc } = task.ns;
  return get(kernel, task, 'shm', key, flags, (found) => size <= found.size, knob(ipc, 'shmmni'), (made) => {
    if (size < 1 || size > knob(ipc, 'shmmax')) throw new SysError('EINVAL');
    const pages = ipcObjects(ipc, 'shm').reduce((sum, one) => sum + Math.ceil(one.size / 4096), 0);
    if (pages + Math.ceil(size / 4096) > knob(ipc, 'shmall')) throw new SysError('ENOSPC');
    made.size = size;
  });
}

export function msgget(kernel: Kernel, task: Task, key: number, flags: number): number {
  return get(kernel, task, 'msg', key, flags, () => true, knob(task.ns.ipc, 'msgmni'), () => {});
}

export function semget(kernel: Kernel, task: Task, key: number, count: number, flags: number): number {
  const { ipc } = task.ns;
  if (count < 0 || count > knob(ipc, 'sem', 0)) throw new SysError('EINVAL');
  return get(kernel, task, 'sem', key, flags, (found) => count <= found.values.length, knob(ipc, 'sem', 3), (made) => {
    if (count === 0) throw new SysError('EINVAL');
    if (ipcObjects(ipc, 'sem').reduce((sum, one) => sum + one.values.length, 0) + count > knob(ipc, 'sem', 1)) throw new SysError('ENOSPC');
    made.values = Array.from({ length: count }, () => 0);
    made.changers = made.values.map(() => 0);
  });
}

function objectOf(task: Task, kind: IpcKind, id: number): IpcObject {
  const object = tableOf(task.ns.ipc, kind).objects.get(id);
  if (!object) throw new SysError('EINVAL');
  return object;
}

const channelOf = (task: Task, object: IpcObject): string => `ipc:${task.ns.ipc.ino}:${object.kind}:${object.id}`;

/** IPC_STAT and IPC_RMID of all three kinds, GETALL's and GETPID's values among what STAT says. Throws EINVAL, EACCES, EPERM. */
export function control(kernel: Kernel, task: Task, kind: IpcKind, id: number, command: string): IpcStatus | 0 {
  const object = objectOf(task, kind, id);
  if (command === 'STAT') {
    if (!allowed(task, object, 4)) throw new SysError('EACCES');
    return statusOf(task, object);
  }
  if (command !== 'RMID') throw new SysError('EINVAL');
  const { euid } = task.cred;
  if (euid !== object.uid && euid !== object.cuid && !nsCapable(task, task.ns.ipc.owner, 'sys_admin')) throw new SysError('EPERM');
  tableOf(task.ns.ipc, kind).objects.delete(id);
  wake(kernel, channelOf(task, object));
  return 0;
}

function pidFor(task: Task, pid: number): number {
  const other = task.ns.pid.level === 0 ? null : [...task.ns.pid.tasks.values()].find((one) => one.pid === pid);
  return task.ns.pid.level === 0 ? pid : other ? pidIn(task.ns.pid, other) : 0;
}

export function statusOf(task: Task, object: IpcObject): IpcStatus {
  const { id, key, mode, ctime, size, values, times } = object;
  return {
    id, key, mode, ctime, size, uid: shownUid(task, object.uid), gid: shownGid(task, object.gid), cuid: shownUid(task, object.cuid), cgid: shownGid(task, object.cgid), cpid: pidFor(task, object.creator), lpid: 0, nattch: 0,
    qnum: object.messages.length, cbytes: bytesIn(object), qbytes: object.mostBytes, lspid: pidFor(task, object.sender), lrpid: pidFor(task, object.receiver),
    values: [...values], pids: object.changers.map((pid) => pidFor(task, pid)), put: times.put, taken: times.taken,
  };
}

const bytesIn = (queue: IpcObject): number => queue.messages.reduce((sum, one) => sum + one.data.length, 0);

/** msgsnd(2): waits while the queue is full. */
export function msgsnd(kernel: Kernel, task: Task, id: number, type: number, data: Uint8Array, flags: number): MayBlock<0> {
  if (type < 1 || data.length > knob(task.ns.ipc, 'msgmax')) throw new SysError('EINVAL');
  const queue = objectOf(task, 'msg', id);
  if (!allowed(task, queue, 2)) throw new SysError('EACCES');
  if (bytesIn(queue) + data.length > queue.mostBytes || queue.messages.length + 1 > queue.mostBytes) return later(kernel, task, queue, flags, 'EAGAIN');
  queue.messages.push({ type, data });
  queue.sender = task.leader.pid;
  queue.times.put = Math.floor(wallClock(kernel));
  wake(kernel, channelOf(task, queue));
  return 0;
}

/** msgrcv(2): the first, the first of a type, or of the lowest type up to -type. */
export function msgrcv(kernel: Kernel, task: Task, id: number, size: number, type: number, flags: number): MayBlock<{ type: number; data: Uint8Array }> {
  const queue = objectOf(task, 'msg', id);
  if (!allowed(task, queue, 4)) throw new SysError('EACCES');
  const fitting = queue.messages.filter((one) => type === 0 || (type > 0 ? one.type === type : one.type <= -type));
  const chosen = type < 0 ? fitting.sort((a, b) => a.type - b.type)[0] : fitting[0];
  if (!chosen) return later(kernel, task, queue, flags, 'ENOMSG');
  if (chosen.data.length > size && !(flags & 0o10000)) throw new SysError('E2BIG');
  queue.messages.splice(queue.messages.indexOf(chosen), 1);
  queue.receiver = task.leader.pid;
  queue.times.taken = Math.floor(wallClock(kernel));
  wake(kernel, channelOf(task, queue));
  return { type: chosen.type, data: chosen.data.subarray(0, size) };
}

/** semop(2): all of the operations or none of them. */
export function semop(kernel: Kernel, task: Task, id: number, operations: readonly SemOperation[]): MayBlock<0> {
  const set = objectOf(task, 'sem', id);
  if (operations.length === 0) throw new SysError('EINVAL');
  if (operations.length > knob(task.ns.ipc, 'sem', 2)) throw new SysError('E2BIG');
  if (operations.some((one) => one.number < 0 || one.number >= set.values.length)) throw new SysError('EFBIG');
  if (!allowed(task, set, operations.some((one) => one.change !== 0) ? 2 : 4)) throw new SysError('EACCES');
  const values = [...set.values];
  for (const { number, change, flags = 0 } of operations) {
    const value = values[number]!;
    if (change === 0 ? value !== 0 : value + change < 0) return later(kernel, task, set, flags, 'EAGAIN');
    if (value + change > 32767) throw new SysError('ERANGE');
    values[number] = value + change;
  }
  for (const { number, change } of operations) if (change !== 0) set.changers[number] = task.leader.pid;
  set.values = values;
  set.times.put = Math.floor(wallClock(kernel));
  wake(kernel, channelOf(task, set));
  return 0;
}

function later(kernel: Kernel, task: Task, object: IpcObject, flags: number, errno: 'EAGAIN' | 'ENOMSG'): typeof BLOCK {
  if (flags & IPC_NOWAIT) throw new SysError(errno);
  waitOn(kernel, task, channelOf(task, object));
  return BLOCK;
}
