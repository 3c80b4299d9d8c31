/** /proc/sysvipc: the System V objects of the reader's ipc namespace. Source: sysvipc(7), ipc/shm.c, ipc/msg.c, ipc/sem.c. */
import { type IpcKind, ipcObjects, statusOf } from '../../ipc.ts';
import type { IpcStatus } from '../../sys.ts';
import { fixed, type Node } from '../pseudo.ts';

type Column = readonly [title: string, width: number, of: (one: IpcStatus) => number | string];

const key: Column = ['key', 10, (one) => one.key | 0];
const perms: Column = ['perms', 5, (one) => one.mode.toString(8)];
const OWNERS: readonly Column[] = [['uid', 5, (one) => one.uid], ['gid', 5, (one) => one.gid], ['cuid', 5, (one) => one.cuid], ['cgid', 5, (one) => one.cgid]];

const COLUMNS: Readonly<Record<IpcKind, readonly Column[]>> = {
  shm: [
    key, ['shmid', 10, (one) => one.id], perms, ['size', 21, (one) => one.size], ['cpid', 5, (one) => one.cpid], ['lpid', 5, (one) => one.lpid], ['nattch', 6, (one) => one.nattch], ...OWNERS,
    ['atime', 10, () => 0], ['dtime', 10, () => 0], ['ctime', 10, (one) => one.ctime], ['rss', 21, () => 0], ['swap', 21, () => 0],
  ],
  msg: [
    key, ['msqid', 10, (one) => one.id], perms, ['cbytes', 11, (one) => one.cbytes], ['qnum', 10, (one) => one.qnum], ['lspid', 5, (one) => one.lspid], ['lrpid', 5, (one) => one.lrpid], ...OWNERS,
    ['stime', 10, (one) => one.put], ['rtime', 10, (one) => one.taken], ['ctime', 10, (one) => one.ctime],
  ],
  sem: [key, ['semid', 10, (one) => one.id], perms, ['nsems', 10, (one) => one.values.length], ...OWNERS, ['otime', 10, (one) => one.put], ['ctime', 10, (one) => one.ctime]],
};

const row = (cells: readonly (number | string)[], columns: readonly Column[]): string => `${cells.map((cell, i) => String(cell).padStart(columns[i]![1])).join(' ')}\n`;

function table(kind: IpcKind): Node {
  const columns = COLUMNS[kind];
  return {
    kind: 'file',
    read: (_kernel, task) => row(columns.map(([title]) => title), columns) + ipcObjects(task.ns.ipc, kind).map((one) => row(columns.map(([, , of]) => of(statusOf(task, one))), columns)).join(''),
  };
}

export const sysvipcDir = (): Node => fixed({ msg: table('msg'), sem: table('sem'), shm: table('shm') });
