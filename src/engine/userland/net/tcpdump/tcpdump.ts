/**
 * tcpdump: frames as they pass the links of this namespace, taken apart from their bytes, filtered, printed or saved; or read from a
 * file. Source: tcpdump(8) 4.99, pcap-filter(7), pcap-savefile(5). Left out: rotation of files, -G, -C, -W, link types but Ethernet and cooked.
 */
import type { Frame, LinkInfo } from '../../../kernel/net/rtnetlink.ts';
import { AT_FDCWD, O_CREAT, O_RDONLY, O_TRUNC, O_WRONLY, SIG, SysError } from '../../../kernel/abi.ts';
import { type Program, sys } from '../../../kernel/sys.ts';
import { bytes } from '../../../sim/text.ts';
import { lastValue as optionValue, type Options, parseOptions } from '../../lib/args.ts';
import { attempt, drain } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../../lib/io.ts';
import { hosts, resolve } from '../names.ts';
import { decode } from './decode.ts';
import { compile, type Filter, FilterError, hostNames } from './filter.ts';
import { asciiText, frameText, hexText, type Style } from './lines.ts';
import { ETHERNET, fileHeader, readFile, record, type Saved, SLL2 } from './pcap.ts';

const SNAPLEN = 262144;

interface Capture {
  link: string;
  filter: Filter;
  left: number;
  seen: number;
  stopped: boolean;
  style: Style;
  options: Options;
  /** ns of the frame before, and of the first, for -ttt and -ttttt. */
  before: number | null;
  first: number | null;
  number: number;
  file: number | null;
  snaplen: number;
}

const two = (n: number): string => String(n).padStart(2, '0');

/** Time of the day, or what -t, -tt, … ask for; from ns since 1970. */
function stamp(capture: Capture, at: number, times: number): string {
  const us = Math.floor(at / 1000);
  const clock = (total: number): string => {
    const s = Math.floor(total / 1e6);
    return `${two(Math.floor(s / 3600) % 24)}:${two(Math.floor(s / 60) % 60)}:${two(s % 60)}.${String(total % 1e6).padStart(6, '0')}`;
  };
  if (times === 1) return '';
  if (times === 2) return `${Math.floor(us / 1e6)}.${String(us % 1e6).padStart(6, '0')} `;
  if (times === 3) return ` ${clock(us - Math.floor((capture.before ?? at) / 1000))} `;
  if (times === 4) return `${dateText(at)} ${clock(us)} `;
  if (times >= 5) return ` ${clock(us - Math.floor((capture.first ?? at) / 1000))} `;
  return `${clock(us)} `;
}

/** The civil date of ns since 1970. */
function dateText(at: number): string {
  const days = Math.floor(at / 86_400e9) + 719468;
  const era = Math.floor(days / 146097);
  const doe = days - era * 146097;
  const yoe = Math.floor((doe - Math.floor(doe / 1460) + Math.floor(doe / 36524) - Math.floor(doe / 146096)) / 365);
  const doy = doe - (365 * yoe + Math.floor(yoe / 4) - Math.floor(yoe / 100));
  const mp = Math.floor((5 * doy + 2) / 153);
  const month = mp < 10 ? mp + 3 : mp - 9;
  return `${yoe + era * 400 + (month <= 2 ? 1 : 0)}-${two(month)}-${two(doy - Math.floor((153 * mp + 2) / 5) + 1)}`;
}

const times = ({ options }: Capture): number => options.on.get('t') ?? 0;

/** One frame: counted, and saved or printed. `where` is what -i any says of the link. */
function* take(capture: Capture, saved: Saved, where: string, offset: number): Call<void> {
  const frame = decode(saved.data, saved.length);
  if (!capture.filter(frame)) return;
  capture.left--;
  capture.seen++;
  const cut = saved.data.subarray(0, capture.snaplen);
  if (capture.file !== null) {
    yield* sys('write', capture.file, record({ ...saved, at: saved.at + offset, data: where === '' ? cut : cooked(cut, where) }));
    return;
  }
  const { on } = capture.options;
  const at = saved.at + offset;
  capture.first ??= at;
  capture.number++;
  let text = `${on.has('#') || on.has('number') ? `${String(capture.number).padStart(5)}  ` : ''}${stamp(capture, at, times(capture))}${where}${frameText(frame, capture.style)}`;
  capture.before = at;
  const whole = (on.get('x') ?? 0) > 1 || (on.get('X') ?? 0) > 1;
  const body = whole ? cut : cut.subarray(frame.net);
  if (on.has('X')) text += hexText(body, true);
  else if (on.has('x')) text += hexText(body, false);
  else if (on.has('A')) text += asciiText(body);
  yield* print(`${text}\n`);
}

/** The header of a cooked frame (LINUX_SLL2) instead of Ethernet's. */
function cooked(data: Uint8Array, where: string): Uint8Array {
  const out = new Uint8Array(20 + data.length - 14);
  out.set([data[12]!, data[13]!, 0, 0, 0, 0, 0, 1, 0, 1, where.includes('Out') ? 4 : 0, 6, ...data.subarray(6, 12), 0, 0]);
  out.set(data.subarray(14), 20);
  return out;
}

function* compileFilter(words: readonly string[]): Call<Filter> {
  const source = words.join(' ');
  const found = new Map<string, string | null>();
  try {
    for (const name of hostNames(source)) found.set(name, yield* resolve(name));
    return compile(source, found);
  } catch (error) {
    if (error instanceof FilterError) throw new Failed(error.message);
    throw error;
  }
}

const count = (options: Options, name: string): number => options.on.get(name) ?? 0;

function* beginCapture(options: Options, link: string): Call<Capture> {
  const numeric = options.on.has('n');
  const names = numeric ? new Map<string, string>() : new Map((yield* hosts()).reverse().map(({ address, names: [first] }) => [address, first!] as const));
  const limit = optionValue(options, 'count');
  if (limit !== undefined && !(Number(limit) > 0)) throw new Failed(`invalid packet count ${limit}`);
  return {
    link, filter: yield* compileFilter(options.words), left: limit === undefined ? Number.POSITIVE_INFINITY : Number(limit), seen: 0, stopped: false, options, before: null, first: null, number: 0, file: null,
    snaplen: Number(optionValue(options, 'snapshot-length') ?? 0) || SNAPLEN,
    style: {
      numeric, verbose: count(options, 'v'), quiet: options.on.has('q'), link: options.on.has('e'), absolute: options.on.has('S'), flows: new Map(), hostname: (address) => names.get(address) ?? address,
    },
  };
}

function* openSave(capture: Capture, name: string): Call<void> {
  if (name === '-') capture.file = 1;
  else {
    try {
      capture.file = yield* sys('openat', AT_FDCWD, name, O_WRONLY | O_CREAT | O_TRUNC, 0o644);
    } catch (error) {
      if (error instanceof SysError) throw new Failed(`${name}: ${strerror(error)}`);
      throw error;
    }
  }
  yield* sys('write', capture.file, fileHeader(capture.link === 'any' ? SLL2 : ETHERNET, capture.snaplen));
}

const NAMES: Readonly<Record<number, string>> = { [ETHERNET]: 'EN10MB (Ethernet)', [SLL2]: 'LINUX_SLL2 (Linux cooked v2)' };

/** -r: everything that a file has. */
function* fromFile(options: Options, name: string): Call<number> {
  let data: Uint8Array;
  try {
    const fd = name === '-' ? 0 : yield* sys('openat', AT_FDCWD, name, O_RDONLY);
    data = yield* drain(fd);
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`${name}: ${strerror(error)}`);
    throw error;
  }
  const file = readFile(data);
  if (!file) throw new Failed(data.length < 4 ? `truncated dump file; tried to read 4 file header bytes, only got ${data.length}` : 'unknown file format');
  if (file.linktype !== ETHERNET && file.linktype !== SLL2) throw new Failed(`not modelled: link type ${file.linktype}`);
  yield* complain(`reading from file ${name}, link-type ${NAMES[file.linktype]}, snapshot length ${file.snaplen}\n`);
  const capture = yield* beginCapture(options, '');
  const save = optionValue(options, 'w');
  if (save !== undefined) yield* openSave(capture, save);
  for (const saved of file.frames) {
    if (capture.left <= 0) break;
    yield* take(capture, file.linktype === SLL2 ? uncooked(saved) : saved, '', 0);
  }
  if (file.cut) throw new Failed('pcap_loop: truncated dump file');
  return 0;
}

function uncooked({ at, data, length }: Saved): Saved {
  const out = new Uint8Array(Math.max(14, data.length - 6));
  out.set(data.subarray(12, 18), 6);
  out.set(data.subarray(0, 2), 12);
  out.set(data.subarray(20), 14);
  return { at, data: out, length: length - 6 };
}

function* listLinks(links: readonly LinkInfo[]): Call<number> {
  const up = links.filter((one) => one.up && one.kind !== 'loopback');
  const rest = [...links.filter((one) => one.kind === 'loopback' && one.up), ...links.filter((one) => !one.up)];
  const state = (one: LinkInfo): string => [one.up ? 'Up' : '', one.up && one.carrier ? 'Running' : '', one.kind === 'loopback' ? 'Loopback' : one.up ? 'Connected' : 'Disconnected'].filter(Boolean).join(', ');
  const rows = [...up.map((one) => `${one.name} [${state(one)}]`), 'any (Pseudo-device that captures on all interfaces) [Up, Running]', ...rest.map((one) => `${one.name} [${state(one)}]`)];
  for (const [i, row] of rows.entries()) yield* print(`${i + 1}.${row}\n`);
  return 0;
}

function* opened(link: string): Call<{ t: number; n: number }> {
  try {
    const all = (yield* sys('netlink', { type: 'frames' })) as Frame[];
    const last = all.at(-1);
    return last ? { t: last.t, n: last.n } : { t: -1, n: 0 };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${link}: You don't have permission to perform this capture on that device\n(socket: ${strerror(error)})`);
  }
}

function* live(options: Options): Call<number> {
  const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  if (options.on.has('list-interfaces')) return yield* listLinks(links);
  const link = optionValue(options, 'interface') ?? links.find((one) => one.up && one.kind !== 'loopback')?.name ?? links.find((one) => one.up)?.name ?? '';
  if (link === '') throw new Failed('no suitable device found');
  const any = link === 'any';
  const found = links.find((one) => one.name === link);
  if (!any && !found) throw new Failed(`${link}: No such device exists\n(No such device exists)`);
  if (found && !found.up) yield* complain(`tcpdump: ${link}: That device is not up\n`);
  if (found && !found.up) return 1;
  const capture = yield* beginCapture(options, link);
  yield* sys('rt_sigaction', SIG.INT, {
    *handler() {
      capture.stopped = true;
    },
  });
  yield* sys('rt_sigaction', SIG.TERM, {
    *handler() {
      capture.stopped = true;
    },
  });
  let since = yield* opened(link);
  const save = optionValue(options, 'w');
  if (save !== undefined) yield* openSave(capture, save);
  if (any) yield* complain('tcpdump: WARNING: any: That device doesn\'t support promiscuous mode\n(Promiscuous mode not supported on the "any" device)\n');
  const quietly = capture.style.verbose === 0 && save === undefined ? 'tcpdump: verbose output suppressed, use -v[v]... for full protocol decode\nlistening' : 'tcpdump: listening';
  yield* complain(`${quietly} on ${link}, link-type ${any ? NAMES[SLL2] : NAMES[ETHERNET]}, snapshot length ${capture.snaplen} bytes\n`);
  const offset = (yield* sys('clock_gettime', 'realtime')) - (yield* sys('clock_gettime', 'monotonic'));
  const direction = optionValue(options, 'direction') ?? 'inout';
  while (!capture.stopped && capture.left > 0) {
    for (const frame of (yield* sys('netlink', { type: 'frames', t: since.t, since: since.n })) as Frame[]) {
      since = { t: frame.t, n: frame.n };
      if ((!any && frame.link !== link) || !direction.includes(frame.way) || capture.left <= 0) continue;
      yield* take(capture, { at: frame.t, data: frame.data, length: frame.length }, any ? `${frame.link.padEnd(5)} ${frame.way === 'in' ? 'In ' : 'Out'} ` : '', offset);
    }
    if (capture.left > 0 && !capture.stopped) yield* attempt(sys('nanosleep', 20e6), 0, 'EINTR');
  }
  yield* complain(`${capture.stopped ? '\n' : ''}${capture.seen} packet${capture.seen === 1 ? '' : 's'} captured\n${capture.seen} packet${capture.seen === 1 ? '' : 's'} received by filter\n0 packets dropped by kernel\n`);
  return 0;
}

const VERSION = 'tcpdump version 4.99.5\nlibpcap version 1.10.5 (with TPACKET_V3)\n';

export const tcpdump: Program = command(function* (argv) {
  const options = parseOptions('i/interface= c/count= n q v e l/line-buffered U A X x t s/snapshot-length= w= r= p/no-promiscuous-mode D/list-interfaces S # Q/direction= Z= B= K N O L immediate-mode version h/help number F=', argv.slice(1));
  if (options.on.has('version') || options.on.has('help')) {
    yield* sys('write', 1, bytes(`${VERSION}${options.on.has('version') ? '' : 'Usage: tcpdump [-AbdDefhHIJKlLnNOpqStuUvxX#] [ -B size ] [ -c count ] [ -i interface ] [ -r file ] [ -s snaplen ] [ -w file ] [ expression ]\n'}`));
    return 0;
  }
  if (options.on.has('F')) throw new Failed('not modelled: -F');
  const name = optionValue(options, 'r');
  return name === undefined ? yield* live(options) : yield* fromFile(options, name);
});
