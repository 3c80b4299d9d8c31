/**
 * iocost: the disk shared by io.weight, once `254:0 enable=1` is written to io.cost.qos of the root. Each group has a clock
 * of what it was given; a request of a group with share w moves that clock by cost/w, and may not begin before it. The
 * share is the product of weights among active siblings from the root down; active is who asked within the last period.
 * Source: block/blk-iocost.c, kernel doc cgroup-v2 (io.cost.*). Left out: giving surplus to others (donation), a disk
 * slower or faster than its model (vrate), latency targets: rpct, rlat, wpct, wlat, min and max are kept and printed, and so is io.cost.model.
 */
import { SysError } from '../abi.ts';
import type { Kernel } from '../records.ts';
import { DISK } from './io.ts';
import type { Cgroup } from './types.ts';

/** ns after its last request that a group counts as active. */
const PERIOD = 100_000_000;

interface Iocost {
  qos: Record<'enable' | 'ctrl' | 'rpct' | 'rlat' | 'wpct' | 'wlat' | 'min' | 'max', string>;
  /** Coefficients of the linear cost model: kept and printed. */
  model: Record<'rbps' | 'rseqiops' | 'rrandiops' | 'wbps' | 'wseqiops' | 'wrandiops', number>;
  userModel: boolean;
  /** By group: the latest time it asked, and when what it was given is used up. */
  asked: WeakMap<Cgroup, number>;
  paid: WeakMap<Cgroup, number>;
}
const AUTO: Iocost['qos'] = { enable: '0', ctrl: 'auto', rpct: '0.00', rlat: '250000', wpct: '0.00', wlat: '250000', min: '1.00', max: '10000.00' };
/** Of a rotating disk, as the virtual one says it is. */
const AUTO_MODEL: Iocost['model'] = { rbps: 174_019_176, rseqiops: 41_708, rrandiops: 370, wbps: 178_075_866, wseqiops: 42_705, wrandiops: 378 };

const stateOf = (kernel: Kernel): Iocost | undefined => kernel.drivers.get('iocost') as Iocost | undefined;

/** The share of the disk that a group has now, 0 to 1: its own tasks count as a child of weight 100 beside its children. */
function shareOf(state: Iocost, cgroup: Cgroup, now: number): number {
  const active = (one: Cgroup): boolean => (state.asked.get(one) ?? -Infinity) > now - PERIOD || [...one.children.values()].some(active);
  let share = 1;
  for (let at = cgroup; at.parent; at = at.parent) {
    const total = [...at.parent.children.values()].filter((one) => one === at || active(one)).reduce((sum, one) => sum + one.io.weight, 0);
    share *= at.io.weight / total;
  }
  return share;
}

/** When a request that takes the disk `cost` ns may begin. */
export function allowance(kernel: Kernel, cgroup: Cgroup, cost: number, now: number): number {
  const state = stateOf(kernel);
  if (state?.qos.enable !== '1' || !cgroup.parent) return now;
  state.asked.set(cgroup, now);
  const start = Math.max(state.paid.get(cgroup) ?? 0, now);
  state.paid.set(cgroup, start + cost / shareOf(state, cgroup, now));
  return start;
}

/** What is written to a file of a device after its number. */
function settingsOf(text: string): string[] {
  const [device, ...settings] = text.trim().split(/\s+/);
  if (!/^\d+:\d+$/.test(device ?? '')) throw new SysError('EINVAL');
  if (device !== DISK) throw new SysError('ENODEV');
  return settings;
}

/** "254:0 enable=1 rlat=…": what is not named stays. */
export function writeQos(kernel: Kernel, text: string): void {
  const settings = settingsOf(text);
  const state = begin(kernel);
  const qos = { ...state.qos };
  for (const one of settings) {
    const match = /^(enable|ctrl|rpct|rlat|wpct|wlat|min|max)=(\S+)$/.exec(one);
    if (!match || !VALUES[match[1] as keyof typeof VALUES].test(match[2]!)) throw new SysError('EINVAL');
    const name = match[1] as keyof Iocost['qos'];
    qos[name] = /pct|min|max/.test(name) ? Number(match[2]).toFixed(2) : match[2]!;
    if (name !== 'enable' && name !== 'ctrl' && !settings.some((s) => s.startsWith('ctrl='))) qos.ctrl = 'user';
  }
  state.qos = qos;
}

/** The first look at a device by either file sets it up, whatever becomes of what was written. */
function begin(kernel: Kernel): Iocost {
  let state = stateOf(kernel);
  if (!state) kernel.drivers.set('iocost', (state = { qos: AUTO, model: AUTO_MODEL, userModel: false, asked: new WeakMap(), paid: new WeakMap() }));
  return state;
}

/** "254:0 ctrl=user model=linear rbps=…": a coefficient makes the model the user's; `ctrl=auto` brings the kernel's back. */
export function writeModel(kernel: Kernel, text: string): void {
  const settings = settingsOf(text);
  const state = begin(kernel);
  const model = { ...state.model };
  let user = state.userModel;
  for (const one of settings) {
    const [, name = '', value = ''] = /^(\w+)=(\S+)$/.exec(one) ?? [];
    if (name === 'ctrl' && /^(auto|user)$/.test(value)) user = value === 'user';
    else if (Object.hasOwn(model, name) && /^\d+$/.test(value)) {
      model[name as keyof typeof model] = Number(value);
      user = true;
    } else if (one !== 'model=linear') throw new SysError('EINVAL');
  }
  state.userModel = user;
  state.model = user ? model : AUTO_MODEL;
}

export function modelText(kernel: Kernel): string {
  const state = stateOf(kernel);
  return state ? `${DISK} ctrl=${state.userModel ? 'user' : 'auto'} model=linear ${Object.entries(state.model).map(([name, value]) => `${name}=${value}`).join(' ')}\n` : '';
}

const VALUES = {
  enable: /^[01]$/, ctrl: /^(auto|user)$/, rpct: /^(\d{1,2}(\.\d+)?|100)$/, wpct: /^(\d{1,2}(\.\d+)?|100)$/, rlat: /^\d+$/, wlat: /^\d+$/, min: /^\d+(\.\d+)?$/, max: /^\d+(\.\d+)?$/,
};

export function qosText(kernel: Kernel): string {
  const state = stateOf(kernel);
  return state ? `${DISK} ${Object.entries(state.qos).map(([name, value]) => `${name}=${value}`).join(' ')}\n` : '';
}
