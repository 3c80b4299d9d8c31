/**
 * What systemctl and process 1 say to each other over /run/systemd/private: one line of JSON each way on a connection of its own
 * (the real one speaks D-Bus there).
 */
import { SOCK_STREAM, AF_UNIX } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { joinBytes } from '../../sim/wire.ts';
import { type Call, writeAll } from '../lib/http.ts';
import type { Properties } from './resources.ts';

export const SOCKET = '/run/systemd/private';

export interface Order {
  verb: 'start' | 'stop' | 'restart' | 'list' | 'reload' | 'poweroff' | 'reboot' | 'reset-failed' | 'kill' | 'run' | 'scope' | 'set';
  units: readonly string[];
  signal?: number;
  /** Of run and scope: a unit that no file has; of set: its settings alone count. */
  transient?: Transient;
}

export interface Transient {
  name: string;
  description: string;
  slice: string;
  /** Of a service. */
  exec: readonly string[];
  environment: Readonly<Record<string, string>>;
  cwd: string;
  restart: 'no' | 'always' | 'on-failure';
  /** Of a scope: who moves into it. */
  pid: number;
  properties: Properties;
  /** Forgotten when it has ended, even if it failed. */
  collect: boolean;
  uid: number | null;
  gid: number | null;
}

export interface UnitRow {
  name: string;
  description: string;
  /** Of the unit file; empty for slices and scopes. */
  path: string;
  active: 'active' | 'inactive' | 'failed' | 'activating' | 'deactivating';
  sub: string;
  pid: number;
  /** Last change of state, ns since 1970; 0 never. */
  since: number;
  /** How its main process ended: "exited", "killed", or "" when it has not. */
  code: '' | 'exited' | 'killed';
  status: number;
  exitedPid: number;
  /** Why it failed: "exit-code", "signal"; or "success". */
  result: string;
  cgroup: string;
  restarts: number;
  /** Resource settings. */
  properties: Properties;
}

export interface Answer {
  units: UnitRow[];
  /** Unit names there are no files of. */
  missing: string[];
  /** Jobs that failed. */
  failed: string[];
  /** Why the order was refused; empty when it was not. */
  error?: string;
}

/** Asks process 1. Throws SysError when there is no manager. */
export function* ask(order: Order): Call<Answer> {
  const fd = yield* sys('socket', AF_UNIX, SOCK_STREAM, 0);
  try {
    yield* sys('connect', fd, { family: 'unix', path: SOCKET });
    yield* writeAll(fd, bytes(`${JSON.stringify(order)}\n`));
    const parts: Uint8Array[] = [];
    for (;;) {
      const data = yield* sys('read', fd, 65536);
      if (data.length === 0) break;
      parts.push(data);
    }
    return JSON.parse(text(joinBytes(parts)) || '{"units":[],"missing":[],"failed":[]}') as Answer;
  } finally {
    yield* sys('close', fd);
  }
}
