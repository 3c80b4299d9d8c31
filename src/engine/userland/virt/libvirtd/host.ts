/**
 * What the rules of libvirt/domains.ts ask of the machine, done by system calls: a QEMU process in its control group, its
 * monitor, files under /etc/libvirt and /run/libvirt, processor time from /proc. QEMU is a daemon of its own: it outlives
 * libvirtd, which finds it again by its status file and monitor socket.
 */
import { AT_FDCWD, O_APPEND, O_CREAT, O_RDONLY, O_WRONLY, SIG, SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { isoNano, nowNs } from '../../lib/clock.ts';
import { appendFile, attempt, exists, fork, mkdirAll, poke, reap, removeAll, statOf, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { ended, type Host, type Kept, type Libvirt } from '../libvirt/domains.ts';
import { type Domain, LibvirtError } from '../libvirt/xml.ts';
import { commandLine, homeOf, monitorOf } from './commandline.ts';
import { command, connectMonitor, exchange, type Monitor, type QmpEvent } from './monitor.ts';
import { makeScope, removeScope, scopeOf } from './scope.ts';

/** Domains that run, by QEMU's pid. */
interface Life {
  domain: Domain;
  id: number;
  monitor: Monitor;
  /** Why it will have ended: known before its monitor closes. */
  reason: string | null;
  /** A reset follows the guest's shutdown. */
  rebooting: boolean;
}

const LOGS = '/var/log/libvirt/qemu';
const logOf = (name: string): string => `${LOGS}/${name}.log`;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

export function createHost(state: Libvirt): Host & { adopt(kept: Kept): Call<boolean> } {
  const lives = new Map<number, Life>();
  const lifeOf = (pid: number): Life => {
    const life = lives.get(pid);
    if (!life) throw new LibvirtError('internal error: domain has no monitor');
    return life;
  };
  const host: Host = {
    *launch(domain, id, paused) {
      return yield* launch(state, host, lives, domain, id, paused);
    },
    *kill(pid) {
      const life = lives.get(pid);
      if (life) life.reason = 'destroyed';
      yield* attempt(sys('kill', pid, SIG.TERM), 0);
      for (let tries = 0; (yield* alive(pid)) && tries < 200; tries++) {
        if (tries === 100) yield* attempt(sys('kill', pid, SIG.KILL), 0);
        yield* sys('nanosleep', 10_000_000);
      }
    },
    *monitor(pid, what) {
      const life = lifeOf(pid);
      if (what === 'reboot') life.rebooting = true;
      yield* command(life.monitor, what === 'reboot' ? 'system_powerdown' : what);
    },
    *qmp(pid, message) {
      return yield* exchange(lifeOf(pid).monitor, message);
    },
    *save(path, data) {
      yield* mkdirAll(path.slice(0, path.lastIndexOf('/')), 0o755);
      yield* writeFile(path, data, 0o600);
    },
    *remove(path) {
      yield* attempt(sys('unlinkat', AT_FDCWD, path, 0), 0);
    },
    cpuTime,
    *rss(pid) {
      return Number(/^VmRSS:\s+(\d+)/m.exec((yield* tryRead(`/proc/${pid}/status`)) ?? '')?.[1] ?? 0);
    },
    *size(path) {
      return (yield* statOf(path))?.size ?? null;
    },
    *knob(id, name, file, value) {
      const path = `${scopeOf(id, name)}/${file}`;
      if (value !== undefined) yield* attempt(poke(path, value), undefined);
      return yield* tryRead(path);
    },
    nodeStats,
  };
  return { ...host, adopt: (kept) => adopt(state, host, lives, kept) };
}

function* alive(pid: number): Call<boolean> {
  if ((yield* attempt(sys('kill', pid, 0), -1)) !== 0) return false;
  return !/^State:\s+Z/m.test((yield* tryRead(`/proc/${pid}/status`)) ?? '');
}

/** What the domain's scope was charged, ns; on a machine without control groups the ticks of /proc/PID/stat. */
function* cpuTime(pid: number): Call<number> {
  const scope = /^0::(\/.*\.scope)/m.exec((yield* tryRead(`/proc/${pid}/cgroup`)) ?? '')?.[1];
  const usage = scope === undefined ? null : /^usage_usec (\d+)/m.exec((yield* tryRead(`/sys/fs/cgroup${scope}/cpu.stat`)) ?? '');
  if (usage) return Number(usage[1]) * 1000;
  const fields = ((yield* tryRead(`/proc/${pid}/stat`)) ?? '').replace(/^.*\) /s, '').split(' ');
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) * 1e7;
}

function* nodeStats(what: 'memory' | 'processor'): Call<Readonly<Record<string, number>>> {
  if (what === 'memory') {
    const meminfo = (yield* tryRead('/proc/meminfo')) ?? '';
    const kib = (name: string): number => Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(meminfo)?.[1] ?? 0);
    return { total: kib('MemTotal'), free: kib('MemFree'), buffers: kib('Buffers'), cached: kib('Cached') };
  }
  const ticks = (/^cpu\s+(.*)$/m.exec((yield* tryRead('/proc/stat')) ?? '')?.[1] ?? '').split(' ').map((n) => Number(n) * 1e7);
  return { user: (ticks[0] ?? 0) + (ticks[1] ?? 0), system: ticks[2] ?? 0, idle: ticks[3] ?? 0, iowait: ticks[4] ?? 0 };
}

function* launch(state: Libvirt, host: Host, lives: Map<number, Life>, domain: Domain, id: number, paused: boolean): Call<{ pid: number; pty: string }> {
  if (!(yield* exists(domain.emulator))) throw new LibvirtError(`Cannot check QEMU binary ${domain.emulator}: No such file or directory`);
  const home = homeOf(id, domain.name);
  yield* mkdirAll(home, 0o750);
  yield* mkdirAll(LOGS, 0o755);
  const argv = commandLine(domain, id);
  yield* appendFile(logOf(domain.name), `${yield* stamp()}: starting up libvirt version: 9.0.0, qemu version: 7.2.22, hostname: ${state.hostname}\n${loggedLine(argv)}\n`);
  for (const what of leftOut(domain)) yield* appendFile(logOf(domain.name), `not modelled, left out: ${what}\n`);
  const logged = (yield* statOf(logOf(domain.name)))?.size ?? 0;
  const group = yield* makeScope(id, domain.name);
  const pid = yield* spawnDaemon(argv, logOf(domain.name), group);
  const monitor = yield* attach(state, host, lives, domain, id, pid);
  if (!monitor) {
    const said = text(bytes((yield* tryRead(logOf(domain.name))) ?? '').subarray(logged)).trim();
    yield* cleanUp(domain, id, 'failed');
    throw new LibvirtError(`internal error: process exited while connecting to monitor: ${said}`);
  }
  yield* host.save(`/run/libvirt/qemu/${domain.name}.pid`, `${pid}\n`);
  const devices = (yield* command(monitor, 'query-chardev')) as { label: string; filename: string }[];
  const pty = devices.find((one) => one.label === 'charserial0')?.filename.replace(/^pty:/, '') ?? '';
  if (!paused) yield* command(monitor, 'cont');
  return { pid, pty };
}

/** What the definition has and the modelled QEMU has not. */
function leftOut(domain: Domain): string[] {
  return [
    ...domain.disks.map((disk) => `disk ${disk.target}`), ...domain.interfaces.map((nic) => `network interface ${nic.mac}`), ...(domain.balloon ? ['memory balloon'] : []),
  ];
}

/** An option and its value on one line, as libvirt's logs have them. */
function loggedLine(argv: readonly string[]): string {
  const lines = ['LC_ALL=C', `PATH=${PATH}`];
  for (const word of argv) {
    const last = lines.at(-1)!;
    if (last.startsWith('-') && !last.includes(' ') && !word.startsWith('-')) lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines.join(' \\\n');
}

function* attach(state: Libvirt, host: Host, lives: Map<number, Life>, domain: Domain, id: number, pid: number): Call<Monitor | null> {
  const monitor = yield* connectMonitor(pid, monitorOf(id, domain.name), () => alive(pid), {
    onEvent: (event) => onEvent(lives.get(pid), event),
    onEnd: () => onEnd(state, host, lives, pid),
  });
  if (monitor) lives.set(pid, { domain, id, monitor, reason: null, rebooting: false });
  return monitor;
}

function* onEvent(life: Life | undefined, { event, data }: QmpEvent): Call<void> {
  if (!life || event !== 'SHUTDOWN') return;
  if (data?.guest !== true || data.reason === 'guest-reset') {
    life.reason ??= 'shutdown';
    if (data?.reason !== 'guest-reset') return;
  }
  const { monitor, domain } = life;
  if (life.rebooting || domain.onPoweroff === 'restart') {
    life.rebooting = false;
    // asked for by the reader of the answers itself: nobody may wait for one here
    yield* sys('write', monitor.fd, bytes('{"execute":"system_reset"}\r\n{"execute":"cont"}\r\n'));
    return;
  }
  if (domain.onPoweroff === 'preserve') return;
  life.reason = 'shutdown';
  yield* attempt(sys('kill', monitor.pid, SIG.TERM), 0);
}

/** The monitor has closed: QEMU is gone, by our hand, by the guest's, or by accident. */
function* onEnd(state: Libvirt, host: Host, lives: Map<number, Life>, pid: number): Call<void> {
  const life = lives.get(pid);
  if (!life) return;
  lives.delete(pid);
  const reason = life.reason ?? 'crashed';
  yield* cleanUp(life.domain, life.id, reason);
  const kept = state.domains.get(life.domain.name);
  if (reason !== 'destroyed' && kept?.running?.pid === pid) yield* ended(state, host, kept, reason);
}

function* cleanUp(domain: Domain, id: number, reason: string): Call<void> {
  yield* appendFile(logOf(domain.name), `${yield* stamp()}: shutting down, reason=${reason}\n`);
  yield* removeAll(homeOf(id, domain.name));
  yield* attempt(sys('unlinkat', AT_FDCWD, `/run/libvirt/qemu/${domain.name}.pid`, 0), 0);
  yield* removeScope(id, domain.name);
}

/** "2026-01-15 09:00:00.000+0000". */
function* stamp(): Call<string> {
  const iso = isoNano(yield* nowNs());
  const fraction = (/\.(\d+)/.exec(iso)?.[1] ?? '').padEnd(3, '0').slice(0, 3);
  return `${iso.slice(0, 10)} ${iso.slice(11, 19)}.${fraction}+0000`;
}

/** Starts a program that belongs to nobody: a child of a child in a session of its own, its output in the log. */
function* spawnDaemon(argv: readonly string[], log: string, group: string | null): Call<number> {
  const [read, write] = yield* sys('pipe2', 0);
  const between = yield* fork(() => middle(argv, log, group, write));
  yield* sys('close', write);
  const pid = Number(text(yield* sys('read', read, 32)));
  yield* sys('close', read);
  yield* reap(between);
  return pid;
}

function* middle(argv: readonly string[], log: string, group: string | null, write: number): Body {
  yield* sys('setsid');
  const pid = yield* fork(() => daemon(argv, log, group));
  yield* sys('write', write, bytes(String(pid)));
  return 0;
}

function* daemon(argv: readonly string[], log: string, group: string | null): Body {
  if (group) yield* attempt(poke(`${group}/cgroup.procs`, '0'), undefined);
  const quiet = yield* sys('openat', AT_FDCWD, '/dev/null', O_RDONLY);
  const out = yield* sys('openat', AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND, 0o600);
  for (const [from, to] of [[quiet, 0], [out, 1], [out, 2]] as const) if (from !== to) yield* sys('dup3', from, to, 0);
  for (let fd = 3; fd < 64; fd++) yield* attempt(sys('close', fd), 0);
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
  try {
    yield* sys('execve', argv[0]!, argv, { LC_ALL: 'C', PATH, HOME: '/root' });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* sys('write', 2, bytes(`libvirt:  error : cannot execute binary ${argv[0]}: ${error.message}\n`));
  }
  return 126;
}

/** After a restart of libvirtd: takes up a domain whose QEMU still runs; false when it does not. */
function* adopt(state: Libvirt, host: Host, lives: Map<number, Life>, kept: Kept): Call<boolean> {
  const { running, domain } = kept;
  if (!running || !(yield* alive(running.pid))) return false;
  return (yield* attach(state, host, lives, domain, running.id, running.pid)) !== null;
}
