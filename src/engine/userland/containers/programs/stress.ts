/**
 * stress(1) 1.0: imposes load by worker processes that spin on sqrt, sync, malloc and free, or write and unlink. The first
 * process only waits; when a worker dies of a signal it says so, ends the others and exits 1.
 */
import { AT_FDCWD, exited, O_CREAT, O_RDWR, SIG, SysError, termSignal } from '../../../kernel/abi.ts';
import { type Body, compute, sys, touch } from '../../../kernel/sys.ts';
import { MS, SECOND, US } from '../../../sim/units.ts';
import { BadOption, type Options, parseOptions, lastValue as valueIn } from '../../lib/args.ts';
import { attempt, fork } from '../../lib/files.ts';
import { type Call, writeAll } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { MAP_ANONYMOUS, MAP_PRIVATE, PROT_READ, PROT_WRITE } from '../../../kernel/abi.ts';

const SPEC = '?/help version v/verbose q/quiet n/dry-run t/timeout= backoff= c/cpu= i/io= m/vm= vm-bytes= vm-stride= vm-hang= vm-keep d/hdd= hdd-bytes=';
const HELP = `\`stress' imposes certain types of compute stress on your system

Usage: stress [OPTION [ARG]] ...
 -?, --help         show this help statement
     --version      show version statement
 -v, --verbose      be verbose
 -q, --quiet        be quiet
 -n, --dry-run      show what would have been done
 -t, --timeout N    timeout after N seconds
     --backoff N    wait factor of N microseconds before work starts
 -c, --cpu N        spawn N workers spinning on sqrt()
 -i, --io N         spawn N workers spinning on sync()
 -m, --vm N         spawn N workers spinning on malloc()/free()
     --vm-bytes B   malloc B bytes per vm worker (default is 256MB)
     --vm-stride B  touch a byte every B bytes (default is 4096)
     --vm-hang N    sleep N secs before free (default none, 0 is inf)
     --vm-keep      redirty memory instead of freeing and reallocating
 -d, --hdd N        spawn N workers spinning on write()/unlink()
     --hdd-bytes B  write B bytes per hdd worker (default is 1GB)

Example: stress --cpu 8 --io 4 --vm 2 --vm-bytes 128M --timeout 10s

Note: Numbers may be suffixed with s,m,h,d,y (time) or B,K,M,G (size).
`;

/** ns that a program takes itself for each mebibyte. */
const FILL = 250 * US;

interface Plan {
  workers: Record<Kind, number>;
  timeout: number;
  backoff: number;
  vmBytes: number;
  vmHang: number | null;
  vmKeep: boolean;
  hddBytes: number;
  level: number;
}
type Kind = 'cpu' | 'io' | 'vm' | 'hdd';
const HOGS: Readonly<Record<Kind, (plan: Plan) => Call<void>>> = { cpu: spin, io: sync, vm: memory, hdd: disk };

class BadNumber extends Error {}

function number(o: Options, name: string, units: Readonly<Record<string, number>>, fallback: number): number {
  const source = valueIn(o, name);
  if (source === undefined) return fallback;
  const m = /^(-?\d+)([a-zA-Z]?)$/.exec(source);
  const unit = m?.[2] ? (units[m[2]] ?? units[m[2].toUpperCase()] ?? units[m[2].toLowerCase()]) : 1;
  if (!m || unit === undefined) throw new BadNumber(`unrecognized suffix: ${/[^\d-]/.exec(source)?.[0] ?? ''}`);
  return Number(m[1]) * unit;
}
const SIZES = { B: 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 };
const TIMES = { s: 1, m: 60, h: 3600, d: 86400, y: 31536000 };

function planOf(o: Options): Plan {
  const workers = { cpu: number(o, 'cpu', {}, 0), io: number(o, 'io', {}, 0), vm: number(o, 'vm', {}, 0), hdd: number(o, 'hdd', {}, 0) };
  for (const [kind, n] of Object.entries(workers)) if (n < 0) throw new BadNumber(`invalid number of ${kind} hogs: ${n}`);
  return {
    workers, timeout: number(o, 'timeout', TIMES, 0), backoff: number(o, 'backoff', {}, 3000), vmBytes: number(o, 'vm-bytes', SIZES, 256 * 1024 ** 2),
    vmHang: o.on.has('vm-hang') ? number(o, 'vm-hang', TIMES, 0) : null, vmKeep: o.on.has('vm-keep'), hddBytes: number(o, 'hdd-bytes', SIZES, 1024 ** 3),
    level: o.on.has('quiet') ? 0 : o.on.has('verbose') ? 3 : 2,
  };
}

/** Lines of `stress: kind: [pid] …`; kinds above the level asked for stay silent. */
function* say(plan: Plan, kind: 'info' | 'dbug' | 'FAIL' | 'WARN', text: string): Call<void> {
  if ({ FAIL: 0, WARN: 1, info: 2, dbug: 3 }[kind] > plan.level) return;
  const line = `stress: ${kind}: [${yield* sys('getpid')}] ${text}\n`;
  yield* kind === 'FAIL' || kind === 'WARN' ? complain(line) : print(line);
}

export function* stress(argv: readonly string[]): Body {
  let o: Options;
  let plan: Plan;
  try {
    o = parseOptions(SPEC, argv.slice(1));
    plan = planOf(o);
  } catch (error) {
    if (!(error instanceof BadOption) && !(error instanceof BadNumber)) throw error;
    const word = error instanceof BadOption ? `unrecognized option: ${argv.find((a) => a.startsWith('-')) ?? ''}` : error.message;
    yield* complain(`stress: FAIL: [${yield* sys('getpid')}] (244) ${word}\n`);
    return 1;
  }
  if (o.on.has('version')) {
    yield* print('stress 1.0.7\n');
    return 0;
  }
  const { workers } = plan;
  const count = workers.cpu + workers.io + workers.vm + workers.hdd;
  if (o.on.has('help') || count === 0) {
    yield* print(HELP);
    return o.on.has('help') || argv.length < 2 ? 0 : 1;
  }
  yield* say(plan, 'info', `dispatching hogs: ${workers.cpu} cpu, ${workers.io} io, ${workers.vm} vm, ${workers.hdd} hdd`);
  return yield* dispatch(plan, count, o.on.has('dry-run'));
}

function* dispatch(plan: Plan, count: number, dry: boolean): Call<number> {
  const began = yield* sys('clock_gettime', 'monotonic');
  const children = new Set<number>();
  let left = count;
  for (const kind of ['cpu', 'io', 'vm', 'hdd'] as const) {
    for (let n = plan.workers[kind]; n > 0; n--, left--) {
      const backoff = plan.backoff * left;
      yield* say(plan, 'dbug', `using backoff sleep of ${backoff}us`);
      if (plan.timeout > 0) yield* say(plan, 'dbug', `setting timeout to ${plan.timeout}s`);
      if (dry) continue;
      const pid = yield* fork(() => worker(plan, kind, backoff));
      children.add(pid);
      yield* say(plan, 'dbug', `--> hog${kind} worker ${n} [${pid}] forked`);
    }
  }
  const failed = yield* watch(plan, children);
  const seconds = Math.round(((yield* sys('clock_gettime', 'monotonic')) - began) / SECOND);
  if (failed) yield* say(plan, 'FAIL', `(451) failed run completed in ${seconds}s`);
  else yield* say(plan, 'info', `successful run completed in ${seconds}s`);
  return failed ? 1 : 0;
}

function* worker(plan: Plan, kind: Kind, backoff: number): Body {
  if (plan.timeout > 0) yield* sys('alarm', plan.timeout);
  yield* sys('nanosleep', backoff * US);
  try {
    yield* HOGS[kind](plan);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* say(plan, 'FAIL', kind === 'vm' ? `(494) hogvm malloc failed: ${error.message}` : `(530) hog${kind} failed: ${error.message}`);
    return 1;
  }
  return 0;
}

/** Waits for every worker; an alarm is a good end, any other signal a failure that takes the others along. */
function* watch(plan: Plan, children: Set<number>): Call<boolean> {
  let failed = false;
  while (children.size > 0) {
    const ended = yield* attempt(sys('wait4', -1, 0), null, 'EINTR');
    if (!ended || !children.delete(ended.pid)) continue;
    const signal = termSignal(ended.status);
    if (signal === SIG.ALRM || (failed && signal === SIG.USR1)) {
      yield* say(plan, 'dbug', `<-- worker ${ended.pid} signalled normally`);
      continue;
    }
    const code = exited(ended.status);
    if (code === 0) {
      yield* say(plan, 'dbug', `<-- worker ${ended.pid} returned normally`);
      continue;
    }
    yield* say(plan, 'FAIL', signal === null ? `(415) <-- worker ${ended.pid} returned error ${code}` : `(415) <-- worker ${ended.pid} got signal ${signal}`);
    if (failed) continue;
    failed = true;
    yield* say(plan, 'WARN', '(417) now reaping child worker processes');
    for (const pid of children) yield* attempt(sys('kill', pid, SIG.USR1), 0);
  }
  return failed;
}

function* spin(): Call<void> {
  for (;;) yield* compute(10 * MS);
}

function* sync(): Call<void> {
  for (;;) {
    yield* sys('sync');
    yield* compute(MS);
  }
}

function* memory(plan: Plan): Call<void> {
  let address = -1;
  for (;;) {
    if (address < 0) {
      yield* say(plan, 'dbug', `allocating ${plan.vmBytes} bytes ...`);
      address = yield* sys('mmap', plan.vmBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    }
    yield* say(plan, 'dbug', 'touching bytes in strides of 4096 bytes ...');
    yield* touch(address, plan.vmBytes, 'w');
    if (plan.vmHang === 0) for (;;) yield* sys('nanosleep', 3600 * SECOND);
    if (plan.vmHang !== null) {
      yield* say(plan, 'dbug', `sleeping for ${plan.vmHang}s with allocated memory`);
      yield* sys('nanosleep', plan.vmHang * SECOND);
    }
    yield* compute(MS);
    if (plan.vmKeep) continue;
    yield* sys('munmap', address, plan.vmBytes);
    yield* say(plan, 'dbug', `freed ${plan.vmBytes} bytes`);
    address = -1;
  }
}

function* disk(plan: Plan): Call<void> {
  const block = new Uint8Array(1 << 20);
  const name = `./stress.${yield* sys('getpid')}`;
  for (;;) {
    const fd = yield* sys('openat', AT_FDCWD, name, O_RDWR | O_CREAT, 0o600);
    yield* sys('unlinkat', AT_FDCWD, name, 0);
    for (let at = 0; at < plan.hddBytes; at += block.length) {
      yield* writeAll(fd, block);
      yield* compute(FILL);
    }
    yield* sys('close', fd);
  }
}
