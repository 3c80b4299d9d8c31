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

/** Follows both streams into the log file; '' keeps nothing. */
export function* logStreams(s: Streams, path: string): Call<void> {
  if (path !== '') yield* mkdirAll(path.slice(0, path.lastIndexOf('/')));
  const log = yield* sys('openat', AT_FDCWD, path === '' ? '/dev/null' : path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o640);
  const state = { log, users: [s.stdout, s.stderr].filter((p) => p !== '').length };
  for (const [fifo, name] of [[s.stdout, 'stdout'], [s.stderr, 'stderr']] as const) {
    if (fifo === '') continue;
    yield* thread(function* (): Body {
      const fd = yield* attempt(sys('openat', AT_FDCWD, fifo, O_RDONLY | O_CLOEXEC), -1);
      if (fd >= 0) yield* follow(fd, log, name);
      if (--state.users === 0) yield* attempt(sys('close', log), 0);
      return 0;
    });
  }
}

function* follow(fd: number, log: number, stream: string): Call<void> {
  let held: Uint8Array = new Uint8Array(0);
  for (;;) {
    const data = yield* attempt(attempt(sys('read', fd, 65536), 'again' as const, 'EINTR'), new Uint8Array(0));
    if (data === 'again') continue;
    if (data.length === 0) break;
    held = yield* records(joinBytes([held, data]), log, stream);
  }
  if (held.length > 0) yield* record(log, stream, 'F', held);
  yield* attempt(sys('close', fd), 0);
}

/** Writes the whole lines; what is left over. */
function* records(data: Uint8Array, log: number, stream: string): Call<Uint8Array> {
  let rest = data;
  for (;;) {
    const end = rest.indexOf(10);
    if (end >= 0 && end <= PIECE) {
      yield* record(log, stream, 'F', rest.subarray(0, end));
      rest = rest.subarray(end + 1);
    } else if (rest.length >= PIECE) {
      yield* record(log, stream, 'P', rest.subarray(0, PIECE));
      rest = rest.subarray(PIECE);
    } else return rest;
  }
}

function* record(log: number, stream: string, tag: 'F' | 'P', line: Uint8Array): Call<void> {
  const head = bytes(`${isoNano(yield* nowNs())} ${stream} ${tag} `);
  yield* attempt(writeAll(log, joinBytes([head, line, new Uint8Array([10])])), undefined);
}
