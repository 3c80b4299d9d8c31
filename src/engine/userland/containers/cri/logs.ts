/**
 * Container output as files in the interface's format: a line each, `TIME STREAM F|P TEXT`; P where a line goes on. Threads
 * of containerd read the fifos that the shim writes. Source: containerd pkg/cri/io/logger.go.
 */
import { AT_FDCWD, O_APPEND, O_CLOEXEC, O_CREAT, O_RDONLY, O_RDWR, O_WRONLY, S_IFIFO } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';
import { isoNano, nowNs } from '../../lib/clock.ts';
import { attempt, mkdirAll, removeAll } from '../../lib/files.ts';
import { type Call, thread, writeAll } from '../../lib/http.ts';
import type { Streams } from '../containerd/api.ts';
import { STATE } from './state.ts';

/** Longest piece of a line in one record. */
const PIECE = 16 * 1024;

const dirOf = (id: string): string => `${STATE}/containers/${id}/io`;

/** The fifo that a container with an input reads. */
export const stdinOf = (id: string): string => `${dirOf(id)}/${id.slice(0, 12)}-stdin`;

/** Makes the fifos of a container or one of its processes. */
export function* makeFifos(id: string, name: string, want: { stdin: boolean; stderr: boolean }): Call<Streams> {
  const dir = dirOf(id);
  yield* mkdirAll(dir, 0o700);
  const s: Streams = { stdin: want.stdin ? `${dir}/${name}-stdin` : '', stdout: `${dir}/${name}-stdout`, stderr: want.stderr ? `${dir}/${name}-stderr` : '', terminal: false };
  for (const path of [s.stdin, s.stdout, s.stderr]) if (path !== '') yield* attempt(sys('mknodat', AT_FDCWD, path, S_IFIFO | 0o700, 0, 0), 0, 'EEXIST');
  return s;
}

/** Wakes whoever still waits for the other end of these fifos, and takes them away. */
export function* dropFifos(s: Streams): Call<void> {
  for (const path of [s.stdin, s.stdout, s.stderr]) {
    if (path === '') continue;
    const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDWR | O_CLOEXEC), -1);
    if (fd >= 0) yield* sys('close', fd);
    yield* removeAll(path);
  }
}

/** A container's output on its way: the open log, and who else listens. */
export interface Tap {
  log: number;
  path: string;
  users: number;
  listeners: Set<(stream: 'stdout' | 'stderr', data: Uint8Array) => Call<void>>;
}

const APPEND = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC;

/** Follows both streams into the log file; '' keeps nothing. */
export function* logStreams(s: Streams, path: string): Call<Tap> {
  if (path !== '') yield* mkdirAll(path.slice(0, path.lastIndexOf('/')));
  const log = yield* sys('openat', AT_FDCWD, path === '' ? '/dev/null' : path, APPEND, 0o640);
  const tap: Tap = { log, path, users: [s.stdout, s.stderr].filter((p) => p !== '').length, listeners: new Set() };
  for (const [fifo, name] of [[s.stdout, 'stdout'], [s.stderr, 'stderr']] as const) {
    if (fifo === '') continue;
    yield* thread(function* (): Body {
      const fd = yield* attempt(sys('openat', AT_FDCWD, fifo, O_RDONLY | O_CLOEXEC), -1);
      if (fd >= 0) yield* follow(fd, tap, name);
      if (--tap.users === 0) yield* attempt(sys('close', tap.log), 0);
      return 0;
    });
  }
  return tap;
}

/** The log was moved away: what comes from now on goes to a new one. */
export function* reopen(tap: Tap): Call<void> {
  if (tap.users === 0 || tap.path === '') return;
  const old = tap.log;
  tap.log = yield* sys('openat', AT_FDCWD, tap.path, APPEND, 0o640);
  yield* attempt(sys('close', old), 0);
}

function* follow(fd: number, tap: Tap, stream: 'stdout' | 'stderr'): Call<void> {
  let held: Uint8Array = new Uint8Array(0);
  for (;;) {
    const data = yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') continue;
    if (data.length === 0) break;
    for (const listener of tap.listeners) yield* listener(stream, data);
    held = yield* records(joinBytes([held, data]), tap, stream);
  }
  if (held.length > 0) yield* record(tap.log, stream, 'F', held);
  yield* attempt(sys('close', fd), 0);
}

/** Writes the whole lines; what is left over. */
function* records(data: Uint8Array, tap: Tap, stream: string): Call<Uint8Array> {
  let rest = data;
  for (;;) {
    const end = rest.indexOf(10);
    if (end >= 0 && end <= PIECE) {
      yield* record(tap.log, stream, 'F', rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    } else if (rest.length >= PIECE) {
      yield* record(tap.log, stream, 'P', rest.subarray(0, PIECE));
      rest = rest.subarray(PIECE);
    } else return rest;
  }
}

function* record(log: number, stream: string, tag: 'F' | 'P', line: Uint8Array): Call<void> {
  const head = bytes(`${isoNano(yield* nowNs())} ${stream} ${tag} `);
  yield* attempt(writeAll(log, joinBytes([head, line, new Uint8Array([10])])), undefined);
}
