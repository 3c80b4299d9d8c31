/**
 * wl: does what a script tells it, verb by verb, to try control groups with: takes memory, spins, writes files, forks. Verbs are
 * separated by semicolons; each prints a line when it is done. Times are seconds since the start that -t names (seconds since boot).
 * A tool of the lab's own, after the workload program that the recorded measurements of a real kernel were made with.
 */
import {
  AT_FDCWD, CLONE_FILES, CLONE_THREAD, CLONE_VM, MAP_ANONYMOUS, MAP_PRIVATE, MAP_SHARED, O_CREAT, O_DIRECT, O_RDONLY, O_TRUNC, O_WRONLY, PROT_READ, PROT_WRITE, SIG, SysError,
} from '../../../kernel/abi.ts';
import { type Body, compute, type Program, sys, touch } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { MS, SECOND } from '../../../sim/units.ts';
import { BadOption, lastValue, parseOptions } from '../../lib/args.ts';
import { poke } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { command, Failed, print } from '../../lib/io.ts';

const CGROUPS = '/sys/fs/cgroup';

interface State {
  name: string;
  t0: number;
  areas: { at: number; size: number }[];
  kids: number[];
  dead: number[];
}

function* put(path: string, value: string): Call<void> {
  yield* poke(path, value);
}

function* slurp(path: string): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_RDONLY);
  const data = yield* sys('read', fd, 65536);
  yield* sys('close', fd);
  return text(data).trim();
}

function size(word: string): number {
  const match = /^(\d+)([KMG]?)$/.exec(word)!;
  return Number(match[1]) * { '': 1, K: 1024, M: 1024 ** 2, G: 1024 ** 3 }[match[2] as 'K']!;
}

/** Processor time spent in small parts, as an endless loop is seen by a scheduler that may cut anywhere. */
function* spin(ns: number): Call<void> {
  for (let left = ns; left > 0; left -= 1000 * SECOND) yield* compute(Math.min(left, 1000 * SECOND));
}

function* sleepUntil(s: State, seconds: number): Call<void> {
  const now = yield* sys('clock_gettime', 'monotonic');
  const left = s.t0 + seconds * SECOND - now;
  if (left > 0) yield* sys('nanosleep', left);
}

function* allocate(s: State, word: string): Call<string> {
  try {
    const at = yield* sys('mmap', size(word), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
    s.areas.push({ at, size: size(word) });
    yield* touch(at, size(word), 'w');
    return 'ok';
  } catch (error) {
    if (error instanceof SysError) return error.errno;
    throw error;
  }
}

function* writeFile(path: string, total: number): Call<number> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
  const block = new Uint8Array(65536);
  let done = 0;
  while (done < total) done += yield* sys('write', fd, block.subarray(0, Math.min(block.length, total - done)));
  yield* sys('close', fd);
  return done;
}

/** Direct I/O in blocks, and how long it took. */
function* move(path: string, flags: number, block: number, count: number): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, path, flags, 0o644);
  const began = yield* sys('clock_gettime', 'monotonic');
  const data = new Uint8Array(block);
  for (let i = 0; i < count; i++) yield* flags & O_WRONLY ? sys('write', fd, data) : sys('read', fd, block);
  const ended = yield* sys('clock_gettime', 'monotonic');
  yield* sys('close', fd);
  return `bytes=${block * count} ios=${count} secs=${((ended - began) / SECOND).toFixed(3)}`;
}

function* idle(): Body {
  for (;;) yield* sys('pause');
}

function* forkMany(s: State, count: number): Call<string> {
  let ok = 0;
  let failed = 0;
  let errno = ' 0';
  for (let i = 0; i < count; i++) {
    try {
      s.kids.push(yield* sys('clone', { flags: 0, run: idle }));
      ok++;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      failed++;
      errno = ` ${error.errno}`;
    }
  }
  return `try=${count} ok=${ok} fail=${failed}${errno}`;
}

const VERBS: Record<string, (s: State, args: string[]) => Call<string | null>> = {
  *at(s, [when]) {
    yield* sleepUntil(s, Number(when));
    return null;
  },
  *sleep(_s, [seconds]) {
    yield* sys('nanosleep', Number(seconds) * SECOND);
    return null;
  },
  *spin() {
    yield* spin(Number.MAX_SAFE_INTEGER);
    return null;
  },
  *burn(_s, [seconds]) {
    yield* spin(Number(seconds) * SECOND);
    return null;
  },
  *duty(s, [burn, sleep, until]) {
    for (;;) {
      const now = yield* sys('clock_gettime', 'monotonic');
      if (now >= s.t0 + Number(until) * SECOND) return null;
      yield* compute(Number(burn) * MS);
      yield* sys('nanosleep', Number(sleep) * MS);
    }
  },
  *nice(_s, [value]) {
    yield* sys('setpriority', 0, 0, Number(value));
    return null;
  },
  *dwrite(_s, [path, block, count]) {
    return yield* move(path!, O_WRONLY | O_CREAT | O_DIRECT, size(block!), Number(count));
  },
  *dread(_s, [path, block, count]) {
    return yield* move(path!, O_RDONLY | O_DIRECT, size(block!), Number(count));
  },
  *bwrite(_s, [path, word]) {
    const began = yield* sys('clock_gettime', 'monotonic');
    const written = yield* writeFile(path!, size(word!));
    const between = yield* sys('clock_gettime', 'monotonic');
    const fd = yield* sys('openat', AT_FDCWD, path!, O_RDONLY);
    yield* sys('fsync', fd);
    yield* sys('close', fd);
    const ended = yield* sys('clock_gettime', 'monotonic');
    return `bytes=${written} write_s=${((between - began) / SECOND).toFixed(3)} fsync_s=${((ended - between) / SECOND).toFixed(3)}`;
  },
  *policy(_s, [name]) {
    yield* sys('sched_setscheduler', 0, name === 'idle' ? 'SCHED_IDLE' : 'SCHED_BATCH', 0);
    return null;
  },
  *anon(s, [word]) {
    return `${word} ${yield* allocate(s, word!)}`;
  },
  *touch(s) {
    for (const area of s.areas) yield* touch(area.at, area.size, 'w');
    return 'done';
  },
  *free(s) {
    for (const area of s.areas.splice(0)) yield* sys('munmap', area.at, area.size);
    return 'ok';
  },
  *file(_s, [path, word]) {
    return `${word} wrote=${yield* writeFile(path!, size(word!))} 0`;
  },
  *shm(_s, [path, word]) {
    return `${word} wrote=${yield* writeFile(path!, size(word!))} 0`;
  },
  *fsync(_s, [path]) {
    const fd = yield* sys('openat', AT_FDCWD, path!, O_RDONLY);
    yield* sys('fsync', fd);
    yield* sys('close', fd);
    return '0';
  },
  *unlink(_s, [path]) {
    yield* sys('unlinkat', AT_FDCWD, path!, 0);
    return '0';
  },
  *rfile(_s, [path]) {
    const fd = yield* sys('openat', AT_FDCWD, path!, O_RDONLY);
    let got = 0;
    for (;;) {
      const data = yield* sys('read', fd, 65536);
      if (data.length === 0) break;
      got += data.length;
    }
    yield* sys('close', fd);
    return `read=${got} 0`;
  },
  *mapfile(_s, [path]) {
    const fd = yield* sys('openat', AT_FDCWD, path!, O_RDONLY);
    const { size: length } = yield* sys('fstat', fd);
    const at = yield* sys('mmap', length, PROT_READ, MAP_SHARED, fd, 0);
    yield* touch(at, length, 'r');
    return 'ok';
  },
  *adj(_s, [value]) {
    yield* put('/proc/self/oom_score_adj', value!);
    return null;
  },
  *move(_s, [group]) {
    yield* put(`${CGROUPS}${group}/cgroup.procs`, '0');
    return null;
  },
  *write(_s, [file, value]) {
    try {
      yield* put(`${CGROUPS}${file}`, value!);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      return `${file}=${value!} ${error.errno}`;
    }
    return `${file}=${value!} 0`;
  },
  *cat(_s, [file]) {
    return `${file} ${yield* slurp(`${CGROUPS}${file}`)}`;
  },
  *fork(s, [count]) {
    return yield* forkMany(s, Number(count));
  },
  *thread(_s, [count]) {
    let ok = 0;
    let errno = '0';
    for (let i = 0; i < Number(count); i++) {
      try {
        yield* sys('clone', { flags: CLONE_VM | CLONE_THREAD | CLONE_FILES, run: idle });
        ok++;
      } catch (error) {
        if (!(error instanceof SysError)) throw error;
        ({ errno } = error);
      }
    }
    return `try=${count} ok=${ok} fail=${Number(count) - ok} ${errno}`;
  },
  *forkanon(s, [count, word, adj]) {
    for (let i = 0; i < Number(count); i++) {
      const name = `${s.name}.c${i}`;
      s.kids.push(
        yield* sys('clone', {
          flags: 0,
          *run(): Body {
            yield* sys('prctl', 'PR_SET_NAME', name);
            if (adj !== undefined) yield* put('/proc/self/oom_score_adj', adj);
            const own: State = { ...s, name, areas: [], kids: [], dead: [] };
            yield* allocate(own, word!);
            for (;;) yield* sys('pause');
          },
        }),
      );
    }
    return null;
  },
  *kids() {
    return null;
  },
  *reap(s, [count]) {
    for (let i = 0; i < Number(count); i++) {
      let pid = s.dead.shift();
      if (pid === undefined) {
        pid = s.kids.shift();
        if (pid === undefined) break;
        yield* sys('kill', pid, SIG.KILL);
      }
      yield* sys('wait4', pid, 0);
    }
    return null;
  },
  *killonly(s, [count]) {
    for (let i = 0; i < Number(count); i++) {
      const pid = s.kids.shift()!;
      s.dead.push(pid);
      yield* sys('kill', pid, SIG.KILL);
    }
    return null;
  },
  *pause() {
    for (;;) yield* sys('pause');
  },
};

/** wl [-n NAME] [-c CGROUP] [-a OOM_SCORE_ADJ] [-t SECONDS] SCRIPT */
export const wl: Program = command(function* (argv) {
  const o = parseOptions('n/name= c/cgroup= a/adj= t/start=', argv.slice(1), 'in-order');
  const script = o.words[0];
  if (script === undefined) throw new BadOption('missing script');
  const name = lastValue(o, 'name') ?? 'wl';
  const start = lastValue(o, 'start');
  yield* sys('prctl', 'PR_SET_NAME', name);
  const cgroup = lastValue(o, 'cgroup');
  if (cgroup !== undefined && cgroup !== '/') yield* put(`${CGROUPS}${cgroup}/cgroup.procs`, '0');
  const adj = lastValue(o, 'adj');
  if (adj !== undefined && adj !== '0') yield* put('/proc/self/oom_score_adj', adj);
  const s: State = { name, t0: start === undefined ? yield* sys('clock_gettime', 'boottime') : Number(start) * SECOND, areas: [], kids: [], dead: [] };
  yield* sleepUntil(s, 0);
  for (const step of script.split(';')) {
    const [verb, ...args] = step.trim().split(' ');
    if (verb === 'exit') return Number(args[0] ?? 0);
    const act = VERBS[verb!];
    if (!act) throw new Failed(`no such verb: ${verb}`);
    const said = yield* act(s, args);
    const now = ((yield* sys('clock_gettime', 'boottime')) - s.t0) / SECOND;
    if (said !== null) yield* print(`${name}: ${now.toFixed(3)} ${verb} ${said}\n`);
  }
  return 0;
});
