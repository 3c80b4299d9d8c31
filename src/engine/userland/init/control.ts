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
import type { Restart, Timer, UnitFile } from './units.ts';

export const SOCKET = '/run/systemd/private';

export interface Order {
  verb: 'start' | 'stop' | 'restart' | 'try-restart' | 'reload-unit' | 'reload-or-restart' | 'reload-or-try-restart' | 'list' | 'reload' | 'poweroff' | 'reboot' | 'reset-failed' | 'kill' | 'forget' | 'run' | 'scope' | 'set';
  units: readonly string[];
  signal?: number;
  /** False: answered before the job has come to its end. */
  block?: boolean;
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
  restart: Restart;
  /** Of a scope: who moves into it. */
  pid: number;
  properties: Properties;
  /** Forgotten when it has ended, even if it failed. */
  collect: boolean;
  uid: number | null;
  gid: number | null;
  /** What a service starts with beside its groups: Nice=, OOMScoreAdjust=, Limit…=; ns until a restart; stays active when it has ended well. */
  nice?: number;
  oomScoreAdjust?: number;
  limits?: Readonly<Record<string, string>>;
  restartAfter?: number;
  remain?: boolean;
  /** What else a unit file would say of a service. */
  unit?: Partial<UnitFile>;
  /** Of a timer that starts it: made along with it. */
  timer?: Timer;
  timerProperties?: Properties;
  /** Somebody waits: kept when it has ended, until told to forget. */
  wait?: boolean;
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
  restart: string;
  type: string;
  killMode: string;
  nice: number;
  oomScoreAdjust: number;
  /** When it ran and what that took: monotonic ns between start and end, CPU ns, bytes at most; 0 unknown. */
  ran: number;
  cpu: number;
  peak: number;
  exec: readonly string[];
  /** Resource settings. */
  properties: Properties;
  load: UnitFile['load'];
  /** The file is another than the one that was read. */
  stale: boolean;
  control: number;
  /** Commands that have ended in this run. */
  past: readonly { phase: string; argv: readonly string[]; pid: number; code: 'exited' | 'killed'; status: number; ignored: boolean }[];
  problem: string;
  invocation: string;
  documentation: readonly string[];
  /** As its file says, where one is read. */
  unit?: UnitFile;
  slice: string;
  /** Of a timer: what it starts, when next (ns since 1970), when last; 0 never. */
  triggers: string;
  next: number;
  lastTrigger: number;
}

export interface Answer {
  units: UnitRow[];
  /** Unit names there are no files of. */
  missing: string[];
  /** Jobs that failed. */
  failed: string[];
  /** Results of those. */
  reasons?: Record<string, string>;
  /** Units that cannot be what was asked, and why. */
  refused?: { name: string; why: 'masked' | 'bad-setting' | 'not-applicable' | 'dependency' }[];
  /** Why the order was refused; empty when it was not. */
  error?: string;
}

/** Asks process 1, descriptors sent along. Throws SysError when there is no manager. */
export function* ask(order: Order, fds: readonly number[] = []): Call<Answer> {
  const fd = yield* sys('socket', AF_UNIX, SOCK_STREAM, 0);
  try {
    yield* sys('connect', fd, { family: 'unix', path: SOCKET });
    const line = bytes(`${JSON.stringify(order)}\n`);
    if (fds.length > 0) yield* sys('sendmsg', fd, line, fds);
    else yield* writeAll(fd, line);
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
