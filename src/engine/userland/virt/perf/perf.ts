/**
 * perf: kvm stat, stat and list on tracepoints. Hardware counters are not modelled, so what samples or counts with them says so.
 * Source: perf(1) of 6.1.
 */
import { sys } from '../../../kernel/sys.ts';
import type { Body, Program } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print } from '../../lib/io.ts';
import { enable, matchPoints, openPoints, type Opened, type Point, type Target, threadsOf } from './events.ts';
import { kvm } from './kvm.ts';
import { parse, type Row, Usage, usageText } from './options.ts';
import { finish, prepare, start } from './workload.ts';

type Env = Readonly<Record<string, string>>;

const MAIN = `
 usage: perf [--version] [--help] [OPTIONS] COMMAND [ARGS]

 The perf commands that are modelled here:
   kvm             Tool to trace/measure kvm guest os
   list            List all symbolic event types
   stat            Run a command and gather performance counter statistics
   version         display the version of perf binary

 See 'perf help COMMAND' for more information on a specific command.

`;
const ABSENT = new Set('annotate archive bench buildid-cache buildid-list c2c config daemon data diff evlist ftrace inject iostat kallsyms kmem kwork lock mem record report sched script test timechart top probe trace'.split(' '));

export const perf: Program = function* (argv, env): Body {
  try {
    return yield* dispatch(argv.slice(1), env);
  } catch (error) {
    if (error instanceof Usage) {
      yield* complain(error.message);
      return 129;
    }
    if (error instanceof Failed) {
      yield* complain(`${error.message}\n`);
      return error.status;
    }
    throw error;
  }
};

function* dispatch([what, ...rest]: readonly string[], env: Env): Call<number> {
  switch (what) {
    case undefined:
    case '-h':
    case '--help':
    case 'help':
      yield* print(MAIN);
      return what === undefined ? 1 : 0;
    case '--version':
    case '-v':
    case 'version':
      yield* print('perf version 6.1.192\n');
      return 0;
    case 'kvm': return yield* kvm(rest, env);
    case 'list': return yield* listEvents(rest);
    case 'stat': return yield* stat(rest, env);
    default:
      if (ABSENT.has(what)) throw new Failed(`not modelled: perf ${what}: no hardware counters and no sampling of code; perf kvm stat and perf stat -e TRACEPOINT work`);
      throw new Failed(`perf: '${what}' is not a perf-command. See 'perf --help'.`);
  }
}

function* listEvents(words: readonly string[]): Call<number> {
  const patterns = words.filter((word) => !word.startsWith('-'));
  const wanted = patterns.length === 0 || patterns.includes('tracepoint') ? ['*:*'] : patterns.map((p) => (p.includes(':') ? p : `*${p}*:*`));
  const out: Point[] = [];
  for (const pattern of wanted) out.push(...(yield* matchPoints(pattern)));
  yield* print(`${out.map(({ system, name }) => `  ${`${system}:${name}`.padEnd(50)} [Tracepoint event]\n`).join('')}\n`);
  return 0;
}

// ---- stat

const STAT: readonly Row[] = [
  { short: 'a', long: 'all-cpus', help: 'system-wide collection from all CPUs' }, { short: 'e', long: 'event', value: '<event>', help: "event selector. use 'perf list' to list available events" },
  { short: 'p', long: 'pid', value: '<pid>', help: 'stat events on existing process id' },
];
const STAT_USAGE = 'perf stat [<options>] [<command>]';

function* stat(args: readonly string[], env: Env): Call<number> {
  const { given, words } = parse(STAT_USAGE, STAT, args, 'in-order');
  const asked = given.get('event');
  if (asked === undefined) throw new Failed('not modelled: hardware counters (cycles, instructions, …); name tracepoints with -e, such as kvm:kvm_exit');
  if (words.length === 0 && !given.has('pid') && !given.has('all-cpus')) throw new Usage(usageText(STAT_USAGE, STAT));
  const points = yield* pointsOf(asked);
  const watch = yield* prepare(words, env);
  const target: Target = given.has('pid') ? yield* threadsOf(given.get('pid')!) : given.has('all-cpus') ? { kind: 'system' } : { kind: 'threads', tids: [watch.pid] };
  const { opened } = yield* openPoints(points, target, 0, 0);
  yield* enable(opened);
  const from = yield* sys('clock_gettime', 'monotonic');
  yield* start(watch);
  if (words.length === 0) while (!watch.over) yield* sleep();
  const status = yield* finish(watch);
  const seconds = ((yield* sys('clock_gettime', 'monotonic')) - from) / 1e9;
  const whose = given.has('all-cpus') ? "'system wide'" : given.has('pid') ? `process id '${given.get('pid')}'` : `'${words.join(' ')}'`;
  yield* complain(`\n Performance counter stats for ${whose}:\n\n`);
  for (const point of points) yield* complain(`${grouped(yield* total(opened, point)).padStart(18)}      ${`${point.system}:${point.name}`.padEnd(67)}\n`);
  yield* complain(`\n${seconds.toFixed(9).padStart(17)} seconds time elapsed\n\n`);
  return watch.signal === 0 ? status : 128 + watch.signal;
}

function* pointsOf(asked: string): Call<Point[]> {
  const out: Point[] = [];
  for (const word of asked.split(',')) {
    if (!word.includes(':')) throw new Failed(`not modelled: event '${word}': only tracepoints (see 'perf list')`);
    const found = yield* matchPoints(word);
    if (found.length === 0) {
      throw new Usage(`event syntax error: '${word}'\n                     \\___ unknown tracepoint\n\nError:\tFile /sys/kernel/tracing/events/${word.replace(':', '/')} not found.\nHint:\tPerhaps this kernel misses some CONFIG_ setting to enable this feature?.\n\nRun 'perf list' for a list of valid events\n${usageText(STAT_USAGE, STAT)}`);
    }
    out.push(...found);
  }
  return out;
}

function* sleep(): Call<void> {
  try {
    yield* sys('pause');
  } catch {
    // a signal: its handler has said what it means
  }
}

function* total(opened: readonly Opened[], point: Point): Call<number> {
  let sum = 0;
  for (const one of opened) {
    if (one.point !== point) continue;
    const data = yield* sys('read', one.fd, 8);
    sum += Number(new DataView(data.buffer, data.byteOffset, 8).getBigUint64(0, true));
  }
  return sum;
}

const grouped = (n: number): string => String(n).replace(/\B(?=(\d{3})+$)/g, ',');
