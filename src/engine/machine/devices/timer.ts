/**
 * The PC's interval timer, an 8254 with three channels that count 1,193,182 times a second: channel 0 raises IRQ 0, channel 2
 * is the speaker's, gated and read through port 0x61. It keeps no clock of its own: `dueAt` says at which nanosecond channel 0's
 * next edge comes. All six modes as far as the output is seen, latches and read-back. Source: Intel 8254 data sheet; what
 * KVM does where the sheet leaves room (a gate stops nothing in modes 0 and 4). Left out: BCD, refresh by channel 1.
 */
export interface Channel {
  mode: number;
  reload: number;
  /** Bytes of a count: 1 low, 2 high, 3 low then high. */
  access: number;
  /** The low byte that was written and waits for its high one. */
  low: number | null;
  /** ns at which counting began; null before the first count is written. */
  since: number | null;
  /** Bytes of a count that was held, to be read next. */
  latched: number[];
  /** A status that was held, read before everything else. */
  status: number | null;
  readHigh: boolean;
  gate: boolean;
}

export interface IntervalTimer {
  channels: [Channel, Channel, Channel];
  /** Edges of channel 0 that were counted since its count was written. */
  edges: number;
  speaker: boolean;
}

export const PIT_HZ = 1_193_182;

const channel = (gate: boolean): Channel => ({ mode: 0, reload: 65536, access: 3, low: null, since: null, latched: [], status: null, readHigh: false, gate });

export const createTimer = (): IntervalTimer => ({ channels: [channel(true), channel(true), channel(false)], edges: 0, speaker: false });

const periodic = ({ mode }: Channel): boolean => mode === 2 || mode === 3;

/** ns of the next edge of channel 0, or null when none will come. Modes 1 and 5 wait for a gate that never changes there. */
export function dueAt(timer: IntervalTimer): number | null {
  const first = timer.channels[0];
  if (first.since === null || first.mode === 1 || first.mode === 5 || (!periodic(first) && timer.edges > 0)) return null;
  return first.since + Math.ceil(((timer.edges + 1) * first.reload * 1e9) / PIT_HZ);
}

/** Counts the edges that are due by `now`; says how many there were. */
export function tick(timer: IntervalTimer, now: number): number {
  const due = dueAt(timer);
  if (due === null || due > now) return 0;
  const first = timer.channels[0];
  const all = periodic(first) ? Math.max(timer.edges + 1, Math.floor(((now - first.since!) * PIT_HZ) / (first.reload * 1e9))) : 1;
  const edges = all - timer.edges;
  timer.edges = all;
  return edges;
}

/** Counts since the count was written; a hair more, so that the nanosecond at which an edge is due has seen it. */
const passed = (c: Channel, now: number): number => Math.floor(((now - c.since!) * PIT_HZ) / 1e9 + 1e-6);

function count(c: Channel, now: number): number {
  if (c.since === null) return c.reload & 0xffff;
  const n = passed(c, now);
  if (c.mode === 3) return (c.reload - ((2 * n) % c.reload)) & 0xffff;
  if (c.mode === 2) return (c.reload - (n % c.reload)) & 0xffff;
  return (c.reload - n) & 0xffff;
}

/** The level of a channel's output. */
export function output(c: Channel, now: number): boolean {
  if (c.since === null) return c.mode !== 0;
  const n = passed(c, now);
  switch (c.mode) {
    case 0: return n >= c.reload;
    case 1: return n < c.reload;
    case 2: return n % c.reload === 0 && n !== 0;
    case 3: return n % c.reload < (c.reload + 1) >> 1;
    default: return n === c.reload;
  }
}

/** Ports 0x40 to 0x43 and 0x61. */
export function readTimer(timer: IntervalTimer, port: number, now: number): number {
  if (port === 0x61) return readSpeaker(timer, now);
  if (port === 0x43) return 0;
  const c = timer.channels[port - 0x40]!;
  if (c.status !== null) {
    const held = c.status;
    c.status = null;
    return held;
  }
  if (c.latched.length > 0) return c.latched.shift()!;
  const value = count(c, now);
  if (c.access === 1) return value & 255;
  if (c.access === 2) return value >> 8;
  c.readHigh = !c.readHigh;
  return c.readHigh ? value & 255 : value >> 8;
}

/** Bits: 0 gate of channel 2, 1 speaker, 4 a clock that moves every 16 us, 5 output of channel 2. */
function readSpeaker(timer: IntervalTimer, now: number): number {
  const c = timer.channels[2];
  return (c.gate ? 1 : 0) | (timer.speaker ? 2 : 0) | (Math.floor(now / 16384) % 2 === 1 ? 16 : 0) | (output(c, now) ? 32 : 0);
}

export function writeTimer(timer: IntervalTimer, port: number, value: number, now: number): void {
  if (port === 0x61) setGate(timer, value, now);
  else if (port === 0x43) control(timer, value, now);
  else writeCount(timer, port - 0x40, value & 255, now);
}

/** A rising gate starts channel 2 anew in the modes that it triggers. */
function setGate(timer: IntervalTimer, value: number, now: number): void {
  const c = timer.channels[2];
  const open = (value & 1) !== 0;
  if (open && !c.gate && c.since !== null && c.mode !== 0 && c.mode !== 4) c.since = now;
  c.gate = open;
  timer.speaker = (value & 2) !== 0;
}

function control(timer: IntervalTimer, value: number, now: number): void {
  if (value >> 6 === 3) {
    for (const [n, c] of timer.channels.entries()) {
      if ((value & (2 << n)) === 0) continue;
      if ((value & 0x20) === 0) hold(c, now);
      if ((value & 0x10) === 0) c.status ??= (output(c, now) ? 0x80 : 0) | (c.access << 4) | (c.mode << 1);
    }
    return;
  }
  const c = timer.channels[value >> 6]!;
  const access = (value >> 4) & 3;
  if (access === 0) {
    hold(c, now);
    return;
  }
  const mode = (value >> 1) & 7;
  Object.assign(c, { access, mode: mode > 5 ? mode - 4 : mode, low: null, readHigh: false, since: null });
  if (value >> 6 === 0) timer.edges = 0;
}

function hold(c: Channel, now: number): void {
  if (c.latched.length > 0) return;
  const value = count(c, now);
  c.latched = c.access === 1 ? [value & 255] : c.access === 2 ? [value >> 8] : [value & 255, value >> 8];
}

function writeCount(timer: IntervalTimer, n: number, value: number, now: number): void {
  const c = timer.channels[n]!;
  if (c.access === 3 && c.low === null) {
    c.low = value;
    return;
  }
  const whole = c.access === 3 ? c.low! | (value << 8) : c.access === 1 ? value : value << 8;
  c.low = null;
  c.reload = whole === 0 ? 65536 : whole;
  c.since = now;
  if (n === 0) timer.edges = 0;
}
