/** dd: blocks from here to there, and how fast. Source: coreutils dd(1). */
import { AT_FDCWD, O_APPEND, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SIG, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { BadOption } from '../lib/args.ts';
import { attempt } from '../lib/files.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { command, complain, Failed, strerror } from '../lib/io.ts';
import { createHeap, extend } from '../lib/heap.ts';
import { curly, quoted } from './quote.ts';
import { parseSize } from './sizes.ts';

const O_DIRECT = 0o40000;
const O_SYNC = 0o4010000;
const O_DSYNC = 0o10000;

interface Plan {
  options: Map<string, string>;
  ibs: number;
  obs: number;
  conv: Set<string>;
  iflag: Set<string>;
  oflag: Set<string>;
}

interface Progress {
  full: [number, number];
  partial: [number, number];
  bytes: number;
  began: number;
  truncated: number;
}

export const dd = command(function* (argv) {
  const plan = readPlan(argv.slice(1));
  const input = plan.options.get('if');
  const output = plan.options.get('of');
  const source = input === undefined ? 0 : yield* opened(input, O_RDONLY | (plan.iflag.has('direct') ? O_DIRECT : 0));
  const skip = count(plan, 'skip') ?? count(plan, 'iseek') ?? 0;
  const seek = count(plan, 'seek') ?? count(plan, 'oseek') ?? 0;
  const target = output === undefined ? 1 : yield* opened(output, targetFlags(plan));
  if (output !== undefined && seek > 0 && !plan.conv.has('notrunc')) yield* attempt(sys('ftruncate', target, seek * (plan.oflag.has('seek_bytes') ? 1 : plan.obs)), 0);
  const progress: Progress = { full: [0, 0], partial: [0, 0], bytes: 0, truncated: 0, began: yield* sys('clock_gettime', 'monotonic') };
  yield* sys('rt_sigaction', SIG.USR1, { restart: true, handler: () => report(plan, progress) });
  yield* sys('rt_sigaction', SIG.INT, { handler: function* (): Body {
    yield* report(plan, progress);
    yield* sys('exit_group', 130);
  } });
  const heap = createHeap();
  yield* extend(heap, Math.min(plan.ibs, 1 << 30));
  yield* skipInput(plan, source, skip);
  if (seek > 0) yield* attempt(sys('lseek', target, seek * (plan.oflag.has('seek_bytes') ? 1 : plan.obs), 1), 0);
  const status = yield* copy(plan, source, target, progress, input ?? 'standard input', output ?? 'standard output');
  if (plan.conv.has('fsync') || plan.conv.has('fdatasync')) yield* sys('fsync', target);
  yield* report(plan, progress);
  return status;
});

function readPlan(args: readonly string[]): Plan {
  const known = new Set(['if', 'of', 'bs', 'ibs', 'obs', 'cbs', 'count', 'skip', 'seek', 'iseek', 'oseek', 'conv', 'iflag', 'oflag', 'status']);
  const options = new Map<string, string>();
  for (const arg of args) {
    const cut = arg.indexOf('=');
    if (cut < 0 || !known.has(arg.slice(0, cut))) throw new BadOption(`unrecognized operand ${curly(arg)}`);
    options.set(arg.slice(0, cut), arg.slice(cut + 1));
  }
  const size = (name: string): number => {
    const spec = options.get(name);
    if (spec === undefined) return 512;
    const n = product(spec);
    if (n === null || n === 0) throw new Failed(`invalid number: ${curly(spec)}`);
    return n;
  };
  const words = (name: string): Set<string> => new Set((options.get(name) ?? '').split(',').filter(Boolean));
  const bs = options.has('bs') ? size('bs') : 0;
  return { options, ibs: bs || size('ibs'), obs: bs || size('obs'), conv: words('conv'), iflag: words('iflag'), oflag: words('oflag') };
}

/** "64k", "2x512". */
function product(spec: string): number | null {
  let n = 1;
  for (const part of spec.split('x')) {
    const one = parseSize(part.replace(/^(\d+)k$/, '$1K'));
    if (one === null) return null;
    n *= one;
  }
  return n;
}

function count(plan: Plan, name: string): number | null {
  const spec = plan.options.get(name);
  if (spec === undefined) return null;
  const n = product(spec.replace(/B$/, ''));
  if (n === null) throw new Failed(`invalid number: ${curly(spec)}`);
  return n;
}

function targetFlags(plan: Plan): number {
  const extra = (plan.oflag.has('direct') ? O_DIRECT : 0) | (plan.oflag.has('sync') ? O_SYNC : 0) | (plan.oflag.has('dsync') ? O_DSYNC : 0) | (plan.oflag.has('append') ? O_APPEND : 0);
  const truncate = plan.conv.has('notrunc') || plan.options.has('seek') || plan.options.has('oseek') || plan.oflag.has('append') ? 0 : O_TRUNC;
  return O_WRONLY | (plan.conv.has('nocreat') ? 0 : O_CREAT) | truncate | extra;
}

function* opened(name: string, flags: number): Call<number> {
  try {
    return yield* sys('openat', AT_FDCWD, name, flags, 0o666);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`failed to open ${quoted(name)}: ${strerror(error)}`);
  }
}

function* skipInput(plan: Plan, source: number, blocks: number): Call<void> {
  const bytes = plan.iflag.has('skip_bytes') ? blocks : blocks * plan.ibs;
  if (bytes === 0) return;
  if ((yield* attempt(sys('lseek', source, bytes, 1), -1)) >= 0) return;
  for (let left = bytes; left > 0; ) {
    const data = yield* sys('read', source, Math.min(left, plan.ibs));
    if (data.length === 0) return;
    left -= data.length;
  }
}

function* copy(plan: Plan, source: number, target: number, p: Progress, from: string, to: string): Call<number> {
  const blocks = count(plan, 'count');
  const byBytes = plan.iflag.has('count_bytes') || (plan.options.get('count') ?? '').endsWith('B');
  let read = 0;
  for (let n = 0; blocks === null || (byBytes ? read < blocks : n < blocks); n++) {
    const wanted = byBytes && blocks !== null ? Math.min(plan.ibs, blocks - read) : plan.ibs;
    let data: Uint8Array;
    try {
      data = yield* block(plan, source, wanted);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`dd: error reading ${quoted(from)}: ${strerror(error)}\n`);
      return 1;
    }
    if (data.length === 0) break;
    read += data.length;
    if (data.length === plan.ibs) p.full[0]++;
    else p.partial[0]++;
    const out = converted(plan, data);
    try {
      if (plan.conv.has('sparse') && out.every((b) => b === 0)) yield* sys('lseek', target, out.length, 1);
      else yield* writeAll(target, out);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* complain(`dd: error writing ${quoted(to)}: ${strerror(error)}\n`);
      return 1;
    }
    p.bytes += out.length;
    p.full[1] += Math.floor(out.length / plan.obs);
    if (out.length % plan.obs > 0) p.partial[1]++;
  }
  return 0;
}

function* block(plan: Plan, source: number, size: number): Call<Uint8Array> {
  const first = yield* sys('read', source, size);
  if (!plan.iflag.has('fullblock') || first.length === size || first.length === 0) return first;
  const all = new Uint8Array(size);
  all.set(first);
  let at = first.length;
  while (at < size) {
    const more = yield* sys('read', source, size - at);
    if (more.length === 0) break;
    all.set(more, at);
    at += more.length;
  }
  return all.subarray(0, at);
}

function converted(plan: Plan, data: Uint8Array): Uint8Array {
  const { conv } = plan;
  let out = data;
  if (conv.has('sync') && data.length < plan.ibs) {
    out = new Uint8Array(plan.ibs);
    out.set(data);
  }
  if (conv.has('ucase')) out = out.map((b) => (b >= 97 && b <= 122 ? b - 32 : b));
  if (conv.has('lcase')) out = out.map((b) => (b >= 65 && b <= 90 ? b + 32 : b));
  if (conv.has('swab')) out = out.map((_, i) => out[i ^ 1] ?? out[i]!);
  return out;
}

function* report(plan: Plan, p: Progress): Call<void> {
  const status = plan.options.get('status');
  if (status === 'none') return;
  let text = `${p.full[0]}+${p.partial[0]} records in\n${p.full[1]}+${p.partial[1]} records out\n`;
  if (status !== 'noxfer') {
    const seconds = ((yield* sys('clock_gettime', 'monotonic')) - p.began) / 1e9;
    text += transferred(p.bytes, seconds);
  }
  yield* complain(text);
}

/** "104857600 bytes (105 MB, 100 MiB) copied, 0.803077 s, 131 MB/s". */
export function transferred(bytes: number, seconds: number): string {
  const decimal = scaled(bytes, 1000, ['B', 'kB', 'MB', 'GB', 'TB']);
  const binary = scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
  const sizes = bytes < 1000 ? '' : bytes < 1024 ? ` (${decimal})` : ` (${decimal}, ${binary})`;
  const rate = seconds > 0 ? scaled(bytes / seconds, 1000, ['B', 'kB', 'MB', 'GB', 'TB']) : 'Infinity B';
  const shown = seconds < 1e-5 && seconds > 0 ? seconds.toExponential(5).replace(/e-(\d)$/, 'e-0$1') : String(Number(seconds.toPrecision(6)));
  return `${bytes} byte${bytes === 1 ? '' : 's'}${sizes} copied, ${shown} s, ${rate}/s\n`;
}

function scaled(n: number, base: number, units: readonly string[]): string {
  let value = n;
  let i = 0;
  while (value >= base && i < units.length - 1) {
    value /= base;
    i++;
  }
  if (i === 0) return `${Math.round(value)} B`;
  const shown = value < 9.95 ? value.toFixed(1) : String(Math.round(value));
  return `${shown} ${units[i]!}`;
}
