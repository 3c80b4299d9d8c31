/**
 * The composition: machines, wire, control plane and clock of one scenario, joined. It constructs and connects and
 * applies what people did; it decides nothing. A world is a function of (scenario, seed, inputs).
 */
import type { Action, Input, Recording } from '../../bridge/protocol.ts';
import { boot, createKernel, type KernelSpec, registerKernels, ttyInput, ttyResize, ttyTake } from '../kernel/kernel.ts';
import type { Crash, Kernel } from '../kernel/records.ts';
import { debugVm, installKvm } from '../kernel/drivers/kvm.ts';
import { installMsr } from '../kernel/drivers/msr.ts';
import { putFile } from '../kernel/vfs/build.ts';
import { type Cluster, createCluster, setPower } from '../cluster/cluster.ts';
import { createClusterService } from '../cluster/server.ts';
import { BLOCK_STORE, type BlockStore, createBlockService, createBlockStore, plugAgain } from './blockstore.ts';
import { fillCluster } from './bigcluster.ts';
import { addHollowNodes } from './hollow.ts';
import { ADDONS } from './addons.ts';
import { applyManifests, applyObjects } from './manifests.ts';
import { createTimeline, runTo, step, type Timeline } from '../sim/timeline.ts';
import { createTrace, mix, record, traceHash, type Trace } from '../sim/trace.ts';
import { bytes, fromBase64, text } from '../sim/text.ts';
import { MS } from '../sim/units.ts';
import { createLan, type Lan, serviceHangUp, serviceSend, uplinkOf, withdraw } from './lan.ts';
import { bootOutside, GATEWAY, OUTSIDE } from './outside.ts';
import { API_SERVER, BMC_PORT, bmcAddress, findScenario, type HostSpec, type ScenarioSpec } from './scenario.ts';
import { bmcOf, bmcOfService, createRack, mind, type Rack } from './power.ts';
import { type Assets, treeOf } from './install.ts';

export interface World {
  /** The scenario's name, or the text of its file: what a recording keeps. */
  source: string;
  scenario: ScenarioSpec;
  seed: number;
  timeline: Timeline;
  trace: Trace;
  kernels: Map<string, Kernel>;
  /** The machine whose terminals people sit at. */
  host: Kernel;
  cluster: Cluster | null;
  /** The block store of clusters with machines. */
  blocks: BlockStore | null;
  lan: Lan;
  /** Switches machines on and off. */
  rack: Rack;
  /** Everything done so far and, after a seek into the past, what was done later. */
  inputs: Input[];
  /** How many of them have been applied. */
  applied: number;
  /** Running hash of each terminal's output: independent of when it was taken. */
  screens: Map<string, Trace>;
  /** Terminal output that nobody has taken yet. */
  output: Output[];
  /** Faults of modelled programs: each ended its process and nothing else. Not part of the history. */
  crashes: Crash[];
}

export type { Assets };

/** Ghz of every modelled processor: cycles are converted with it. */
export const GHZ = 2;

/** The machine that people sit at is up first, ns: a prompt need not wait for the work of the others. */
const ROOT_DELAY = 5 * MS;

export const TTYS = ['tty1', 'tty2', 'tty3', 'tty4'];

export function createWorld(assets: Assets, scenario: string, seed?: number): World {
  const spec = findScenario(scenario);
  const timeline = createTimeline();
  const trace = createTrace(timeline);
  const kernels = new Map<string, Kernel>();
  const wired = new Map<string, Kernel>();
  const lan = createLan(timeline, wired);
  registerKernels(timeline, wired);
  const world: World = {
    source: scenario, scenario: spec, seed: seed ?? spec.seed ?? 1, timeline, trace, kernels, host: null as unknown as Kernel,
    cluster: null, blocks: null, rack: null as unknown as Rack, lan, inputs: [], applied: 0,
    screens: new Map(TTYS.map((tty) => [tty, createTrace(timeline, 0)])), output: [], crashes: [],
  };
  world.rack = createRack(timeline, kernels, (kernel) => plugIn(world, assets, kernel));
  if (spec.cluster) joinCluster(world);
  if (spec.outside) lan.wake = (address) => wakeOutside(world, assets, address);
  for (const host of spec.hosts) addHost(world, assets, host);
  world.host = kernels.get(spec.hosts[0]!.name)!;
  return world;
}

function joinCluster(world: World): void {
  const { lan, timeline, trace, seed } = world;
  const cluster = createCluster({ name: 'cluster', timeline, trace, seed });
  world.cluster = cluster;
  const api = createClusterService(cluster, (conn, data) => serviceSend(lan, conn, data), (conn) => serviceHangUp(lan, conn));
  lan.services.set(`${API_SERVER.address}:${API_SERVER.port}`, api);
  const power = (on: boolean): void => {
    setPower(cluster, on);
    if (on) lan.services.set(`${API_SERVER.address}:${API_SERVER.port}`, api);
    else withdraw(lan, API_SERVER.address, API_SERVER.port);
  };
  lan.services.set(`${bmcAddress(API_SERVER.address)}:${BMC_PORT}`, bmcOfService(timeline, 'control-plane', power, (conn, data) => serviceSend(lan, conn, data), (conn) => serviceHangUp(lan, conn)));
  if (world.scenario.hosts.some((host) => host.services.includes('kubelet'))) joinBlockStore(world);
  addHollowNodes(cluster, world.scenario.cluster!);
  if (world.scenario.hosts.some((h) => h.services.includes('kubelet'))) applyObjects(cluster, ADDONS);
  applyManifests(cluster, world.scenario.manifests);
  if (world.scenario.cluster!.podsPerNode) fillCluster(cluster, world.scenario.cluster!.hollow * world.scenario.cluster!.podsPerNode);
}

function joinBlockStore(world: World): void {
  const { lan, timeline, trace, seed, kernels } = world;
  world.blocks = createBlockStore(timeline, trace, kernels, seed);
  lan.services.set(`${BLOCK_STORE.address}:${BLOCK_STORE.port}`, createBlockService(world.blocks, (conn, data) => serviceSend(lan, conn, data), (conn) => serviceHangUp(lan, conn)));
}

/** A machine, new or started again, takes its place. */
function plugIn(world: World, assets: Assets, kernel: Kernel): void {
  const host = world.scenario.hosts.find((h) => h.name === kernel.name)!;
  world.kernels.set(host.name, kernel);
  world.lan.kernels.set(host.name, kernel);
  if (world.host?.name === host.name) world.host = kernel;
  kernel.uplink = uplinkOf(world.lan);
  installKvm(kernel, assets.cpu);
  installMsr(kernel, assets.cpu, host.guest ?? false);
  if (world.blocks) plugAgain(world.blocks, kernel);
}

function addHost(world: World, assets: Assets, host: HostSpec): void {
  const spec: KernelSpec = {
    name: host.name, cpus: host.cpus, memory: host.memory, ghz: GHZ, timeline: world.timeline, trace: world.trace,
    seed: world.seed, programs: assets.programs.byName, hostname: host.name, network: networkOf(world.scenario, host), crashes: world.crashes,
  };
  const kernel = createKernel(spec);
  const { lan, rack } = world;
  lan.hosts.set(host.address, host.name);
  plugIn(world, assets, kernel);
  mind(rack, kernel, spec);
  if (host.services.includes('kubelet')) lan.services.set(`${bmcAddress(host.address)}:${BMC_PORT}`, bmcOf(rack, host.name, (conn, data) => serviceSend(lan, conn, data), (conn) => serviceHangUp(lan, conn)));
  const delay = host === world.scenario.hosts[0] ? 0 : ROOT_DELAY;
  boot(kernel, { tree: treeOf(host, world.scenario, assets), delay, init: '/sbin/init', argv: ['/sbin/init'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', TERM: 'linux' } });
}

/** What is beyond the gateway is no machine of the lab: it is on the wire only, from when it is first looked for. */
function wakeOutside(world: World, assets: Assets, address: string): void {
  const { lan } = world;
  if (address !== GATEWAY || lan.kernels.has(OUTSIDE)) return;
  lan.kernels.set(OUTSIDE, bootOutside(world.timeline, world.trace, world.seed, GHZ, assets.programs.byName, uplinkOf(lan)));
}

/** What is for elsewhere goes to the gateway, where there is one; how pods of other nodes are reached is flanneld's to say. */
function networkOf(scenario: ScenarioSpec, host: HostSpec): KernelSpec['network'] {
  if (host.address === '') return null;
  return { address: `${host.address}/24`, ...(scenario.outside || host.services.includes('kubelet') ? { gateway: GATEWAY } : {}) };
}

/** Rebuilds the world of a recording at time zero, its inputs still to come. */
export function openRecording(assets: Assets, recording: Recording): World {
  const world = createWorld(assets, recording.scenario, recording.seed);
  world.inputs = recording.inputs.slice();
  return world;
}

export function toRecording(world: World): Recording {
  return {
    nestbox: 1,
    scenario: world.source,
    seed: world.seed,
    inputs: world.inputs.slice(0, world.applied),
    until: world.timeline.now,
    hash: worldHash(world),
  };
}

/** Runs to time `t` (ns), doing what was done on the way; the same however it is divided. */
export function advance(world: World, t: number): void {
  while (world.applied < world.inputs.length && world.inputs[world.applied]!.t <= t) nextInput(world);
  runTo(world.timeline, t);
}

/** Like `advance`, but comes back when `enough` says so (asked every few events); says whether `t` was reached. */
export function advanceSome(world: World, t: number, enough: () => boolean): boolean {
  for (;;) {
    const input = world.inputs[world.applied];
    const limit = input && input.t < t ? input.t : t;
    for (let n = 1; step(world.timeline, limit); n++) if ((n & 7) === 0 && enough()) return false;
    if (!input || input.t > t) {
      if (world.timeline.now < t) world.timeline.now = t;
      return true;
    }
    nextInput(world);
  }
}

/** A person does something now. What had been done later, before a seek into the past, is dropped. */
export function act(world: World, action: Action): void {
  runTo(world.timeline, world.timeline.now);
  world.inputs.length = world.applied;
  world.inputs.push({ t: world.timeline.now, ...action });
  nextInput(world);
}

function nextInput(world: World): void {
  const input = world.inputs[world.applied]!;
  runTo(world.timeline, input.t);
  world.applied++;
  apply(world, input);
}

function apply(world: World, input: Input): void {
  const { host, trace } = world;
  switch (input.do) {
    case 'type':
      record(trace, 'input', host.name, 'input.type', { tty: input.tty, data: input.data });
      ttyInput(host, input.tty, bytes(input.data));
      return;
    case 'resize':
      ttyResize(host, input.tty, input.cols, input.rows);
      return;
    case 'file': {
      const name = safeName(input.name);
      const data = fromBase64(input.base64);
      record(trace, 'input', host.name, 'input.file', { name, size: data.length });
      putFile(host, `/root/uploads/${name}`, data);
      return;
    }
    case 'vm': {
      const kernel = world.kernels.get(input.host);
      record(trace, 'input', input.host, 'input.debug', { vm: input.vm, cmd: input.cmd });
      if (kernel) debugVm(kernel, input.vm, input.cmd);
      return;
    }
    case 'answer':
      record(trace, 'input', host.name, 'input.answer', { lab: input.lab, step: input.step, answer: input.answer });
      return;
    case 'hint':
      record(trace, 'input', host.name, 'input.hint', { lab: input.lab, step: input.step, index: input.index });
      return;
  }
}

/** The last part of a path, without anything a file name cannot hold. */
export function safeName(name: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is taken out
  const last = name.split(/[/\\]/).pop()!.replace(/[\x00-\x1f\x7f]/g, '').slice(0, 255);
  return last === '' || last === '.' || last === '..' ? 'file' : last;
}

export interface Output {
  tty: string;
  stream: 1 | 2;
  data: Uint8Array;
}

/** Takes what the terminals have shown since the last time. */
export function takeOutput(world: World): Output[] {
  drain(world);
  return world.output.splice(0);
}

/** The trace's hash and each terminal's: equal for equal recordings on every machine. */
export function worldHash(world: World): string {
  drain(world);
  const screens = [...world.screens.keys()].sort().map((tty) => traceHash(world.screens.get(tty)!));
  const all = createTrace(world.timeline, 0);
  mix(all, [traceHash(world.trace), ...screens].join(' '));
  return traceHash(all);
}

function drain(world: World): void {
  for (const tty of TTYS) {
    for (const { data, stream } of ttyTake(world.host, tty)) {
      mix(world.screens.get(tty)!, text(data));
      world.output.push({ tty, stream, data });
    }
  }
}
