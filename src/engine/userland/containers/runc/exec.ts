/** runc exec: another process in the namespaces and the cgroup of a container. Source: runc exec.go, setns_init_linux.go. */
import { SysError } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { attempt, readText, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { foreground, consoleSockets, NAMESPACES, NO_CONSOLE } from './create.ts';
import { receiveMaster } from './console.ts';
import { launch } from './launch.ts';
import { Fatal, type Settings } from './log.ts';
import type { Process } from './spec.ts';
import { load, statusOf, type Saved } from './state.ts';

interface ExecOptions {
  id: string;
  args: readonly string[];
  consoleSocket: string;
  pidFile: string;
  /** File with the process as JSON; the other options are then without effect. */
  processFile: string;
  env: readonly string[];
  cwd: string;
  user: string;
  gids: readonly number[];
  caps: readonly string[];
  tty: boolean;
  detach: boolean;
  noNewPrivs: boolean;
  ignorePaused: boolean;
}

export function* exec(settings: Settings, o: ExecOptions): Call<number> {
  const saved = yield* load(settings, o.id);
  const status = yield* statusOf(settings, saved);
  if (status === 'stopped') throw new Fatal('cannot exec in a stopped container');
  if (status === 'paused' && !o.ignorePaused) throw new Fatal('cannot exec in a paused container (use --ignore-paused to override)');
  const process = o.processFile === '' ? processOf(saved, o) : yield* readProcess(o.processFile);
  checkProcess(process);
  if (process.terminal && o.detach && o.consoleSocket === '') throw new Fatal('cannot allocate tty if runc will detach without setting console socket');
  if (!o.detach) yield* attempt(sys('prctl', 'PR_SET_CHILD_SUBREAPER', 1), 0);
  const keepMaster = process.terminal === true && !o.detach;
  const sockets = process.terminal ? yield* consoleSockets(o.consoleSocket, keepMaster) : NO_CONSOLE;
  const pid = yield* launch({
    boot: { make: 0, join: joinOf(saved), uidMap: '', gidMap: '' },
    config: { kind: 'setns', state: null, spec: saved.spec, process, rootfs: saved.rootfs, console: process.terminal === true, fifo: false },
    cgroup: saved.cgroup, settings: { ...settings, systemd: saved.systemd }, resources: null, stateDir: '', consoleFd: sockets.theirs, state: null,
  });
  if (sockets.theirs >= 0) yield* sys('close', sockets.theirs);
  const master = sockets.ours >= 0 ? yield* receiveMaster(sockets.ours) : -1;
  if (o.pidFile !== '') yield* writeFile(o.pidFile, String(pid));
  return o.detach ? 0 : yield* foreground(pid, master, sockets.seat, null);
}

function checkProcess({ cwd, args }: Process): void {
  if (!cwd) throw new Fatal('Cwd property must not be empty');
  if (!cwd.startsWith('/')) throw new Fatal('Cwd must be an absolute path');
  if (!args || args.length === 0) throw new Fatal('process args cannot be empty');
}

function joinOf(saved: Saved): { type: number; path: string }[] {
  return Object.entries(NAMESPACES)
    .filter(([type]) => saved.spec.linux.namespaces.some((n) => n.type === type))
    .map(([, [flag, file]]) => ({ type: flag, path: `/proc/${saved.initPid}/ns/${file}` }));
}

function processOf(saved: Saved, o: ExecOptions): Process {
  const base = saved.spec.process;
  const [uid, gid] = o.user === '' ? [base.user.uid, base.user.gid] : numbers(o.user, base.user.gid);
  const capabilities = { ...base.capabilities };
  if (o.caps.length > 0) for (const set of ['bounding', 'effective', 'permitted'] as const) capabilities[set] = [...(capabilities[set] ?? []), ...o.caps];
  return {
    ...base, terminal: o.tty, args: [...o.args], env: [...(base.env ?? []), ...o.env], cwd: o.cwd === '' ? base.cwd : o.cwd, user: { uid, gid, additionalGids: [...o.gids] },
    ...(base.capabilities ? { capabilities } : {}), ...(o.noNewPrivs ? { noNewPrivileges: true } : {}),
  };
}

function numbers(user: string, group: number): [number, number] {
  const [uid, gid] = user.split(':');
  if (!/^\d+$/.test(uid!)) throw new Fatal(`parsing ${uid} as int for uid failed: strconv.Atoi: parsing ${JSON.stringify(uid)}: invalid syntax`);
  if (gid !== undefined && !/^\d+$/.test(gid)) throw new Fatal(`parsing ${gid} as int for gid failed: strconv.Atoi: parsing ${JSON.stringify(gid)}: invalid syntax`);
  return [Number(uid), gid === undefined ? group : Number(gid)];
}

function* readProcess(path: string): Call<Process> {
  try {
    return JSON.parse(yield* readText(path)) as Process;
  } catch (error) {
    if (error instanceof SysError) throw new Fatal(`open ${path}: ${error.message.toLowerCase()}`);
    throw new Fatal('unexpected EOF');
  }
}
