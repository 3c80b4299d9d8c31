/**
 * libvirtd's side of a QEMU monitor: one connection a domain, a thread that reads it for ever. Whoever asks for something
 * waits on a pipe until the reader has the answer; events go to `onEvent`; the end of the connection is the end of QEMU.
 * Source: libvirt's qemu_monitor.c.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, dial, thread, writeAll } from '../../lib/http.ts';
import { LibvirtError } from '../libvirt/xml.ts';

export interface Monitor {
  pid: number;
  path: string;
  fd: number;
  /** The connection has ended. */
  gone: boolean;
  nextId: number;
  /** By request id: where its asker waits, and the answer once it is there. */
  waiting: Map<string, { wake: number; answer: Answer | null }>;
  onEvent(event: QmpEvent): Call<void>;
  onEnd(): Call<void>;
}

export interface Answer {
  return?: unknown;
  error?: { class: string; desc: string };
  id?: string;
}

export interface QmpEvent {
  event: string;
  data?: Readonly<Record<string, unknown>>;
}

const RETRY = 1_000_000;

/** Connects as soon as QEMU listens; null when `alive` says that it has gone before. */
export function* connectMonitor(pid: number, path: string, alive: () => Call<boolean>, hooks: Pick<Monitor, 'onEvent' | 'onEnd'>): Call<Monitor | null> {
  let fd = -1;
  while (fd < 0) {
    fd = yield* attempt(dial({ family: 'unix', path }), -1, 'ENOENT', 'ECONNREFUSED');
    if (fd >= 0) break;
    if (!(yield* alive())) return null;
    yield* sys('nanosleep', RETRY);
  }
  const monitor: Monitor = { pid, path, fd, gone: false, nextId: 1, waiting: new Map(), ...hooks };
  yield* thread(() => readMonitor(monitor));
  yield* command(monitor, 'qmp_capabilities');
  return monitor;
}

function* readMonitor(monitor: Monitor): Body {
  let held = '';
  for (;;) {
    const data = yield* attempt(sys('read', monitor.fd, 65536), new Uint8Array(0));
    if (data.length === 0) break;
    held += text(data);
    for (let end = held.indexOf('\n'); end >= 0; end = held.indexOf('\n')) {
      const line = held.slice(0, end).trim();
      held = held.slice(end + 1);
      if (line !== '') yield* onLine(monitor, line);
    }
  }
  monitor.gone = true;
  yield* attempt(sys('close', monitor.fd), 0);
  for (const { wake } of monitor.waiting.values()) yield* attempt(sys('write', wake, Uint8Array.of(1)), 0);
  yield* monitor.onEnd();
  return 0;
}

function* onLine(monitor: Monitor, line: string): Call<void> {
  let message: Answer & Partial<QmpEvent>;
  try {
    message = JSON.parse(line) as Answer & QmpEvent;
  } catch {
    return;
  }
  if (message.event !== undefined) return yield* monitor.onEvent(message as QmpEvent);
  const asked = message.id === undefined ? undefined : monitor.waiting.get(message.id);
  if (!asked) return;
  asked.answer = message;
  yield* sys('write', asked.wake, Uint8Array.of(1));
}

/** Sends a message and waits for what QEMU answers to it. Throws LibvirtError when QEMU ends meanwhile. */
export function* exchange(monitor: Monitor, message: Readonly<Record<string, unknown>>): Call<Answer> {
  const broken = new LibvirtError('Unable to read from monitor: Connection reset by peer');
  if (monitor.gone) throw broken;
  const id = `libvirt-${monitor.nextId++}`;
  const [wait, wake] = yield* sys('pipe2', 0);
  const asked: { wake: number; answer: Answer | null } = { wake, answer: null };
  monitor.waiting.set(id, asked);
  try {
    yield* writeAll(monitor.fd, bytes(`${JSON.stringify({ ...message, id })}\r\n`));
    if (!asked.answer) yield* sys('read', wait, 1);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw broken;
  } finally {
    monitor.waiting.delete(id);
    yield* sys('close', wait);
    yield* sys('close', wake);
  }
  if (!asked.answer) throw broken;
  return asked.answer;
}

/** A command's result. Throws LibvirtError with QEMU's own words. */
export function* command(monitor: Monitor, execute: string, args?: Readonly<Record<string, unknown>>): Call<unknown> {
  const answer = yield* exchange(monitor, args ? { execute, arguments: args } : { execute });
  if (answer.error) throw new LibvirtError(`internal error: unable to execute QEMU command '${execute}': ${answer.error.desc}`);
  return answer.return;
}
