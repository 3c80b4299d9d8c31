/**
 * The PC's interval timer, channel 0 of an 8254: counts 1,193,182 times a second and raises IRQ 0 every `reload` counts.
 * It keeps no clock of its own: `dueAt` says at which nanosecond the next edge comes. Modes 0 (once), 2 and 3 (periodic);
 * source: Intel 8254 data sheet. Left out: channels 1 and 2, read-back, BCD.
 */
export interface IntervalTimer {
  mode: number;
  reload: number;
  /** Bytes of the count being written: low, high or low then high. */
  access: number;
  low: number | null;
  /** ns at which counting began; null before the first count is written. */
  since: number | null;
  /** Edges raised since then. */
  edges: number;
  latched: number[] | null;
  readHigh: boolean;
}

export const PIT_HZ = 1_193_182;

export function createTimer(): IntervalTimer {
  return { mode: 0, reload: 65536, access: 3, low: null, since: null, edges: 0, latched: null, readHigh: false };
}

const periodic = (timer: IntervalTimer): boolean => timer.mode === 2 || timer.mode === 3;

/** ns of the next edge, or null when none will come. */
export function dueAt(timer: IntervalTimer): number | null {
  if (timer.since === null || (!periodic(timer) && timer.edges > 0)) return null;
  return timer.since + Math.ceil(((timer.edges + 1) * timer.reload * 1e9) / PIT_HZ);
}

/** Counts the edges that are due by `now`; says how many there were. */
export function tick(timer: IntervalTimer, now: number): number {
  let edges = 0;
  for (let due = dueAt(timer); due !== null && due <= now; due = dueAt(timer)) {
    timer.edges++;
    edges++;
  }
  return edges;
}

function count(timer: IntervalTimer, now: number): number {
  if (timer.since === null) return timer.reload;
  const passed = Math.floor(((now - timer.since) * PIT_HZ) / 1e9);
  return timer.reload - (passed % timer.reload);
}

/** Ports 0x40 and 0x43. */
export function readTimer(timer: IntervalTimer, port: number, now: number): number {
  if (port !== 0x40) return 0xff;
  if (timer.latched) {
    const byte = timer.latched.shift()!;
    if (timer.latched.length === 0) timer.latched = null;
    return byte;
  }
  const value = count(timer, now) & 0xffff;
  if (timer.access === 1) return value & 255;
  if (timer.access === 2) return value >> 8;
  timer.readHigh = !timer.readHigh;
  return timer.readHigh ? value & 255 : value >> 8;
}

export function writeTimer(timer: IntervalTimer, port: number, value: number, now: number): void {
  if (port === 0x43) {
    if (value >> 6 !== 0) return;
    const access = (value >> 4) & 3;
    if (access === 0) {
      const held = count(timer, now) & 0xffff;
      timer.latched = [held & 255, held >> 8];
      return;
    }
    timer.access = access;
    timer.mode = (value >> 1) & 3;
    timer.low = null;
    timer.readHigh = false;
    return;
  }
  if (port !== 0x40) return;
  if (timer.access === 3 && timer.low === null) {
    timer.low = value & 255;
    return;
  }
  const whole = timer.access === 3 ? timer.low! | ((value & 255) << 8) : timer.access === 1 ? value & 255 : (value & 255) << 8;
  timer.low = null;
  timer.reload = whole === 0 ? 65536 : whole;
  timer.since = now;
  timer.edges = 0;
}
