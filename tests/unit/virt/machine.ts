/** A kernel whose pid 1 mounts what virtualization needs, starts libvirtd and runs one command line after another. */
import { readFileSync } from 'node:fs';
import { installKvm } from '../../../src/engine/kernel/drivers/kvm.ts';
import { installMsr } from '../../../src/engine/kernel/drivers/msr.ts';
import { boot, createKernel, registerKernels } from '../../../src/engine/kernel/kernel.ts';
import type { Kernel } from '../../../src/engine/kernel/records.ts';
import { type Body, type Program, sys } from '../../../src/engine/kernel/sys.ts';
import type { Tree } from '../../../src/engine/kernel/vfs/build.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { text } from '../../../src/engine/sim/text.ts';
import { createTimeline, step } from '../../../src/engine/sim/timeline.ts';
import { createTrace } from '../../../src/engine/sim/trace.ts';
import { drain, fork } from '../../../src/engine/userland/lib/files.ts';
import type { Call } from '../../../src/engine/userland/lib/http.ts';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { virt as own } from '../../../src/engine/userland/virt/table.ts';
import type { ProgramTable } from '../../../src/engine/userland/programs.ts';
import { loadAssets } from '../../../src/cli/assets.ts';

const basic: ProgramTable = { ...own, '/usr/bin/sleep': coreutils['/usr/bin/sleep']! };

const file = (name: string): string => readFileSync(new URL(`../../../src/engine/hypervisor/guests/${name}`, import.meta.url), 'utf8');

export function assembled(source: string, name = 'guest.asm'): Uint8Array {
  const image = assemble(source, name);
  if (image.errors.length > 0) throw new Error(`${name}: ${image.errors[0]!.text}`);
  return image.bytes;
}

export interface Ran { stdout: string; stderr: string; status: number }

const DOMAIN = `<domain type='kvm'>
  <name>tiny</name>
  <memory unit='MiB'>16</memory>
  <os><type arch='x86_64' machine='pc'>hvm</type><kernel>/var/lib/libvirt/images/tiny.bin</kernel></os>
  <devices><serial type='pty'/></devices>
</domain>`;

export interface Lab {
  kernel: Kernel;
  /** Runs a command to its end; at most `seconds` of simulated time. */
  run(...argv: string[]): Ran;
  /** Starts a command and leaves it running. */
  start(...argv: string[]): void;
  /** Lets time pass, ns. */
  pass(ns: number): void;
}

export function lab(files: Tree = {}, hostname = 'lab', more: ProgramTable = {}): Lab {
  const virt = { ...basic, ...more };
  const timeline = createTimeline();
  const trace = createTrace(timeline);
  const kernels = new Map<string, Kernel>();
  registerKernels(timeline, kernels);
  const waiting: { argv: string[]; behind: boolean }[] = [];
  const results: Ran[] = [];
  const init: Program = function* () {
    yield* mounts();
    yield* fork(function* (): Body {
      yield* sys('execve', '/usr/sbin/libvirtd', ['/usr/sbin/libvirtd'], {});
      return 1;
    });
    yield* sys('nanosleep', 50_000_000);
    for (;;) {
      const next = waiting.shift();
      if (next) results.push(next.behind ? yield* behind(next.argv) : yield* command(next.argv));
      else yield* sys('nanosleep', 1_000_000);
    }
  };
  const programs = new Map<string, Program>(Object.entries(virt).map(([path, program]) => [path.split('/').pop()!, program]));
  programs.set('init', init);
  const kernel = createKernel({ name: 'lab', cpus: 2, memory: 2 ** 30, ghz: 2, timeline, trace, seed: 1, programs, hostname, network: null });
  kernels.set('lab', kernel);
  installKvm(kernel, loadAssets().cpu);
  installMsr(kernel, loadAssets().cpu, false);
  const tree: Tree = {
    '/sbin/init': { type: 'program', name: 'init', mode: 0o755 }, '/root': { type: 'dir' }, '/proc': { type: 'dir' }, '/sys/fs/cgroup': { type: 'dir' }, '/tmp': { type: 'dir' }, '/run': { type: 'dir' },
    '/var/lib/libvirt/images/tiny.bin': { type: 'file', data: assembled(file('tiny.asm'), 'tiny.asm') }, '/etc/libvirt/qemu/tiny.xml': { type: 'file', data: DOMAIN }, ...files,
  };
  for (const path of Object.keys(virt)) tree[path] = { type: 'program', name: path.split('/').pop()!, mode: 0o755 };
  boot(kernel, { tree, init: '/sbin/init', argv: ['/sbin/init'], env: {} });
  const until = (done: () => boolean, limit: number): void => {
    while (!done() && step(timeline, limit));
  };
  return {
    kernel,
    run(...argv) {
      const before = results.length;
      waiting.push({ argv, behind: false });
      until(() => results.length > before, timeline.now + 60e9);
      const result = results[before];
      if (!result) throw new Error(`${argv.join(' ')} did not end`);
      return result;
    },
    start(...argv) {
      const before = results.length;
      waiting.push({ argv, behind: true });
      until(() => results.length > before, timeline.now + 60e9);
    },
    pass(ns) {
      const end = timeline.now + ns;
      while (step(timeline, end));
    },
  };
}

function* mounts(): Call<void> {
  yield* sys('mount', 'proc', '/proc', 'proc', 0, '');
  yield* sys('mount', 'cgroup2', '/sys/fs/cgroup', 'cgroup2', 0, '');
  yield* sys('mount', 'devpts', '/dev/pts', 'devpts', 0, '');
  yield* sys('netlink', { type: 'link.set', name: 'lo', up: true });
}

function* behind(argv: readonly string[]): Call<Ran> {
  yield* fork(function* (): Body {
    const quiet = yield* sys('openat', -100, '/dev/null', 2);
    for (const fd of [0, 1, 2]) yield* sys('dup3', quiet, fd, 0);
    yield* sys('execve', argv[0]!, argv, { PATH: '/usr/bin' });
    return 127;
  });
  return { stdout: '', stderr: '', status: 0 };
}

function* command(argv: readonly string[]): Call<Ran> {
  const [outRead, outWrite] = yield* sys('pipe2', 0);
  const [errRead, errWrite] = yield* sys('pipe2', 0);
  const pid = yield* fork(function* (): Body {
    yield* sys('dup3', outWrite, 1, 0);
    yield* sys('dup3', errWrite, 2, 0);
    const quiet = yield* sys('openat', -100, '/dev/null', 2);
    yield* sys('dup3', quiet, 0, 0);
    for (const fd of [outRead, outWrite, errRead, errWrite, quiet]) yield* sys('close', fd);
    yield* sys('execve', argv[0]!, argv, { PATH: '/usr/bin' });
    return 127;
  });
  yield* sys('close', outWrite);
  yield* sys('close', errWrite);
  const stdout = text(yield* drain(outRead));
  const stderr = text(yield* drain(errRead));
  yield* sys('close', outRead);
  yield* sys('close', errRead);
  for (;;) {
    const ended = yield* sys('wait4', -1, 0);
    if (ended.pid === pid) return { stdout, stderr, status: ended.status };
  }
}
