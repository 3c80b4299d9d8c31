/**
 * qemu-system-x86_64: a process that makes a virtual machine with KVM and is its board. Options (options.ts), the image
 * (image.ts), KVM's descriptors, then two threads: vcpu.ts in KVM_RUN, and here the main loop that waits for keys and
 * monitors. The serial line goes to the terminal, a pty, a file or nowhere.
 * Source: qemu-system-x86_64(1), softmmu/vl.c of 7.2. Left out: everything but one processor, memory, a serial line,
 * isa-debug-exit and ACPI power; and of emulation what the lab's own monitor is: -accel tcg is its binary translation.
 */
import {
  AT_FDCWD, MAP_ANONYMOUS, MAP_PRIVATE, O_CREAT, O_NONBLOCK, O_RDWR, O_TRUNC, O_WRONLY, POLLHUP, POLLIN, PROT_READ, PROT_WRITE, SIG, SysError, TCGETS, TCSETS,
  type Termios, TIOCGPTN, TIOCSPTLCK,
} from '../../../kernel/abi.ts';
import {
  KVM_API_VERSION, KVM_CREATE_IRQCHIP, KVM_CREATE_PIT2, KVM_CREATE_VCPU, KVM_CREATE_VM, KVM_GET_API_VERSION, KVM_SET_HISTORY, KVM_SET_TSS_ADDR, KVM_SET_USER_MEMORY_REGION, type VmType,
} from '../../../kernel/drivers/kvm/uapi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { attempt, writeFile } from '../../lib/files.ts';
import { type Call, listen, thread } from '../../lib/http.ts';
import { complain, Failed, print, strerror } from '../../lib/io.ts';
import { type Console, greetMonitor, onKeys } from './console.ts';
import { boardOf, type Channel, type Emulator, ENDING_SIGNALS, feedSerial, interrupted, powerOn, tell, terminate } from './emulator.ts';
import { attach, detach, newClient, receiveGdb } from './gdbstub.ts';
import { BadImage, type Image } from './boot.ts';
import { readImage } from './image.ts';
import { type Accelerator, type Chardev, MODULES, type Options, parseOptions } from './options.ts';
import { emitTo, greet, type QmpClient, receiveQmp } from './qmp.ts';
import { vcpuThread } from './vcpu.ts';

const ME = 'qemu-system-x86_64';
const MEMORY_MAX = 2 ** 30;

export const qemu: Program = function* (argv): Body {
  try {
    const options = parseOptions(argv);
    if (options.text !== null) {
      yield* print(options.text);
      return 0;
    }
    return yield* runMachine(options);
  } catch (error) {
    if (error instanceof BadImage) yield* complain(`${error.message}\n`);
    else if (error instanceof Failed) yield* complain(`${ME}: ${error.message}\n`);
    else throw error;
    return 1;
  }
};

/** Throws Failed and BadImage with what is to be complained of. */
export function* runMachine(options: Options): Call<number> {
  if (options.memory > MEMORY_MAX) throw new Failed('not modelled: guests of more than 1 GiB of memory');
  const kvm = yield* openAccelerator(options);
  if (options.kernel === null) throw new Failed('not modelled: firmware and disks; give a kernel with -kernel');
  const image = yield* readImage({ path: options.kernel, append: options.append, initrd: options.initrd, memory: options.memory });
  const descriptors = yield* createMachine(kvm, options, image);
  const emu = yield* connect(options, descriptors, image);
  const loop = yield* openMonitors(emu);
  if (options.recorded) yield* sys('ioctl', emu.vcpu, KVM_SET_HISTORY, 1);
  yield* powerOn(emu);
  if (options.pidfile !== null) {
    yield* writeFile(options.pidfile, `${yield* sys('getpid')}\n`, 0o600);
    emu.litter.push(options.pidfile);
  }
  for (const signal of ENDING_SIGNALS) yield* sys('rt_sigaction', signal, { handler: (n) => terminate(emu, n) });
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  emu.status = options.paused ? 'prelaunch' : 'running';
  emu.thread = yield* thread(() => vcpuThread(emu));
  return yield* mainLoop(emu, loop);
}

/** The device behind -accel, and the technique asked of it. */
const DEVICES: Readonly<Record<Accelerator, { path: string; technique: string }>> = {
  kvm: { path: '/dev/kvm', technique: 'vmx-ept' },
  tcg: { path: '/dev/vmmon', technique: 'binary-translation' },
  xen: { path: '/dev/xen/privcmd', technique: 'paravirt' },
  deprivileged: { path: '/dev/vmmon', technique: 'trap-and-emulate' },
  bare: { path: '/dev/bench', technique: 'native' },
};
const typeOf = ({ accel, ept, generation }: Options): VmType => ({ technique: accel === 'kvm' && !ept ? 'vmx-shadow' : DEVICES[accel].technique, ...(generation === null ? {} : { generation }) });

function* openAccelerator({ accel }: Options): Call<number> {
  const { path } = DEVICES[accel];
  try {
    const fd = yield* sys('openat', AT_FDCWD, path, O_RDWR);
    if ((yield* sys('ioctl', fd, KVM_GET_API_VERSION)) !== KVM_API_VERSION) throw new SysError('EINVAL');
    return fd;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Could not access ${MODULES[accel]} kernel module: ${strerror(error)}\n`);
    throw new Failed(`-accel ${accel}: failed to initialize ${accel}: ${strerror(error)}`);
  }
}

const LMA = 0x400n;
/** Trap-and-emulate keeps the processor in long mode and wants a kernel that begins there. */
const NARROW: readonly Accelerator[] = ['deprivileged'];

/** A technique that is not modelled yet falls back to KVM's, and says so; so does one that cannot run this kernel. */
function* createVm(device: number, options: Options, image: Image): Call<number> {
  if (NARROW.includes(options.accel) && (image.sregs.efer & LMA) === 0n) {
    yield* tell(options, `${ME}: warning: not modelled: -accel ${options.accel} of a kernel that begins outside long mode; the guest runs under KVM`);
    return (yield* sys('ioctl', yield* openAccelerator({ ...options, accel: 'kvm' }), KVM_CREATE_VM, 0)) as number;
  }
  try {
    return (yield* sys('ioctl', device, KVM_CREATE_VM, typeOf(options))) as number;
  } catch (error) {
    if (!(error instanceof SysError) || error.errno !== 'EINVAL' || options.accel === 'kvm') throw error;
    yield* tell(options, `${ME}: warning: not modelled: -accel ${options.accel}; the guest runs under KVM`);
    return (yield* sys('ioctl', yield* openAccelerator({ ...options, accel: 'kvm' }), KVM_CREATE_VM, 0)) as number;
  }
}

function* createMachine(kvm: number, options: Options, image: Image): Call<{ vm: number; vcpu: number }> {
  const vm = yield* createVm(kvm, options, image);
  const size = Math.ceil(options.memory / 4096) * 4096;
  let at: number;
  try {
    at = yield* sys('mmap', size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`cannot set up guest memory 'pc.ram': ${strerror(error)}`);
  }
  yield* sys('ioctl', vm, KVM_SET_TSS_ADDR, 0xfeffd000);
  yield* sys('ioctl', vm, KVM_CREATE_IRQCHIP);
  yield* sys('ioctl', vm, KVM_CREATE_PIT2, { flags: 0 });
  try {
    yield* sys('ioctl', vm, KVM_SET_USER_MEMORY_REGION, { slot: 0, flags: 0, guestPhysAddr: 0, memorySize: size, userspaceAddr: at });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`kvm_set_user_memory_region: KVM_SET_USER_MEMORY_REGION failed, slot=0, start=0x0, size=0x${size.toString(16)}: ${strerror(error)}`);
  }
  return { vm, vcpu: (yield* sys('ioctl', vm, KVM_CREATE_VCPU, 0)) as number };
}

// ---- what the serial line is connected to

function* connect(options: Options, descriptors: { vm: number; vcpu: number }, image: Image): Call<Emulator> {
  const { to, label } = options.serial;
  const serial = yield* openChannel(to, label);
  const debugConsole = options.debugConsole ? yield* openChannel(options.debugConsole.to, options.debugConsole.label) : null;
  const emu: Emulator = {
    options, ...descriptors, thread: 0, board: boardOf(options), image, status: 'prelaunch', go: yield* sys('pipe2', 0), waiting: false, resetting: false,
    serial, debugConsole, channels: debugConsole ? [serial, debugConsole] : [serial], backlog: new Uint8Array(0), lines: { serial: false, power: false }, gdb: null, terminal: null, litter: [],
    *emit() {},
  };
  const stdio = [to, ...(options.debugConsole ? [options.debugConsole.to] : []), ...options.monitors.map((m) => m.to)].find((one) => one.kind === 'stdio');
  if (stdio?.kind === 'stdio') emu.terminal = yield* rawTerminal(stdio.signals);
  return emu;
}

function* openChannel(to: Chardev, label: string): Call<Channel> {
  switch (to.kind) {
    case 'stdio': return { label, filename: to.mux ? 'mux' : 'stdio', input: 0, output: 1, mux: to.mux };
    case 'null': return { label, filename: 'null', input: -1, output: -1, mux: false };
    case 'file': {
      const fd = yield* openOr(`-chardev file,id=${label},path=${to.path}`, to.path, sys('openat', AT_FDCWD, to.path, O_WRONLY | O_CREAT | O_TRUNC, 0o666));
      return { label, filename: 'file', input: -1, output: fd, mux: false };
    }
    case 'pty': return yield* openPty(label);
    case 'socket': throw new Failed(`not modelled: a serial line on a socket (${label})`);
  }
}

function* openOr(option: string, path: string, call: Call<number>): Call<number> {
  try {
    return yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`${option}: Could not open '${path}': ${strerror(error)}`);
  }
}

/**
 * A new pty. Its other end is kept open here, so that what is sent before anybody listens waits in it, as much as a pty
 * holds, and the first console shows it.
 */
function* openPty(label: string): Call<Channel> {
  const master = yield* openOr(`-chardev pty,id=${label}`, '/dev/ptmx', sys('openat', AT_FDCWD, '/dev/ptmx', O_RDWR | O_NONBLOCK));
  yield* attempt(sys('ioctl', master, TIOCSPTLCK, 0), 0);
  const path = `/dev/pts/${(yield* sys('ioctl', master, TIOCGPTN)) as number}`;
  const slave = yield* sys('openat', AT_FDCWD, path, O_RDWR | 0o400);
  const termios = (yield* sys('ioctl', slave, TCGETS)) as Termios;
  yield* sys('ioctl', slave, TCSETS, { ...termios, canonical: false, echo: false, signals: false, mapCrNl: false, postprocess: false });
  yield* print(`char device redirected to ${path} (label ${label})\n`);
  return { label, filename: `pty:${path}`, input: master, output: master, mux: false };
}

function* rawTerminal(signals: boolean): Call<Termios | null> {
  const before = (yield* attempt(sys('ioctl', 0, TCGETS), null)) as Termios | null;
  if (before) yield* attempt(sys('ioctl', 0, TCSETS, { ...before, canonical: false, echo: false, signals, mapCrNl: false }), 0);
  return before;
}

// ---- the main loop

interface Loop {
  /** What reads the terminal or pty: the guest's serial line, perhaps a monitor behind it; or a monitor alone. */
  consoles: Console[];
  listeners: number[];
  /** The gdbstub's; -1: none. */
  debug: number;
  clients: QmpClient[];
}

function* openMonitors(emu: Emulator): Call<Loop> {
  const loop: Loop = { consoles: [], listeners: [], debug: -1, clients: [] };
  if (emu.serial.input >= 0) loop.consoles.push({ channel: emu.serial, focus: 'guest', guest: true, escaped: false, line: '', greeted: false });
  for (const { mode, to, label } of emu.options.monitors) {
    if (to.kind === 'stdio' && mode === 'readline') {
      const console: Console = { channel: { label, filename: 'stdio', input: 0, output: 1, mux: to.mux }, focus: 'monitor', guest: false, escaped: false, line: '', greeted: false };
      emu.channels.push(console.channel);
      loop.consoles.push(console);
      yield* greetMonitor(console);
    } else if (to.kind === 'socket' && mode === 'control') {
      const fd = yield* openOr(`-qmp unix:${to.path}`, to.path, listen({ family: 'unix', path: to.path }, 0o700));
      loop.listeners.push(fd);
      emu.litter.push(to.path);
      emu.channels.push({ label, filename: `unix:${to.path},server=on`, input: fd, output: fd, mux: false });
    } else if (to.kind !== 'null') throw new Failed(`not modelled: this monitor (${label})`);
  }
  if (emu.options.gdb !== null) {
    const port = emu.options.gdb;
    loop.debug = yield* openListener(port);
  }
  emu.emit = (event, data) => emitTo(loop.clients, event, data);
  return loop;
}

/** Throws Failed in QEMU's words when the port is taken. */
function* openListener(port: number): Call<number> {
  try {
    return yield* listen({ family: 'inet', address: '0.0.0.0', port });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw new Failed(`-gdb tcp::${port}: Failed to find an available port: ${strerror(error)}\n${ME}: gdbstub: couldn't create chardev`);
  }
}

function* mainLoop(emu: Emulator, loop: Loop): Call<number> {
  for (;;) {
    const watched = [...loop.consoles.map((c) => c.channel.input), ...loop.listeners, ...loop.clients.map((c) => c.fd), ...(loop.debug >= 0 ? [loop.debug] : []), ...(emu.gdb ? [emu.gdb.fd] : [])];
    let ready: { fd: number; revents: number }[];
    try {
      ready = yield* sys('poll', watched.map((fd) => ({ fd, events: POLLIN })), -1);
    } catch (error) {
      if (!interrupted(error)) throw error;
      continue;
    }
    for (const { fd, revents } of ready) yield* onReady(emu, loop, fd, revents);
  }
}

function* onReady(emu: Emulator, loop: Loop, fd: number, revents: number): Call<void> {
  if (loop.listeners.includes(fd)) {
    const client: QmpClient = { fd: (yield* sys('accept4', fd, 0)).fd, held: '', ready: false };
    loop.clients.push(client);
    yield* greet(client);
    return;
  }
  if (fd === loop.debug) {
    const client = newClient((yield* sys('accept4', fd, 0)).fd);
    if (emu.gdb) yield* sys('close', emu.gdb.fd);
    emu.gdb = client;
    return yield* attach(emu);
  }
  const data = yield* attempt(sys('read', fd, 4096), new Uint8Array(0), 'EAGAIN', 'EIO', 'ECONNRESET', 'EINTR');
  if (fd === emu.gdb?.fd) {
    if (data.length > 0) return yield* receiveGdb(emu, emu.gdb, data);
    yield* sys('close', fd);
    emu.gdb = null;
    return yield* detach(emu);
  }
  const client = loop.clients.find((one) => one.fd === fd);
  if (client) {
    if (data.length > 0) return yield* receiveQmp(emu, client, data);
    loop.clients.splice(loop.clients.indexOf(client), 1);
    yield* sys('close', fd);
    return;
  }
  const console = loop.consoles.find((one) => one.channel.input === fd);
  if (!console) return;
  if (data.length === 0) {
    if (revents & POLLHUP || fd === 0) loop.consoles.splice(loop.consoles.indexOf(console), 1);
    return;
  }
  if (console.channel.mux || !console.guest) yield* onKeys(emu, console, data);
  else yield* feedSerial(emu, data);
}

