/**
 * Machines that lose and get power, as the world does it: a machine that restarts, or is switched on again at its management
 * controller, boots from the disk that it had. The controllers answer at addresses of their own, port 623, a line of JSON each way.
 */
import { boot, createKernel, type KernelSpec } from '../kernel/kernel.ts';
import { losePower, settleDisk } from '../kernel/power.ts';
import type { Kernel } from '../kernel/records.ts';
import type { SuperBlock } from '../kernel/vfs/types.ts';
import { after, handle, type Timeline } from '../sim/timeline.ts';
import { bytes, text } from '../sim/text.ts';
import { SECOND } from '../sim/units.ts';
import type { RemoteService } from './lan.ts';

/** From power to the kernel's first program. */
const FIRMWARE = 8 * SECOND;
/** Between off and on of a cycle. */
const PAUSE = 2 * SECOND;

export interface Rack {
  timeline: Timeline;
  kernels: Map<string, Kernel>;
  /** What a machine is made of, and what is done with one that has been made again. */
  specs: Map<string, KernelSpec>;
  made(kernel: Kernel): void;
  boots: Map<string, number>;
  /** Machines that are on their way up. */
  rising: Set<string>;
}

export function createRack(timeline: Timeline, kernels: Map<string, Kernel>, made: (kernel: Kernel) => void): Rack {
  const rack: Rack = { timeline, kernels, specs: new Map(), made, boots: new Map(), rising: new Set() };
  handle(timeline, 'power.boot', (event) => bootAgain(rack, event.who));
  handle(timeline, 'power.on', (event) => switchOn(rack, event.who));
  return rack;
}

/** Puts a machine under the rack's care. */
export function mind(rack: Rack, kernel: Kernel, spec: KernelSpec): void {
  rack.specs.set(kernel.name, spec);
  kernel.onPower = (how) => {
    if (how === 'restart') switchOn(rack, kernel.name);
  };
}

export function switchOn(rack: Rack, name: string): void {
  if (rack.kernels.get(name)?.power !== 'off' || rack.rising.has(name)) return;
  rack.rising.add(name);
  after(rack.timeline, FIRMWARE, { kind: 'power.boot', who: name });
}

function bootAgain(rack: Rack, name: string): void {
  const before = rack.kernels.get(name)!;
  const spec = rack.specs.get(name)!;
  rack.rising.delete(name);
  if (before.power !== 'off') return;
  const boots = (rack.boots.get(name) ?? 0) + 1;
  rack.boots.set(name, boots);
  const kernel = createKernel({ ...spec, seed: spec.seed + boots });
  kernel.mounts.nextDev = before.mounts.nextDev;
  rack.made(kernel);
  mind(rack, kernel, spec);
  boot(kernel, { tree: {}, disk: settleDisk(before.drivers.get('rootfs') as SuperBlock), init: '/sbin/init', argv: ['/sbin/init'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TERM: 'linux' } });
}

/** What the management controller of a machine answers: {"power":"status"|"on"|"off"|"cycle"|"reset"} with {"on":bool} or {"error":text}. */
export function bmcOf(rack: Rack, name: string, send: (conn: number, data: Uint8Array) => void, hangUp: (conn: number) => void): RemoteService {
  return {
    open: () => undefined,
    close: () => undefined,
    data(conn, data) {
      const kernel = rack.kernels.get(name)!;
      const asked = /"power":\s*"(\w+)"/.exec(text(data))?.[1] ?? '';
      const on = kernel.power !== 'off' || rack.rising.has(name);
      const refusal = (asked === 'cycle' || asked === 'reset') && !on ? 'Command not supported in present state' : ['status', 'on', 'off', 'cycle', 'reset'].includes(asked) ? null : 'Invalid data field in request';
      if (refusal === null) order(rack, kernel, asked);
      send(conn, bytes(`${JSON.stringify(refusal === null ? { on: asked === 'status' ? on : asked !== 'off' } : { error: refusal })}\n`));
      hangUp(conn);
    },
  };
}

function order(rack: Rack, kernel: Kernel, asked: string): void {
  if (asked === 'on') switchOn(rack, kernel.name);
  if (asked === 'off' || asked === 'cycle' || asked === 'reset') {
    losePower(kernel, 'off');
    rack.rising.delete(kernel.name);
  }
  if (asked === 'cycle' || asked === 'reset') after(rack.timeline, asked === 'cycle' ? PAUSE : 0, { kind: 'power.on', who: kernel.name });
}

/** The machine of the control plane is no modelled kernel: its power is that of its services. */
export function bmcOfService(timeline: Timeline, name: string, set: (on: boolean) => void, send: (conn: number, data: Uint8Array) => void, hangUp: (conn: number) => void): RemoteService {
  const state = { on: true };
  handle(timeline, 'power.service', (event) => {
    state.on = true;
    if (event.who === name) set(true);
  });
  const rise = (delay: number): void => void after(timeline, delay + FIRMWARE, { kind: 'power.service', who: name });
  return {
    open: () => undefined,
    close: () => undefined,
    data(conn, data) {
      const asked = /"power":\s*"(\w+)"/.exec(text(data))?.[1] ?? '';
      const refusal = (asked === 'cycle' || asked === 'reset') && !state.on ? 'Command not supported in present state' : ['status', 'on', 'off', 'cycle', 'reset'].includes(asked) ? null : 'Invalid data field in request';
      const before = state.on;
      if (refusal === null && asked !== 'status' && asked !== 'on') {
        state.on = false;
        set(false);
      }
      if (refusal === null && ((asked === 'on' && !before) || asked === 'cycle' || asked === 'reset')) rise(asked === 'cycle' ? PAUSE : 0);
      send(conn, bytes(`${JSON.stringify(refusal === null ? { on: asked === 'status' ? before : asked !== 'off' } : { error: refusal })}\n`));
      hangUp(conn);
    },
  };
}
