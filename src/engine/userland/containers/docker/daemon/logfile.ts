/**
 * The log of a container as a file: lines of JSON (driver json-file) or length-prefixed protocol buffers (driver local), with what labels, variables
 * and a tag add to each line, and rotation by size. Source: moby daemon/logger/{jsonfilelog,local}, loggerutils/logfile.go. Rotated files stay uncompressed.
 */
import { AT_FDCWD } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { bytes, text } from '../../../../sim/text.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { isoNano, parseIso } from '../../../lib/clock.ts';
import { appendFile, attempt, mkdirAll, readBytes, removeAll, statOf } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { directoryOf, logPath } from './record.ts';
import { type Container, Refused } from './state.ts';

export interface LogFile {
  path: string;
  local: boolean;
  /** Bytes after which the next line goes to a new file; none if not finite. */
  most: number;
  files: number;
  attrs: Record<string, string> | null;
  /** Bytes in the newest file, null while nobody has looked. */
  size: number | null;
  /** Lines that went with the oldest files. */
  dropped: number;
}

export interface LogLine {
  log: string;
  stream: 'stdout' | 'stderr';
  time: string;
  attrs?: Record<string, string>;
}

/** Options of the drivers. */
const OPTIONS: Readonly<Record<string, readonly string[]>> = {
  'json-file': ['max-file', 'max-size', 'compress', 'labels', 'labels-regex', 'env', 'env-regex', 'tag', 'mode', 'max-buffer-size'],
  local: ['max-file', 'max-size', 'compress', 'mode', 'max-buffer-size'],
};

const FOREIGN = ['awslogs', 'etwlogs', 'fluentd', 'gcplogs', 'gelf', 'journald', 'logentries', 'splunk', 'syslog'];

/** What is said when a container is made. Throws Refused. */
export function verifyLogConfig(driver: string, options: Readonly<Record<string, string>>): void {
  if (FOREIGN.includes(driver)) throw new Refused(501, `not modelled: logging driver ${driver}`);
  if (driver === 'none') return;
  const known = OPTIONS[driver];
  if (!known) throw new Refused(400, `error looking up logging plugin ${driver}: plugin ${JSON.stringify(driver)} not found`);
  const odd = Object.keys(options).sort().find((name) => !known.includes(name));
  if (odd !== undefined) throw new Refused(400, `unknown log opt '${odd}' for ${driver} log driver`);
}

/** "10k" in thousands. */
function humanSize(size: string): number | null {
  const m = /^(\d+(?:\.\d+)?) ?([kmgtp])?i?b?$/i.exec(size);
  return m ? Math.floor(Number(m[1]) * 1000 ** ('kmgtp'.indexOf((m[2] ?? '').toLowerCase()) + (m[2] ? 1 : 0))) : null;
}

/** The file that a container's output goes to, null for none. Throws Refused for options that the driver cannot read. */
export function logFileOf(c: Container): LogFile | null {
  const { Type, Config: o } = c.HostConfig.LogConfig;
  if (Type === 'none') return null;
  const local = Type === 'local';
  const bad = (why: string): Refused => new Refused(500, `failed to create task for container: failed to initialize logging driver: ${why}`);
  const most = o['max-size'] === undefined ? (local ? 20e6 : Number.POSITIVE_INFINITY) : humanSize(o['max-size']);
  if (most === null) throw bad(`invalid size: '${o['max-size']}'`);
  if (most <= 0) throw bad('max-size must be a positive number');
  const count = o['max-file'] ?? (local ? '5' : '1');
  if (!/^[-+]?\d+$/.test(count)) throw bad(`strconv.Atoi: parsing ${JSON.stringify(count)}: invalid syntax`);
  if (Number(count) < 1) throw bad('max-file cannot be less than 1');
  const compress = o.compress ?? 'false';
  if (!/^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(compress)) throw bad(`strconv.ParseBool: parsing ${JSON.stringify(compress)}: invalid syntax`);
  if (/^[1tT]/.test(compress) && !local && (Number(count) === 1 || !Number.isFinite(most))) throw bad('compress cannot be true when max-file is less than 2 or max-size is not set');
  const path = local ? `${directoryOf(c.ID)}/local-logs/container.log` : logPath(c);
  return { path, local, most, files: Number(count), attrs: local ? null : attributesOf(c), size: null, dropped: 0 };
}

/** What each line carries besides: chosen labels and variables, the tag. */
function attributesOf(c: Container): Record<string, string> | null {
  const o = c.HostConfig.LogConfig.Config;
  const env = (c.Config.Env ?? []).filter((e) => e.includes('=')).map((e) => [e.slice(0, e.indexOf('=')), e.slice(e.indexOf('=') + 1)] as const);
  const chosen = (all: readonly (readonly [string, string])[], names: string | undefined, pattern: string | undefined) =>
    all.filter(([name]) => (names ?? '').split(',').includes(name) || (pattern !== undefined && pattern !== '' && new RegExp(pattern).test(name)));
  const found = [...chosen(Object.entries(c.Config.Labels ?? {}), o.labels, o['labels-regex']), ...chosen(env, o.env, o['env-regex'])];
  if (o.tag) found.push(['tag', tagOf(c, o.tag)]);
  return found.length === 0 ? null : Object.fromEntries(found.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A tag's template: the fields of logger.Info that people use. */
function tagOf(c: Container, tag: string): string {
  const fields: Readonly<Record<string, string>> = {
    ID: c.ID.slice(0, 12), FullID: c.ID, Name: c.Name.slice(1), ImageID: c.Image.replace(/^sha256:/, '').slice(0, 12), ImageFullID: c.Image, ImageName: c.Config.Image, DaemonName: 'docker',
  };
  return tag.replace(/\{\{-?\s*\.(\w+)\s*-?\}\}/g, (whole, name: string) => fields[name] ?? whole);
}

/** The file's name and those that it was renamed to, oldest first. */
const names = (f: LogFile): string[] => [...Array.from({ length: f.files - 1 }, (_, i) => `${f.path}.${f.files - 1 - i}`), f.path];

/** Appends lines; the file gives way to a new one before a line that finds it full. */
export function* writeLog(f: LogFile, lines: readonly LogLine[]): Call<void> {
  if (f.local) yield* mkdirAll(f.path.slice(0, f.path.lastIndexOf('/')), 0o700);
  f.size ??= (yield* statOf(f.path))?.size ?? 0;
  let batch: Uint8Array[] = [];
  for (const line of lines) {
    if (f.size >= f.most) {
      if (batch.length > 0) yield* appendFile(f.path, joinBytes(batch));
      batch = [];
      yield* rotate(f);
    }
    const one = f.local ? localEntry(line) : bytes(`${JSON.stringify({ log: line.log, stream: line.stream, ...(f.attrs ? { attrs: f.attrs } : {}), time: line.time })}\n`);
    batch.push(one);
    f.size += one.length;
  }
  if (batch.length > 0) yield* appendFile(f.path, joinBytes(batch));
}

function* rotate(f: LogFile): Call<void> {
  const [oldest, ...newer] = names(f);
  f.dropped += (yield* entriesIn(f, oldest!)).length;
  yield* attempt(removeAll(oldest!), undefined);
  for (const [i, name] of newer.entries()) yield* attempt(sys('renameat2', AT_FDCWD, name, AT_FDCWD, names(f)[i]!, 0), 0);
  f.size = 0;
}

/** Every line that is kept, oldest first. */
export function* readLog(f: LogFile): Call<LogLine[]> {
  const all: LogLine[] = [];
  for (const name of names(f)) all.push(...(yield* entriesIn(f, name)));
  return all;
}

function* entriesIn(f: LogFile, name: string): Call<LogLine[]> {
  const data = yield* attempt(readBytes(name), null);
  if (data === null) return [];
  if (f.local) return localEntries(data);
  const out: LogLine[] = [];
  for (const one of text(data).split('\n')) {
    if (one === '') continue;
    try {
      out.push(JSON.parse(one) as LogLine);
    } catch {
      break;
    }
  }
  return out;
}

function varint(n: number): Uint8Array {
  const out: number[] = [];
  for (let left = BigInt(Math.trunc(n)); ; left >>= 7n) {
    const low = Number(left & 0x7fn);
    if (left < 0x80n) return Uint8Array.from([...out, low]);
    out.push(low | 0x80);
  }
}

/** LogEntry { source = 1, time_nano = 2, line = 3, partial = 4 } between its length, twice, big-endian. */
function localEntry(line: LogLine): Uint8Array {
  const whole = line.log.endsWith('\n');
  const source = bytes(line.stream);
  const said = bytes(whole ? line.log.slice(0, -1) : line.log);
  const body = joinBytes([
    Uint8Array.of(0x0a, source.length), source, Uint8Array.of(0x10), varint(parseIso(line.time)), Uint8Array.of(0x1a), varint(said.length), said, ...(whole ? [] : [Uint8Array.of(0x20, 1)]),
  ]);
  const length = new Uint8Array(4);
  new DataView(length.buffer).setUint32(0, body.length);
  return joinBytes([length, body, length]);
}

function localEntries(data: Uint8Array): LogLine[] {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const out: LogLine[] = [];
  for (let at = 0; at + 4 <= data.length; ) {
    const length = view.getUint32(at);
    if (at + 8 + length > data.length) break;
    out.push(localLine(data.subarray(at + 4, at + 4 + length)));
    at += 8 + length;
  }
  return out;
}

function localLine(body: Uint8Array): LogLine {
  const line: LogLine = { log: '', stream: 'stdout', time: '' };
  let at = 0;
  let partial = false;
  const number = (): number => {
    let value = 0n;
    for (let shift = 0n; at < body.length; shift += 7n) {
      const byte = body[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    return Number(value);
  };
  while (at < body.length) {
    const key = number();
    const value = number();
    if (key === 0x10) line.time = isoNano(value);
    else if (key === 0x20) partial = value === 1;
    if ((key & 7) !== 2) continue;
    const said = text(body.subarray(at, at + value));
    at += value;
    if (key === 0x0a) line.stream = said as LogLine['stream'];
    else if (key === 0x1a) line.log = said;
  }
  return { ...line, log: partial ? line.log : `${line.log}\n` };
}
