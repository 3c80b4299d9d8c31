/** create and run, start, delete: a container's life. Source: runc utils_linux.go, libcontainer/container_linux.go. */
import {
  AF_UNIX, AT_FDCWD, AT_SYMLINK_NOFOLLOW, CLONE_NEWCGROUP, CLONE_NEWIPC, CLONE_NEWNET, CLONE_NEWNS, CLONE_NEWPID, CLONE_NEWTIME, CLONE_NEWUSER, CLONE_NEWUTS, O_RDONLY, S_IFIFO, SIG, SOCK_STREAM,
  CAPABILITIES, SysError, termSignal, exited,
} from '../../../kernel/abi.ts';
import { compute, sys } from '../../../kernel/sys.ts';
import { MS } from '../../../sim/units.ts';
import { nowIso } from '../../lib/clock.ts';
import { attempt, exists, mkdirAll, readText, reap, statOf, writeFile } from '../../lib/files.ts';
import { type Call, dial } from '../../lib/http.ts';
import { cgroupDir, makeCgroup, pidsIn, removeCgroup } from './cgroup.ts';
import { followSize, hostConsole, rawMode, receiveMaster, relay, restoreMode } from './console.ts';
import { type Boot, launch } from './launch.ts';
import { HookFailed, type HookState, runHooks } from './hooks.ts';
import { Fatal, log, type Settings } from './log.ts';
import { checkSpec, type Spec } from './spec.ts';
import { validate } from './validate.ts';
import { checkId, FIFO, forget, load, procStat, save, type Saved, statusOf } from './state.ts';

/** Type in the spec to [clone flag, file below /proc/PID/ns]; in the order in which they are joined. */
export const NAMESPACES: Readonly<Record<string, readonly [flag: number, file: string]>> = {
  user: [CLONE_NEWUSER, 'user'], ipc: [CLONE_NEWIPC, 'ipc'], uts: [CLONE_NEWUTS, 'uts'], network: [CLONE_NEWNET, 'net'], pid: [CLONE_NEWPID, 'pid'],
  mount: [CLONE_NEWNS, 'mnt'], cgroup: [CLONE_NEWCGROUP, 'cgroup'], time: [CLONE_NEWTIME, 'time'],
};

export interface CreateOptions {
  id: string;
  bundle: string;
  consoleSocket: string;
  pidFile: string;
  detach: boolean;
  keep: boolean;
}

/** Reads a bundle's config.json. Throws Fatal. */
function* readSpec(settings: Settings, bundle: string): Call<Spec> {
  let source: string;
  try {
    source = yield* readText(`${bundle}/config.json`);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`JSON specification file config.json not found`);
  }
  let raw: unknown;
  try {
    raw = JSON.parse(source);
  } catch {
    throw new Fatal(cutOff(source) ? 'unexpected EOF' : 'invalid character in config.json');
  }
  const checked = checkSpec(raw);
  if ('error' in checked) throw new Fatal(checked.error);
  const { warnings, fault } = validate(checked.spec);
  for (const { message, error } of warnings) yield* log(settings, 'warning', message, error);
  if (fault) throw new Fatal(fault);
  yield* knownCapabilities(settings, checked.spec);
  return checked.spec;
}

/** Others than the kernel's are left out. */
function* knownCapabilities(settings: Settings, { process: { capabilities } }: Spec): Call<void> {
  if (!capabilities) return;
  const unknown = new Set<string>();
  for (const set of ['bounding', 'effective', 'inheritable', 'permitted', 'ambient'] as const) for (const cap of capabilities[set] ?? []) if (!CAPABILITIES.includes(cap.replace(/^CAP_/, '').toLowerCase())) unknown.add(cap);
  if (unknown.size > 0) yield* log(settings, 'warning', `ignoring unknown or unavailable capabilities: [${[...unknown].sort().join(' ')}]`);
}

/** More brackets opened than closed. */
function cutOff(source: string): boolean {
  const bare = source.replace(/"(?:[^"\\]|\\.)*"/g, '');
  return (bare.match(/[{[]/g) ?? []).length > (bare.match(/[}\]]/g) ?? []).length;
}

export function* absolute(path: string): Call<string> {
  if (path.startsWith('/')) return path.replace(/\/+$/, '') || '/';
  return `${(yield* sys('getcwd')).replace(/\/$/, '')}/${path}`.replace(/\/(\.\/?)?$/, '') || '/';
}

function* bootOf(spec: Spec): Call<Boot> {
  let make = 0;
  const join: { type: number; path: string }[] = [];
  for (const type of Object.keys(NAMESPACES)) {
    const wanted = spec.linux.namespaces.find((n) => n.type === type);
    if (!wanted) continue;
    const [flag] = NAMESPACES[type]!;
    if (wanted.path && !(yield* attempt(sys('newfstatat', AT_FDCWD, wanted.path, AT_SYMLINK_NOFOLLOW), null))) throw new Fatal(`unable to create new parent process: namespace path: lstat ${wanted.path}: no such file or directory`);
    if (wanted.path) join.push({ type: flag, path: wanted.path });
    else make |= flag;
  }
  const lines = (maps: Spec['linux']['uidMappings']): string => (maps ?? []).map((m) => `${m.containerID} ${m.hostID} ${m.size}\n`).join('');
  return { make, join, uidMap: lines(spec.linux.uidMappings), gidMap: lines(spec.linux.gidMappings) };
}

/** Makes the container; its first process waits at the fifo. Returns what was saved, the console's master and the terminal it is shown at, or -1. */
function* make(settings: Settings, o: CreateOptions, spec: Spec, keepMaster: boolean): Call<{ saved: Saved; master: number; seat: number }> {
  checkId(o.id);
  const rootfs = yield* absolute(spec.root.path.startsWith('/') ? spec.root.path : `${o.bundle}/${spec.root.path}`);
  if (yield* exists(`${settings.root}/${o.id}`)) throw new Fatal('container with given ID already exists');
  if (!(yield* statOf(rootfs))) throw new Fatal(`invalid rootfs: stat ${rootfs}: no such file or directory`);
  const stateDir = `${settings.root}/${o.id}`;
  yield* mkdirAll(stateDir, 0o711);
  yield* sys('mknodat', AT_FDCWD, `${stateDir}/${FIFO}`, S_IFIFO | 0o622, 0, 0);
  yield* sys('fchmodat', AT_FDCWD, `${stateDir}/${FIFO}`, 0o622);
  const cgroup = yield* cgroupDir(o.id, spec.linux.cgroupsPath, settings.systemd);
  const saved: Saved = {
    id: o.id, bundle: o.bundle, rootfs, initPid: 0, initStart: '', created: yield* nowIso(), cgroup, systemd: settings.systemd, spec,
  };
  const terminal = spec.process.terminal === true;
  let master = -1;
  let seat = -1;
  try {
    yield* compute(10 * MS);
    yield* makeCgroup(cgroup);
    const sockets = terminal ? yield* consoleSockets(o.consoleSocket, keepMaster) : NO_CONSOLE;
    const boot = yield* bootOf(spec);
    const config = { kind: 'standard' as const, state: { id: o.id, bundle: o.bundle }, spec, process: spec.process, rootfs, console: terminal, fifo: true };
    saved.initPid = yield* launch({ boot, config, cgroup, settings, resources: spec.linux.resources ?? {}, stateDir, consoleFd: sockets.theirs, state: { id: o.id, bundle: o.bundle } });
    seat = sockets.seat;
    if (sockets.theirs >= 0) yield* sys('close', sockets.theirs);
    if (sockets.ours >= 0) master = yield* receiveMaster(sockets.ours);
  } catch (error) {
    yield* removeCgroup(cgroup);
    yield* forget(settings, o.id);
    throw error;
  }
  saved.initStart = (yield* procStat(saved.initPid))?.start ?? '';
  yield* save(settings, saved);
  yield* hooked(runHooks(spec, 'poststart', stateOf(saved, 'created')), function* () {
    yield* attempt(sys('kill', saved.initPid, SIG.KILL), 0);
    yield* attempt(reap(saved.initPid), 0);
    yield* destroy(settings, saved);
  });
  if (o.pidFile !== '') yield* writeFile(o.pidFile, String(saved.initPid));
  return { saved, master, seat };
}

const stateOf = ({ id, bundle, initPid }: Saved, status: HookState['status']): HookState => ({ id, bundle, status, pid: status === 'stopped' ? 0 : initPid });

/** A hook that fails ends what it belongs to. Throws Fatal. */
function* hooked(hooks: Call<void>, undo: () => Call<void>): Call<void> {
  try {
    yield* hooks;
  } catch (error) {
    if (!(error instanceof HookFailed)) throw error;
    yield* undo();
    throw new Fatal(error.message);
  }
}

interface ConsoleSockets {
  theirs: number;
  /** Of those who keep the terminal: their end, and the terminal that somebody sits at. */
  ours: number;
  seat: number;
}

export const NO_CONSOLE: ConsoleSockets = { theirs: -1, ours: -1, seat: -1 };

/** The container's end of the console's socket, and ours when we keep the terminal. Throws Fatal. */
export function* consoleSockets(path: string, keepMaster: boolean): Call<ConsoleSockets> {
  if (!keepMaster) {
    try {
      const theirs = yield* dial({ family: 'unix', path });
      yield* sys('fcntl', theirs, 'setfd', 1);
      return { ...NO_CONSOLE, theirs };
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Fatal(`dial unix ${path}: connect: ${error.message.toLowerCase()}`);
    }
  }
  const seat = yield* hostConsole();
  const [ours, theirs] = yield* sys('socketpair', AF_UNIX, SOCK_STREAM);
  yield* sys('fcntl', ours, 'setfd', 1);
  yield* sys('fcntl', theirs, 'setfd', 1);
  return { ours, theirs, seat };
}

function checkTerminal(spec: Spec, o: CreateOptions): void {
  if (!spec.process.terminal && o.consoleSocket !== '') throw new Fatal('cannot use console socket if runc will not detach or allocate tty');
  if (spec.process.terminal && o.detach && o.consoleSocket === '') throw new Fatal('cannot allocate tty if runc will detach without setting console socket');
}

export function* enterBundle(bundle: string): Call<string> {
  if (bundle === '') return yield* sys('getcwd');
  try {
    yield* sys('chdir', bundle);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Fatal(`chdir ${bundle}: ${error.message.toLowerCase()}`);
  }
  return yield* sys('getcwd');
}

export function* create(settings: Settings, given: CreateOptions): Call<number> {
  const o = { ...given, bundle: yield* enterBundle(given.bundle), detach: true };
  const spec = yield* readSpec(settings, o.bundle);
  checkTerminal(spec, o);
  yield* make(settings, o, spec, false);
  return 0;
}

export function* run(settings: Settings, given: CreateOptions): Call<number> {
  const o = { ...given, bundle: yield* enterBundle(given.bundle) };
  const spec = yield* readSpec(settings, o.bundle);
  checkTerminal(spec, o);
  if (!o.detach) yield* attempt(sys('prctl', 'PR_SET_CHILD_SUBREAPER', 1), 0);
  const { saved, master, seat } = yield* make(settings, o, spec, spec.process.terminal === true && !o.detach);
  if (o.detach) {
    yield* start(settings, saved);
    return 0;
  }
  const status = yield* foreground(saved.initPid, master, seat, start(settings, saved));
  if (!o.keep) yield* destroy(settings, saved);
  return status;
}

/** Stays with a process until it ends: its terminal, or the signals that we are sent; its exit status. */
export function* foreground(pid: number, master: number, seat: number, begin: Call<void> | null): Call<number> {
  const before = master >= 0 ? yield* rawMode(seat) : null;
  if (master >= 0) yield* followSize(seat, master);
  for (const signal of [SIG.HUP, SIG.INT, SIG.QUIT, SIG.TERM, SIG.USR1, SIG.USR2]) {
    yield* sys('rt_sigaction', signal, {
      restart: true,
      handler: function* () {
        yield* attempt(sys('kill', pid, signal), 0);
      },
    });
  }
  if (begin) yield* begin;
  if (master >= 0) yield* relay(master, 0, 1);
  const status = yield* reap(pid);
  yield* restoreMode(seat, before);
  return exited(status) ?? 128 + (termSignal(status) ?? 0);
}

/** Lets the process that waits at the fifo go on. Throws Fatal. */
export function* start(settings: Settings, saved: Saved): Call<void> {
  const path = `${settings.root}/${saved.id}/${FIFO}`;
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const data = yield* sys('read', fd, 16);
  yield* sys('close', fd);
  if (data.length === 0) throw new Fatal('cannot start an already running container');
  yield* sys('unlinkat', AT_FDCWD, path, 0);
}

export function* startCommand(settings: Settings, id: string): Call<number> {
  const saved = yield* load(settings, id);
  const status = yield* statusOf(settings, saved);
  if (status === 'stopped') throw new Fatal('cannot start a container that has stopped');
  if (status !== 'created') throw new Fatal('cannot start an already running container');
  yield* start(settings, saved);
  return 0;
}

export function* destroy(settings: Settings, saved: Saved): Call<void> {
  for (let tries = 0; tries < 100; tries++) {
    const pids = yield* pidsIn(saved.cgroup);
    if (pids.length === 0) break;
    for (const pid of pids) yield* attempt(sys('kill', pid, SIG.KILL), 0);
    yield* sys('nanosleep', 10 * MS);
  }
  yield* removeCgroup(saved.cgroup);
  yield* forget(settings, saved.id);
  yield* hooked(runHooks(saved.spec, 'poststop', stateOf(saved, 'stopped')), function* () {});
}

export function* deleteCommand(settings: Settings, id: string, force: boolean): Call<number> {
  checkId(id);
  let saved: Saved;
  try {
    saved = yield* load(settings, id);
  } catch (error) {
    if (!(error instanceof Fatal) || !force) throw error;
    yield* forget(settings, id);
    return 0;
  }
  const status = yield* statusOf(settings, saved);
  if (status === 'stopped') yield* destroy(settings, saved);
  else if (force || status === 'created') {
    yield* attempt(sys('kill', saved.initPid, SIG.KILL), 0);
    for (let tries = 0; tries < 100 && (yield* statusOf(settings, saved)) !== 'stopped'; tries++) yield* sys('nanosleep', 10 * MS);
    yield* destroy(settings, saved);
  } else throw new Fatal(`cannot delete container ${id} that is not stopped: ${status}`);
  return 0;
}
