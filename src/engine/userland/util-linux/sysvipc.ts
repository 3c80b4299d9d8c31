/** ipcs, ipcmk and ipcrm of util-linux 2.41: what System V objects there are, making and removing them. Source: their manual pages. */
import { IPC_CREAT, type Errno, SysError } from '../../kernel/abi.ts';
import { type IpcStatus, sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { readAccounts, groupName, userName } from '../coreutils/accounts.ts';
import { BadOption, lastValue, type Options, parseOptions } from '../lib/args.ts';
import { readText } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';

type Kind = 'msg' | 'shm' | 'sem';

const KINDS: readonly Kind[] = ['msg', 'shm', 'sem'];
const OPTION: Readonly<Record<Kind, string>> = { msg: 'queues', shm: 'shmems', sem: 'semaphores' };
const control = (kind: Kind, id: number, what: string): Call<IpcStatus | 0> => (kind === 'shm' ? sys('shmctl', id, what) : kind === 'msg' ? sys('msgctl', id, what) : sys('semctl', id, what));

/** Rows of /proc/sysvipc, by the names of their columns. */
function* listed(kind: Kind): Call<Record<string, number>[]> {
  const [head, ...rows] = (yield* readText(`/proc/sysvipc/${kind}`)).trim().split('\n').map((line) => line.trim().split(/\s+/));
  return rows.map((row) => Object.fromEntries(head!.map((name, i) => [name, name === 'perms' ? Number.parseInt(row[i]!, 8) : Number(row[i])])));
}

const columns = (widths: readonly number[], cells: readonly (string | number)[]): string => `${cells.map((cell, i) => String(cell).padEnd(widths[i]!)).join(' ')}\n`;
const tens = (count: number): number[] => Array.from({ length: count }, () => 10);
const hex = (key: number): string => `0x${(key >>> 0).toString(16).padStart(8, '0')}`;

const clock = (time: number, form: string): string => (time === 0 ? 'Not set' : strftime(form, time));
const short = (time: number): string => clock(time, '%b %e %H:%M:%S').padEnd(20);
const long = (time: number): string => clock(time, '%a %b %e %H:%M:%S %Y').padEnd(26);

const ID: Readonly<Record<Kind, string>> = { msg: 'msqid', shm: 'shmid', sem: 'semid' };

interface Names {
  user(uid: number): string;
  group(gid: number): string;
}

function human(bytes: number): string {
  const units = ['B', 'K', 'M', 'G', 'T', 'P', 'E'];
  let at = 0;
  let left = bytes;
  for (; left >= 1024 && at < 6; at++) left /= 1024;
  return `${Number.isInteger(left) ? left : left.toFixed(1)}${units[at]}`;
}

const TITLES: Readonly<Record<Kind, Readonly<Record<string, string>>>> = {
  msg: { creator: 'Message Queues Creators/Owners', pid: 'Message Queues PIDs', time: 'Message Queues Send/Recv/Change Times', '': 'Message Queues' },
  shm: { creator: 'Shared Memory Segment Creators/Owners', pid: 'Shared Memory Creator/Last-op PIDs', time: 'Shared Memory Attach/Detach/Change Times', '': 'Shared Memory Segments' },
  sem: { creator: 'Semaphore Arrays Creators/Owners', time: 'Semaphore Operation/Change Times', '': 'Semaphore Arrays' },
};

type Row = Record<string, number>;

/** Head and rows of a table. */
function table(kind: Kind, how: string, rows: readonly Row[], names: Names, readable: boolean): string {
  const id = ID[kind];
  const owner = (row: Row): string => names.user(row.uid!).slice(0, 10);
  if (how === 'creator') {
    const cells = (row: Row): (string | number)[] => [row[id]!, row.perms!.toString(8), names.user(row.cuid!), names.group(row.cgid!), names.user(row.uid!), names.group(row.gid!)];
    return columns(tens(6), [id, 'perms', 'cuid', 'cgid', 'uid', 'gid']) + rows.map((row) => columns(tens(6), cells(row))).join('');
  }
  if (how === 'pid') {
    if (kind === 'msg') return columns(tens(4), [id, 'owner', 'lspid', 'lrpid']) + rows.map((row) => `${columns([8, 10], [row[id]!, owner(row)]).trimEnd().padEnd(19)}  ${String(row.lspid).padStart(5)}     ${String(row.lrpid).padStart(5)}\n`).join('');
    return columns(tens(4), [id, 'owner', 'cpid', 'lpid']) + rows.map((row) => columns(tens(4), [row[id]!, owner(row), row.cpid!, row.lpid!])).join('');
  }
  if (how === 'time') {
    if (kind === 'sem') return columns([8, 10, 26, 26], [id, 'owner', 'last-op', 'last-changed']) + rows.map((row) => columns([8, 11, 26, 26], [row[id]!, owner(row), long(row.otime!), long(row.ctime!)])).join('');
    const [width, first, second] = kind === 'msg' ? [8, 'stime', 'rtime'] as const : [10, 'atime', 'dtime'] as const;
    const head = kind === 'msg' ? ['send', 'recv', 'change'] : ['attached', 'detached', 'changed'];
    return columns([width, 10, 20, 20, 20], [id, 'owner', ...head]) + rows.map((row) => columns([width, 10, 20, 20, 20], [row[id]!, owner(row), short(row[first]!), short(row[second]!), short(row.ctime!)])).join('');
  }
  const size = (bytes: number): string | number => (readable ? human(bytes).padStart(6) : bytes);
  const common = (row: Row): (string | number)[] => [hex(row.key!), row[id]!, owner(row), row.perms!.toString(8)];
  if (kind === 'msg') return columns([10, 10, 10, 10, 12, 12], ['key', id, 'owner', 'perms', readable ? 'size' : 'used-bytes', 'messages']) + rows.map((row) => columns([10, 10, 10, 10, 12, 12], [...common(row), size(row.cbytes!), row.qnum!])).join('');
  if (kind === 'sem') return columns(tens(5), ['key', id, 'owner', 'perms', 'nsems']) + rows.map((row) => columns(tens(5), [...common(row), row.nsems!])).join('');
  return columns([10, 10, 10, 10, 10, 10, 12], ['key', id, 'owner', 'perms', readable ? 'size' : 'bytes', 'nattch', 'status']) + rows.map((row) => columns([10, 10, 10, 10, 10, 10, 6, 6], [...common(row), size(row.size!), row.nattch!, '', ''])).join('');
}

function* number(name: string, at = 0): Call<bigint> {
  return BigInt((yield* readText(`/proc/sys/kernel/${name}`)).trim().split(/\s+/)[at]!);
}

const least = (a: bigint, b: bigint): bigint => (a < b ? a : b);
const ALL = 2n ** 64n - 1n;

function* limits(kind: Kind): Call<string> {
  if (kind === 'msg') return `------ Messages Limits --------\nmax queues system wide = ${yield* number('msgmni')}\nmax size of message (bytes) = ${yield* number('msgmax')}\ndefault max size of queue (bytes) = ${yield* number('msgmnb')}\n`;
  if (kind === 'shm') {
    const pages = least((yield* number('shmall')) * 4096n, ALL - 4095n + 0n);
    return `------ Shared Memory Limits --------\nmax number of segments = ${yield* number('shmmni')}\nmax seg size (kbytes) = ${(yield* number('shmmax')) / 1024n}\nmax total shared memory (kbytes) = ${pages === ALL - 4095n ? 18446744073709551612n : pages / 1024n}\nmin seg size (bytes) = 1\n`;
  }
  return `------ Semaphore Limits --------\nmax number of arrays = ${yield* number('sem', 3)}\nmax semaphores per array = ${yield* number('sem', 0)}\nmax semaphores system wide = ${yield* number('sem', 1)}\nmax ops per semop call = ${yield* number('sem', 2)}\nsemaphore max value = 32767\n`;
}

function* summary(kind: Kind): Call<string> {
  const rows = yield* listed(kind);
  const sum = (of: (row: Row) => number): number => rows.reduce((total, row) => total + of(row), 0);
  if (kind === 'msg') return `------ Messages Status --------\nallocated queues = ${rows.length}\nused headers = ${sum((row) => row.qnum!)}\nused space = ${sum((row) => row.cbytes!)} bytes\n`;
  if (kind === 'shm') return `------ Shared Memory Status --------\nsegments allocated ${rows.length}\npages allocated ${sum((row) => Math.ceil(row.size! / 4096))}\npages resident  ${sum((row) => row.rss! / 4096)}\npages swapped   ${sum((row) => row.swap! / 4096)}\nSwap performance: 0 attempts\t 0 successes\n`;
  return `------ Semaphore Status --------\nused arrays = ${rows.length}\nallocated semaphores = ${sum((row) => row.nsems!)}\n`;
}

const octal = (mode: number): string => `0${mode.toString(8)}`;

function detail(kind: Kind, one: IpcStatus): string {
  const ids = (gap: string): string => `uid=${one.uid}${gap}gid=${one.gid}${gap}cuid=${one.cuid}${gap}cgid=${one.cgid}`;
  if (kind === 'shm') {
    return `\nShared memory Segment shmid=${one.id}\n${ids('\t')}\nmode=${octal(one.mode)}\taccess_perms=${octal(one.mode & 0o777)}\nbytes=${one.size}\tlpid=${one.lpid}\tcpid=${one.cpid}\tnattch=${one.nattch}\natt_time=${long(0)}\ndet_time=${long(0)}\nchange_time=${long(one.ctime)}\n\n`;
  }
  if (kind === 'msg') {
    return `\nMessage Queue msqid=${one.id}\n${ids('\t')}\tmode=${octal(one.mode)}\ncbytes=${one.cbytes}\tqbytes=${one.qbytes}\tqnum=${one.qnum}\tlspid=${one.lspid}\tlrpid=${one.lrpid}\nsend_time=${long(one.put)}\nrcv_time=${long(one.taken)}\nchange_time=${long(one.ctime)}\n\n`;
  }
  const rows = one.values.map((value, i) => columns(tens(5), [i, value, 0, 0, one.pids[i]!])).join('');
  return `\nSemaphore Array semid=${one.id}\n${ids('\t ')}\nmode=${octal(one.mode)}, access_perms=${octal(one.mode & 0o777)}\nnsems = ${one.values.length}\notime = ${long(one.put)}\nctime = ${long(one.ctime)}\n${columns(tens(5), ['semnum', 'value', 'ncount', 'zcount', 'pid'])}${rows}\n`;
}

function* one(kinds: readonly Kind[], id: string): Call<number> {
  if (kinds.length !== 1) throw new Failed('when using an ID, a single resource must be specified');
  if (!/^\d+$/.test(id)) throw new Failed(`failed to parse id argument: '${id}'`);
  try {
    yield* print(detail(kinds[0]!, (yield* control(kinds[0]!, Number(id), 'STAT')) as IpcStatus));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`ipcs: id ${id} not found\n`);
  }
  return 0;
}

export const ipcs = command(function* (argv) {
  const o = parseOptions('i/id= m/shmems q/queues s/semaphores a/all t/time p/pid c/creator l/limits u/summary human b/bytes posix-shmems posix-mqueues posix-semaphores', argv.slice(1));
  const chosen = KINDS.filter((kind) => o.on.has(OPTION[kind]));
  const id = lastValue(o, 'id');
  if (id !== undefined) return yield* one(chosen, id);
  const accounts = yield* readAccounts();
  const names: Names = { user: (uid) => userName(accounts, uid), group: (gid) => groupName(accounts, gid) };
  const how = (['limits', 'summary', 'creator', 'pid', 'time'] as const).find((name) => o.on.has(name)) ?? '';
  yield* print('\n');
  for (const kind of chosen.length > 0 && !o.on.has('all') ? chosen : KINDS) {
    if (how === 'limits') yield* print(yield* limits(kind));
    else if (how === 'summary') yield* print(yield* summary(kind));
    else if (TITLES[kind][how] !== undefined) yield* print(`------ ${TITLES[kind][how]} --------\n${table(kind, how, yield* listed(kind), names, o.on.has('human'))}`);
    yield* print('\n');
  }
  return 0;
});

const SIZES: Readonly<Record<string, number>> = { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3, T: 1024 ** 4, KB: 1000, MB: 1e6, GB: 1e9, KIB: 1024, MIB: 1024 ** 2, GIB: 1024 ** 3 };

function sizeOf(word: string): number {
  const [, count, unit] = /^(\d+)([A-Za-z]*)$/.exec(word) ?? [];
  const scale = SIZES[(unit ?? '').toUpperCase()];
  if (count === undefined || scale === undefined) throw new Failed(`failed to parse size: '${word}': Invalid argument`);
  return Number(count) * scale;
}

function* made(what: string, call: Call<number>, title: string): Call<void> {
  let id: number;
  try {
    id = yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`create ${what} failed: ${strerror(error)}`);
  }
  yield* print(`${title} id: ${id}\n`);
}

export const ipcmk = command(function* (argv) {
  const o = parseOptions('M/shmem= S/semaphore= Q/queue p/mode=', argv.slice(1));
  const mode = lastValue(o, 'mode') ?? '644';
  if (!/^[0-7]+$/.test(mode)) throw new Failed('failed to parse mode: Success');
  const [size, count] = [lastValue(o, 'shmem'), lastValue(o, 'semaphore')];
  if (size === undefined && count === undefined && !o.on.has('queue')) throw new BadOption('bad usage');
  const bytes = size === undefined ? 0 : sizeOf(size);
  if (count !== undefined && !/^-?\d+$/.test(count)) throw new Failed(`failed to parse elements: '${count}'`);
  const key = function* (): Call<number> {
    const fd = yield* sys('openat', -100, '/dev/urandom', 0);
    const [a, b, c, d] = yield* sys('read', fd, 4);
    yield* sys('close', fd);
    return ((a! << 24) | (b! << 16) | (c! << 8) | d!) || 1;
  };
  const flags = IPC_CREAT | (Number.parseInt(mode, 8) & 0o777);
  if (size !== undefined) yield* made('share memory', sys('shmget', yield* key(), bytes, flags), 'Shared memory');
  if (o.on.has('queue')) yield* made('message queue', sys('msgget', yield* key(), flags), 'Message queue');
  if (count !== undefined) yield* made('semaphore', sys('semget', yield* key(), Number(count), flags), 'Semaphore');
  return 0;
});

const REMOVED: Readonly<Record<Kind, string>> = { shm: 'shared memory segment', msg: 'message queue', sem: 'semaphore' };

/** Whether it went; else what is wrong has been said. */
function* remove(kind: Kind, word: string, by: 'id' | 'key', o: Options): Call<boolean> {
  let id = Number(word);
  if (by === 'key') {
    const key = /^(0x[0-9a-f]+|\d+)$/i.test(word) ? Number(word) : Number.NaN;
    if (Number.isNaN(key) || key === 0) {
      yield* complain(Number.isNaN(key) ? `ipcrm: failed to parse argument: '${word}'\n` : `ipcrm: illegal key (${word})\n`);
      return false;
    }
    id = (yield* listed(kind)).find((row) => row.key === (key | 0))?.[ID[kind]] ?? -1;
  } else if (!/^\d+$/.test(word)) throw new Failed(`failed to parse argument: '${word}'`);
  try {
    if (id < 0) throw new SysError('EINVAL');
    if (o.on.has('verbose')) yield* print(`removing ${REMOVED[kind]} id \`${id}'\n`);
    yield* control(kind, id, 'RMID');
    return true;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const words: Partial<Record<Errno, string>> = { EINVAL: 'invalid', EPERM: 'permission denied for', EACCES: 'permission denied for' };
    yield* complain(`ipcrm: ${words[error.errno] ?? strerror(error)} ${by} (${word})\n`);
    return false;
  }
}

const LETTERS: Readonly<Record<string, [kind: Kind, by: 'id' | 'key']>> = {
  'shmem-id': ['shm', 'id'], 'shmem-key': ['shm', 'key'], 'queue-id': ['msg', 'id'], 'queue-key': ['msg', 'key'], 'semaphore-id': ['sem', 'id'], 'semaphore-key': ['sem', 'key'],
};

export const ipcrm = command(function* (argv) {
  const o = parseOptions('m/shmem-id= M/shmem-key= q/queue-id= Q/queue-key= s/semaphore-id= S/semaphore-key= a/all? v/verbose', argv.slice(1));
  let fine = true;
  const old = o.words[0] as Kind | undefined;
  if (old !== undefined) {
    if (!KINDS.includes(old) || o.words.length < 2) throw new BadOption(KINDS.includes(old) ? 'not enough arguments' : `unknown resource type: ${old}`);
    for (const word of o.words.slice(1)) fine = (yield* remove(old, word, 'id', o)) && fine;
    return fine ? 0 : 1;
  }
  const given = Object.keys(LETTERS).filter((name) => o.values.has(name));
  if (given.length === 0 && !o.on.has('all')) throw new BadOption('bad usage');
  for (const name of given) for (const word of o.values.get(name)!) fine = (yield* remove(...([LETTERS[name]![0], word, LETTERS[name]![1], o] as const))) && fine;
  if (o.on.has('all')) {
    const only = lastValue(o, 'all');
    if (only !== undefined && !(KINDS as readonly string[]).includes(only)) throw new Failed(`unknown argument: ${only}`);
    for (const kind of ['shm', 'sem', 'msg'] as const) {
      if (only !== undefined && only !== kind) continue;
      for (const row of yield* listed(kind)) fine = (yield* remove(kind, String(row[ID[kind]]), 'id', o)) && fine;
    }
  }
  return fine ? 0 : 1;
});
