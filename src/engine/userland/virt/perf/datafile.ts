/**
 * perf.data: the file that perf writes and reads back. A header names the events (attributes and the numbers of their samples),
 * then the records as they came out of the kernel's rings, then features: among them the formats of the tracepoints, without
 * which a raw sample means nothing. Source: Linux tools/perf/Documentation/perf.data-file-format.txt.
 * Left out: everything but tracepoint samples and lost records; pipes; compression.
 */
import { PERF_RECORD_LOST, PERF_RECORD_SAMPLE, PERF_TYPE_TRACEPOINT } from '../../../kernel/abi.ts';
import { bytes, text } from '../../../sim/text.ts';
import { joinBytes } from '../../../sim/wire.ts';

export interface Format {
  system: string;
  /** The tracepoint's "format" file. */
  text: string;
}

export interface Recorded {
  /** Per event: the tracepoint's number and the ids of its descriptors. */
  events: { config: number; ids: number[] }[];
  sampleType: number;
  /** Records, one after another. */
  data: Uint8Array;
  formats: Format[];
  headerPage: string;
  headerEvent: string;
  /** Feature number to string, list of strings, or numbers of 32 or 64 bits. */
  features: { id: number; value: string | readonly string[] | { u32: readonly number[] } | { u64: number } }[];
}

export interface Sample {
  /** Of the descriptor. */
  id: number;
  tgid: number;
  pid: number;
  /** ns. */
  time: number;
  cpu: number;
  raw: DataView;
}

const HEADER = 104;
const ATTR = 128;
const TRACING_DATA = 1;
const PAGE = 4096;
const MAGIC = 'PERFILE2';

class Writer {
  private parts: Uint8Array[] = [];
  length = 0;

  put(data: Uint8Array): void {
    this.parts.push(data);
    this.length += data.length;
  }
  u32(...values: number[]): void {
    const view = new DataView(new ArrayBuffer(4 * values.length));
    values.forEach((value, n) => view.setUint32(4 * n, value, true));
    this.put(new Uint8Array(view.buffer));
  }
  u64(...values: number[]): void {
    const view = new DataView(new ArrayBuffer(8 * values.length));
    values.forEach((value, n) => view.setBigUint64(8 * n, BigInt(value), true));
    this.put(new Uint8Array(view.buffer));
  }
  all(): Uint8Array {
    return joinBytes(this.parts);
  }
}

function tracingData({ formats, headerPage, headerEvent }: Recorded): Uint8Array {
  const out = new Writer();
  const sized = (name: string, data: string): void => {
    if (name !== '') out.put(bytes(`${name}\0`));
    out.u64(bytes(data).length);
    out.put(bytes(data));
  };
  out.put(Uint8Array.of(23, 8, 68));
  out.put(bytes('tracing0.6\0'));
  out.put(Uint8Array.of(0, 8));
  out.u32(PAGE);
  sized('header_page', headerPage);
  sized('header_event', headerEvent);
  out.u32(0);
  const systems = [...new Set(formats.map(({ system }) => system))];
  out.u32(systems.length);
  for (const system of systems) {
    const own = formats.filter((f) => f.system === system);
    out.put(bytes(`${system}\0`));
    out.u32(own.length);
    for (const { text: format } of own) sized('', format);
  }
  out.u32(0, 0);
  out.u64(0);
  return out.all();
}

function stringBytes(value: string): Uint8Array {
  const data = bytes(`${value}\0`);
  const out = new Uint8Array(4 + Math.ceil(data.length / 64) * 64);
  new DataView(out.buffer).setUint32(0, out.length - 4, true);
  out.set(data, 4);
  return out;
}

function featureBytes(value: Recorded['features'][number]['value']): Uint8Array {
  const out = new Writer();
  if (typeof value === 'string') return stringBytes(value);
  if ('u32' in value) out.u32(...value.u32);
  else if ('u64' in value) out.u64(value.u64);
  else {
    out.u32(value.length);
    for (const one of value) out.put(stringBytes(one));
  }
  return out.all();
}

const SAMPLE_ID_ALL = 1 << 18;

function attrBytes(config: number, sampleType: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(ATTR));
  view.setUint32(0, PERF_TYPE_TRACEPOINT, true);
  view.setUint32(4, ATTR, true);
  view.setBigUint64(8, BigInt(config), true);
  view.setBigUint64(16, 1n, true);
  view.setBigUint64(24, BigInt(sampleType), true);
  view.setBigUint64(40, BigInt(SAMPLE_ID_ALL | 1), true);
  return new Uint8Array(view.buffer);
}

export function writeData(recorded: Recorded): Uint8Array {
  const { events, data, features } = recorded;
  const ids = events.flatMap((event) => event.ids);
  const attrsAt = HEADER + 8 * ids.length;
  const dataAt = attrsAt + (ATTR + 16) * events.length;
  const sections = [{ id: TRACING_DATA, body: tracingData(recorded) }, ...features.map(({ id, value }) => ({ id, body: featureBytes(value) }))].sort((a, b) => a.id - b.id);
  const out = new Writer();
  out.put(bytes(MAGIC));
  out.u64(HEADER, ATTR + 16, attrsAt, (ATTR + 16) * events.length, dataAt, data.length, 0, 0);
  out.u32(sections.reduce((mask, { id }) => mask | (1 << id), 0) >>> 0, 0, 0, 0, 0, 0, 0, 0);
  out.u64(...ids);
  let at = HEADER;
  for (const { config, ids: own } of events) {
    out.put(attrBytes(config, recorded.sampleType));
    out.u64(at, 8 * own.length);
    at += 8 * own.length;
  }
  out.put(data);
  at = out.length + 16 * sections.length;
  for (const { body } of sections) {
    out.u64(at, body.length);
    at += body.length;
  }
  for (const { body } of sections) out.put(body);
  return out.all();
}

// ---- reading

export interface Field {
  offset: number;
  size: number;
}

export interface ReadEvent {
  name: string;
  fields: ReadonlyMap<string, Field>;
  /** Names of numbers that its sentence uses. */
  symbols: ReadonlyMap<number, string>;
}

export interface ReadBack {
  /** By the id of the descriptor. */
  events: ReadonlyMap<number, ReadEvent>;
  samples: Sample[];
  lost: number;
  /** What CPUID says it is, empty without that feature. */
  cpuid: string;
}

const u64 = (view: DataView, at: number): number => Number(view.getBigUint64(at, true));

/** Null: not a perf.data file, or cut off. */
export function readData(file: Uint8Array): ReadBack | null {
  if (file.length < HEADER || text(file.subarray(0, 8)) !== MAGIC) return null;
  const view = new DataView(file.buffer, file.byteOffset, file.byteLength);
  try {
    const dataAt = u64(view, 40);
    const dataSize = u64(view, 48);
    const features = readFeatures(view, dataAt + dataSize);
    const tracing = features.get(TRACING_DATA);
    const formats = tracing ? readTracing(file.subarray(tracing.at, tracing.at + tracing.size)) : new Map<number, ReadEvent>();
    const cpuid = features.get(9);
    return {
      events: readAttrs(view, formats), ...readRecords(view, dataAt, dataSize), cpuid: cpuid ? text(file.subarray(cpuid.at + 4, cpuid.at + cpuid.size)).replace(/\0+$/, '') : '',
    };
  } catch (error) {
    if (error instanceof RangeError) return null;
    throw error;
  }
}

function readFeatures(view: DataView, table: number): Map<number, { at: number; size: number }> {
  const out = new Map<number, { at: number; size: number }>();
  for (let id = 0; id < 256; id++) {
    if (((view.getUint32(72 + 4 * (id >> 5), true) >>> (id & 31)) & 1) === 0) continue;
    const row = table + 16 * out.size;
    out.set(id, { at: u64(view, row), size: u64(view, row + 8) });
  }
  return out;
}

function readAttrs(view: DataView, formats: ReadonlyMap<number, ReadEvent>): Map<number, ReadEvent> {
  const size = u64(view, 16);
  const at = u64(view, 24);
  const out = new Map<number, ReadEvent>();
  for (let n = 0; n < u64(view, 32) / size; n++) {
    const row = at + n * size;
    const event = formats.get(u64(view, row + 8));
    const ids = u64(view, row + size - 16);
    for (let k = 0; k < u64(view, row + size - 8) / 8; k++) if (event) out.set(u64(view, ids + 8 * k), event);
  }
  return out;
}

/** Samples in the order of time; those of one processor and moment as they came. */
export function readRecords(view: DataView, from: number, size: number): { samples: Sample[]; lost: number } {
  const samples: Sample[] = [];
  let lost = 0;
  for (let at = from; at + 8 <= from + size; ) {
    const type = view.getUint32(at, true);
    const length = view.getUint16(at + 6, true);
    if (length < 8) throw new RangeError('record');
    if (type === PERF_RECORD_LOST) lost += u64(view, at + 16);
    if (type === PERF_RECORD_SAMPLE) samples.push(readSample(view, at + 8));
    at += length;
  }
  return { samples: samples.sort((a, b) => a.time - b.time), lost };
}

/** As perf kvm stat record asks: IDENTIFIER, IP, TID, TIME, CPU, PERIOD, RAW. */
export function readSample(view: DataView, at: number): Sample {
  return {
    id: u64(view, at), tgid: view.getUint32(at + 16, true), pid: view.getUint32(at + 20, true), time: u64(view, at + 24), cpu: view.getUint32(at + 32, true),
    raw: new DataView(view.buffer, view.byteOffset + at + 52, view.getUint32(at + 48, true)),
  };
}

/** Tracepoint number to name and fields. */
function readTracing(data: Uint8Array): Map<number, ReadEvent> {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  let at = 3 + 'tracing0.6\0'.length + 2 + 4;
  const word = (): string => {
    const end = data.indexOf(0, at);
    const found = text(data.subarray(at, end));
    at = end + 1;
    return found;
  };
  const sized = (): string => {
    const size = u64(view, at);
    at += 8 + size;
    return text(data.subarray(at - size, at));
  };
  for (let n = 0; n < 2; n++) {
    word();
    sized();
  }
  const count = (): number => {
    at += 4;
    return view.getUint32(at - 4, true);
  };
  for (let n = count(); n > 0; n--) sized();
  const out = new Map<number, ReadEvent>();
  for (let systems = count(); systems > 0; systems--) {
    const system = word();
    for (let n = count(); n > 0; n--) {
      const { id, event } = readFormat(system, sized());
      out.set(id, event);
    }
  }
  return out;
}

/** What a tracepoint's "format" file says. */
export function readFormat(system: string, format: string): { id: number; event: ReadEvent } {
  const symbols = new Map<number, string>();
  for (const [, number, name] of format.matchAll(/\{ (\d+), "([^"]*)" \}/g)) symbols.set(Number(number), name!);
  return { id: Number(/^ID: (\d+)$/m.exec(format)?.[1] ?? -1), event: { name: `${system}:${/^name: (\S+)$/m.exec(format)?.[1] ?? ''}`, fields: fieldsOf(format), symbols } };
}

function fieldsOf(format: string): Map<string, Field> {
  const out = new Map<string, Field>();
  for (const [, name, offset, size] of format.matchAll(/field:[^;]*?(\w+);\s*offset:(\d+);\s*size:(\d+);/g)) out.set(name!, { offset: Number(offset), size: Number(size) });
  return out;
}

/** A field of a raw sample; 0n where it has none of this name. */
export function fieldValue({ fields }: ReadEvent, raw: DataView, name: string): bigint {
  const field = fields.get(name);
  if (!field || field.offset + field.size > raw.byteLength) return 0n;
  return field.size === 8 ? raw.getBigUint64(field.offset, true) : BigInt(field.size === 4 ? raw.getUint32(field.offset, true) : field.size === 2 ? raw.getUint16(field.offset, true) : raw.getUint8(field.offset));
}
