/**
 * QEMU's command line: which options there are, what they mean here, and how QEMU complains about bad ones.
 * Options of the real program that have no effect in this model (fonts of a display that is not there, clocks, sandboxes)
 * are accepted and dropped; those that would change the machine and are not modelled are refused by name.
 * Source: qemu-system-x86_64(1), version 7.2.
 */
import { Failed } from '../../lib/io.ts';

export type Chardev =
  | { kind: 'stdio'; mux: boolean; signals: boolean }
  | { kind: 'pty' }
  | { kind: 'file'; path: string }
  | { kind: 'socket'; path: string }
  | { kind: 'null' };

/** kvm: VT-x; tcg: binary translation; xen: a guest that knows its hypervisor; deprivileged: trap-and-emulate, the lab's own word; bare: the program of that name. */
export type Accelerator = 'kvm' | 'tcg' | 'xen' | 'deprivileged' | 'bare';
const ACCELERATORS: readonly Accelerator[] = ['tcg', 'kvm', 'xen', 'deprivileged'];
/** Whose module runs the guest, as messages name it. */
export const MODULES: Readonly<Record<Accelerator, string>> = { kvm: 'KVM', tcg: 'vmmon', xen: 'Xen', deprivileged: 'vmmon', bare: 'bench' };
/** Models of -cpu that stand for a generation whose crossings cost differently. */
export const GENERATIONS: Readonly<Record<string, string>> = {
  pentium4: 'pentium4-672', Prescott: 'prescott', Conroe: 'merom', Penryn: 'penryn', Nehalem: 'nehalem', Westmere: 'westmere', SandyBridge: 'sandy-bridge', Haswell: 'haswell', 'Skylake-Client': 'skylake', 'Icelake-Server': 'ice-lake',
};

export interface Options {
  name: string;
  uuid: string;
  /** Bytes. */
  memory: number;
  accel: Accelerator;
  /** -cpu …,ept=off: KVM keeps shadow page tables. */
  ept: boolean;
  /** Of the processor, as costs.ts names it; null: nothing was said. */
  generation: string | null;
  kernel: string | null;
  append: string;
  /** As -initrd gives it; empty: none. */
  initrd: string;
  /** Where COM1 goes, and what it is called in messages. */
  serial: { to: Chardev; label: string };
  /** Monitors: HMP on stdio or a socket, QMP on a socket. */
  monitors: { mode: 'readline' | 'control'; to: Chardev; label: string }[];
  debugExit: { port: number; size: number } | null;
  /** isa-debugcon, or -debugcon: port 0xe9. */
  debugConsole: { port: number; to: Chardev; label: string } | null;
  noReboot: boolean;
  noShutdown: boolean;
  paused: boolean;
  /** What the machine does is kept, for a debugger to go back in (-icount rr=record). */
  recorded: boolean;
  /** TCP port of the gdbstub. */
  gdb: number | null;
  pidfile: string | null;
  /** -msg timestamp=on: messages begin with the time. */
  timestamp: boolean;
  /** Print this and leave with 0. */
  text: string | null;
}

const ME = 'qemu-system-x86_64';
/** The options that take a value, by name; the others in FLAGS take none. */
const VALUES = new Set(
  ('accel machine M cpu m smp name uuid display serial debugcon monitor chardev mon qmp device kernel append initrd pidfile vga rtc boot msg global object overcommit ' +
    'sandbox d D parallel net nic netdev drive hda hdb cdrom fda bios L k usbdevice blockdev numa action run-with smbios incoming loadvm gdb audio audiodev spice vnc ' +
    'watchdog-action dfilter seed trace fw_cfg acpitable tpmdev icount').split(' '),
);
const FLAGS = new Set('enable-kvm nographic no-reboot no-shutdown S nodefaults no-user-config version help h s snapshot daemonize no-hpet no-acpi usb no-fd-bootchk preconfig only-migratable'.split(' '));
const IGNORED = new Set('rtc boot global object overcommit sandbox d D vga k L seed trace action run-with smbios parallel usbdevice audio audiodev no-hpet no-acpi no-fd-bootchk usb nic net dfilter watchdog-action'.split(' '));
const MODELS = new Set(
  'e1000 e1000e rtl8139 virtio-net-pci virtio-blk-pci virtio-scsi-pci virtio-balloon-pci virtio-serial-pci virtio-rng-pci ide-hd ide-cd scsi-hd VGA qxl-vga vfio-pci nvme piix3-usb-uhci qemu-xhci usb-tablet pc-testdev pvpanic pcie-root-port AC97 intel-iommu'.split(' '),
);

const bad = (option: string, value: string | null, text: string): Failed => new Failed(`-${option}${value === null ? '' : ` ${value}`}: ${text}`);

interface Draft {
  options: Options;
  serials: string[];
  monitors: string[];
  chardevs: Map<string, Chardev>;
  /** chardev of each -device isa-serial, of each -mon. */
  serialDevices: string[];
  mons: { chardev: string; mode: 'readline' | 'control' }[];
  debugDevice: { port: number; chardev: string; option: string } | null;
  nographic: boolean;
  display: string | null;
  nodefaults: boolean;
}

/** Throws Failed with what QEMU prints after its name. */
export function parseOptions(argv: readonly string[]): Options {
  const draft: Draft = {
    options: {
      name: '', uuid: '', memory: 128 * 2 ** 20, accel: 'tcg', ept: true, generation: null, kernel: null, append: '', initrd: '', serial: { to: { kind: 'null' }, label: 'serial0' }, monitors: [],
      debugExit: null, debugConsole: null, noReboot: false, noShutdown: false, paused: false, recorded: false, gdb: null, pidfile: null, timestamp: false, text: null,
    },
    serials: [], monitors: [], chardevs: new Map(), serialDevices: [], mons: [], debugDevice: null, nographic: false, display: null, nodefaults: false,
  };
  for (let i = 1; i < argv.length; i++) {
    const word = argv[i]!;
    if (!word.startsWith('-') || word === '-') throw new Failed(`not modelled: disk images (${word})`);
    const name = word.replace(/^--?/, '');
    const valued = VALUES.has(name);
    if (!valued && !FLAGS.has(name)) throw bad(name, null, 'invalid option');
    if (valued && i + 1 >= argv.length) throw bad(name, null, 'requires an argument');
    if (valued) withValue(draft, name, argv[++i]!);
    else flag(draft, name);
    if (draft.options.text !== null) return draft.options;
  }
  if (draft.options.kernel === null && draft.options.append !== '') throw new Failed('-append only allowed with -kernel option');
  if (draft.options.kernel === null && draft.options.initrd !== '') throw new Failed('-initrd only allowed with -kernel option');
  return connect(draft);
}

function flag(draft: Draft, name: string): void {
  const { options } = draft;
  switch (name) {
    case 'enable-kvm': options.accel = 'kvm'; return;
    case 'nographic': draft.nographic = true; return;
    case 'no-reboot': options.noReboot = true; return;
    case 'no-shutdown': options.noShutdown = true; return;
    case 'S': options.paused = true; return;
    case 's': options.gdb = 1234; return;
    case 'nodefaults': draft.nodefaults = true; return;
    case 'version': options.text = VERSION; return;
    case 'h':
    case 'help': options.text = HELP; return;
    case 'no-user-config': return;
    default: if (!IGNORED.has(name)) throw bad(name, null, 'not modelled');
  }
}

function withValue(draft: Draft, name: string, value: string): void {
  const { options } = draft;
  const props = properties(value);
  switch (name) {
    case 'accel': options.accel = accelerator(options, value, props[''] ?? ''); return;
    case 'machine':
    case 'M': machine(draft, value, props); return;
    case 'cpu':
      if (value === 'help') options.text = `Available CPUs:\n${Object.keys(GENERATIONS).map((name) => `x86 ${name}\n`).join('')}x86 host                  processor of the host (KVM)\n`;
      else model(options, props);
      return;
    case 'm': options.memory = memorySize(value, props.size ?? props[''] ?? value); return;
    case 'smp': smp(value, props); return;
    case 'icount': options.recorded = recorded(value, props); return;
    case 'name': options.name = props.guest ?? props[''] ?? ''; return;
    case 'uuid':
      if (!/^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(value)) throw bad(name, value, 'failed to parse UUID string: wrong format');
      options.uuid = value.toLowerCase();
      return;
    case 'display': draft.display = value; return;
    case 'serial': draft.serials.push(value); return;
    case 'debugcon': options.debugConsole = { port: 0xe9, to: parseChardev('debugcon', value), label: 'debugcon' }; return;
    case 'monitor': draft.monitors.push(value); return;
    case 'qmp':
      draft.chardevs.set('compat_monitor0', parseChardev('qmp', value));
      draft.mons.push({ chardev: 'compat_monitor0', mode: 'control' });
      return;
    case 'chardev': namedChardev(draft, value, props); return;
    case 'mon': draft.mons.push({ chardev: props.chardev ?? '', mode: props.mode === 'control' ? 'control' : 'readline' }); return;
    case 'device': device(draft, value, props); return;
    case 'kernel': options.kernel = value; return;
    case 'append': options.append = value; return;
    case 'initrd': options.initrd = value; return;
    case 'gdb': {
      options.gdb = gdbPort(value);
      if (options.gdb === null) throw bad(name, value, 'not modelled: a gdbstub other than on tcp::PORT');
      return;
    }
    case 'pidfile': options.pidfile = value; return;
    case 'msg': options.timestamp = props.timestamp === 'on'; return;
    default: if (!IGNORED.has(name)) throw bad(name, value, 'not modelled');
  }
}

/** "kvm,size=4" as { '': 'kvm', size: '4' }. */
export function properties(value: string): Record<string, string> {
  const out: Record<string, string> = Object.create(null);
  for (const [n, part] of value.split(/,(?!,)/).entries()) {
    const cut = part.indexOf('=');
    if (cut < 0) out[n === 0 ? '' : part] = n === 0 ? part : 'on';
    else out[part.slice(0, cut)] = part.slice(cut + 1);
  }
  return out;
}

function accelerator(options: Options, value: string, name: string): Options['accel'] {
  const found = ACCELERATORS.find((one) => one === name);
  if (found) return found;
  if (name === 'help') {
    options.text = 'Accelerators supported in QEMU binary:\ntcg\nkvm\n';
    return 'tcg';
  }
  throw bad('accel', value, `invalid accelerator ${name}`);
}

function machine(draft: Draft, value: string, props: Record<string, string>): void {
  const type = props[''] ?? props.type ?? 'pc';
  if (type === 'help') {
    draft.options.text = 'Supported machines are:\npc                   Standard PC (i440FX + PIIX, 1996) (alias of pc-i440fx-7.2)\npc-i440fx-7.2        Standard PC (i440FX + PIIX, 1996) (default)\n';
    return;
  }
  if (/^(q35|pc-q35|microvm)/.test(type)) throw bad('machine', value, 'not modelled: only pc');
  if (!/^pc(-i440fx-\d+\.\d+)?$/.test(type)) throw bad('machine', value, 'unsupported machine type\nUse -machine help to list supported machines');
  if (props.accel) draft.options.accel = accelerator(draft.options, value, props.accel.split(':')[0]!);
}

function model(options: Options, props: Record<string, string>): void {
  const name = props[''] ?? '';
  if (!/^(host|max|qemu64|kvm64|base)$/.test(name) && !Object.hasOwn(GENERATIONS, name)) throw new Failed(`unable to find CPU model '${name}'`);
  options.generation = GENERATIONS[name] ?? null;
  for (const [key, value] of Object.entries(props)) {
    if (key === '') continue;
    const signed = /^[+-]/.test(key);
    const property = signed ? key.slice(1) : key;
    if (!CPU_PROPERTIES.has(property)) throw new Failed(signed ? `Property '${name}-x86_64-cpu.${property}' not found` : `can't apply global ${name}-x86_64-cpu.${property}=${value}: Property '${name}-x86_64-cpu.${property}' not found`);
    if (!signed && !/^(on|off)$/.test(value)) throw new Failed(`can't apply global ${name}-x86_64-cpu.${property}=${value}: Parameter '${property}' expects 'on' or 'off'`);
    const on = signed ? key.startsWith('+') : value === 'on';
    if (property === 'ept' || property === 'vmx-ept') options.ept = on;
    else if (CPU_PROPERTIES.get(property) !== on && CPU_PROPERTIES.get(property) !== null) throw new Failed(`not modelled: -cpu ${name} with ${property} ${on ? 'on' : 'off'}`);
  }
}

/** Properties of -cpu as they stand; null: whichever, guests see the same. */
const CPU_PROPERTIES: ReadonlyMap<string, boolean | null> = new Map<string, boolean | null>([
  ['ept', true], ['vmx-ept', true],
  ...'vmx svm hypervisor fpu monitor invtsc migratable check enforce kvm pmu host-phys-bits l3-cache host-cache-info'.split(' ').map((key) => [key, null] as const),
  ...'de pse tsc msr pae cx8 apic sep pge cmov pat pse36 fxsr syscall nx pdpe1gb rdtscp lm cx16 pcid popcnt lahf-lm lahf_lm smep invpcid smap umip x2apic tsc-deadline'.split(' ').map((key) => [key, true] as const),
  ...'vme mtrr mce mca clflush mmx sse sse2 ssse3 sse3 pni sse4.1 sse4_1 sse4.2 sse4_2 avx avx2 avx512f aes xsave fma f16c fsgsbase bmi1 bmi2 movbe rdrand rdseed adx sha-ni pku la57 erms'.split(' ').map((key) => [key, false] as const),
]);

const ICOUNT = new Set(['', 'shift', 'align', 'sleep', 'rr', 'rrfile', 'rrsnapshot']);

/** Instruction counts as the clock are not modelled; that everything is recorded, to go back in it, is. */
function recorded(value: string, props: Readonly<Record<string, string>>): boolean {
  const wrong = Object.keys(props).find((key) => !ICOUNT.has(key));
  if (wrong !== undefined) throw bad('icount', value, `Invalid parameter '${wrong}'`);
  const { rr } = props;
  if (rr === undefined) throw bad('icount', value, 'not modelled: instruction counts as the clock (rr=record keeps what the machine does)');
  if (rr !== 'record' && rr !== 'replay') throw bad('icount', value, `Invalid icount rr option: ${rr}`);
  if (props.rrfile === undefined) throw bad('icount', value, 'File name not specified for replay');
  if (rr === 'replay') throw bad('icount', value, 'not modelled: the replay of a file; with rr=record a debugger goes back at once');
  return true;
}

function smp(value: string, props: Record<string, string>): void {
  const cpus = Number(props.cpus ?? props['']);
  if (!Number.isInteger(cpus) || cpus < 0) throw bad('smp', value, "Parameter 'cpus' expects a number");
  if (cpus === 0) throw bad('smp', value, 'Invalid CPU topology: CPU topology parameters must be greater than zero');
  if (cpus > 1) throw bad('smp', value, 'not modelled: more than one virtual processor');
}

const SUFFIX: Record<string, number> = { '': 2 ** 20, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40, p: 2 ** 50, e: 2 ** 60 };

function memorySize(value: string, size: string): number {
  const m = /^(\d+(?:\.\d+)?|0x[0-9a-f]+)([bkmgtpe]?)$/i.exec(size);
  if (!m) {
    throw bad('m', value, "Parameter 'size' expects a non-negative number below 2^64\nOptional suffixes k, M, G, T, P or E mean kilo-, mega-, giga-, tera-, peta-\nand exabytes, respectively.");
  }
  const bytes = Math.ceil((Number(m[1]) * SUFFIX[m[2]!.toLowerCase()]!) / 8192) * 8192;
  if (bytes >= 2 ** 63) throw bad('m', value, 'ram size too large');
  return bytes === 0 ? 128 * 2 ** 20 : bytes;
}

function device(draft: Draft, value: string, props: Record<string, string>): void {
  const model = props[''] ?? props.driver ?? '';
  const number = (key: string, otherwise: number): number => (props[key] === undefined ? otherwise : Number(props[key]));
  if (model === 'isa-debug-exit') {
    const port = number('iobase', 0x501);
    const size = number('iosize', 2);
    for (const [key, n] of [['iobase', port], ['iosize', size]] as const) {
      if (!Number.isInteger(n) || n < 0 || n > 0xffff) throw bad('device', value, `Parameter '${key}' expects uint32`);
    }
    draft.options.debugExit = { port, size };
    return;
  }
  if (model === 'isa-serial') {
    if (!props.chardev) throw bad('device', value, "Can't create serial device, empty char device");
    draft.serialDevices.push(props.chardev);
    return;
  }
  if (model === 'isa-debugcon') {
    if (!props.chardev) throw bad('device', value, "Can't create debugcon device, empty char device");
    draft.debugDevice = { port: number('iobase', 0xe9), chardev: props.chardev, option: value };
    return;
  }
  if (model === 'help') {
    draft.options.text = 'name "isa-debug-exit", bus ISA\nname "isa-debugcon", bus ISA\nname "isa-serial", bus ISA\n';
    return;
  }
  throw bad('device', value, MODELS.has(model) ? `not modelled: ${model}` : `'${model}' is not a valid device model name`);
}

function parseChardev(option: string, value: string): Chardev {
  const mux = value.startsWith('mon:');
  const what = mux ? value.slice(4) : value;
  const [kind, ...rest] = what.split(':');
  const path = rest.join(':');
  switch (kind!.split(',')[0]) {
    case 'stdio': return { kind: 'stdio', mux, signals: !mux };
    case 'pty': return { kind: 'pty' };
    case 'null':
    case 'none':
    case 'vc': return { kind: 'null' };
    case 'file': return { kind: 'file', path };
    case 'unix': return { kind: 'socket', path: path.split(',')[0]! };
    default: throw bad(option, value, `'${what}' is not a valid char driver name`);
  }
}

function namedChardev(draft: Draft, value: string, props: Record<string, string>): void {
  const { id } = props;
  if (!id) throw bad('chardev', value, "chardev: no id specified");
  const kind = props[''] ?? props.backend ?? '';
  switch (kind) {
    case 'stdio': draft.chardevs.set(id, { kind, mux: props.mux === 'on', signals: props.signal !== 'off' }); return;
    case 'pty': draft.chardevs.set(id, { kind }); return;
    case 'null': draft.chardevs.set(id, { kind }); return;
    case 'file': draft.chardevs.set(id, { kind, path: props.path ?? '' }); return;
    case 'socket':
      if (!props.path) throw bad('chardev', value, 'not modelled: sockets other than unix');
      draft.chardevs.set(id, { kind, path: props.path });
      return;
    default: throw bad('chardev', value, `'${kind}' is not a valid char driver name`);
  }
}

/** Serial line and monitors: what was asked for, else what -nographic and a machine without a display mean. */
function connect(draft: Draft): Options {
  const { options } = draft;
  if (!draft.nographic && draft.display === null && !draft.nodefaults) throw new Failed('not modelled: a display (use -nographic or -display none)');
  if (draft.display !== null && !/^none(,|$)/.test(draft.display)) throw new Failed(`not modelled: a display (-display ${draft.display}; use -nographic or -display none)`);
  const named = (option: string, id: string): Chardev => {
    const found = draft.chardevs.get(id);
    if (!found) throw new Failed(`-${option}: chardev "${id}" not found`);
    return found;
  };
  const standard = draft.nographic && !draft.nodefaults;
  const serial = draft.serials[0] ?? (draft.serialDevices.length === 0 && standard ? 'mon:stdio' : null);
  if (draft.serialDevices.length > 0) options.serial = { to: named('device', draft.serialDevices[0]!), label: draft.serialDevices[0]! };
  else if (serial !== null) options.serial = { to: parseChardev('serial', serial), label: 'serial0' };
  for (const value of draft.monitors) {
    if (value !== 'none') options.monitors.push({ mode: 'readline', to: parseChardev('monitor', value), label: 'compat_monitor0' });
  }
  for (const { chardev, mode } of draft.mons) options.monitors.push({ mode, to: named('mon', chardev), label: chardev });
  if (draft.debugDevice) {
    const { port, chardev, option } = draft.debugDevice;
    const to = draft.chardevs.get(chardev);
    if (!to) throw new Failed(`-device ${option}: Property 'isa-debugcon.chardev' can't find value '${chardev}'`);
    options.debugConsole = { port, to, label: chardev };
  }
  if (options.debugConsole?.label === 'debugcon' && options.debugConsole.to.kind === 'stdio' && options.serial.to.kind === 'stdio') {
    throw new Failed(`-debugcon stdio: cannot use stdio by multiple character devices\n${ME}: -debugcon stdio: invalid character backend 'stdio'`);
  }
  const onStdio = [options.serial.to, ...(options.debugConsole ? [options.debugConsole.to] : []), ...options.monitors.map((m) => m.to)].filter((to) => to.kind === 'stdio').length;
  const implicit = standard && draft.monitors.length === 0 && draft.serials.length > 0 && options.serial.to.kind === 'stdio' && !options.serial.to.mux;
  if (onStdio > 1 || implicit) {
    throw new Failed("-serial stdio: cannot use stdio by multiple character devices\nqemu-system-x86_64: -serial stdio: could not connect serial device to character backend 'stdio'");
  }
  return options;
}

export const PACKAGE = 'Debian 1:7.2+dfsg-7+deb12u18+b3';
const VERSION = `QEMU emulator version 7.2.22 (${PACKAGE})\nCopyright (c) 2003-2022 Fabrice Bellard and the QEMU Project developers\n`;
const HELP = `${VERSION.split('\n')[0]}
usage: ${ME} [options]

Modelled options:
-accel kvm              VT-x, by KVM (also -enable-kvm, -machine accel=kvm); -cpu MODEL,ept=off: with shadow page tables
-accel tcg              binary translation (the lab's own words: xen, for a guest that knows its hypervisor; deprivileged, trap-and-emulate)
-cpu MODEL              host, or a generation whose crossings cost what they did: -cpu help
-m SIZE                 guest memory, at most 1 GiB
-kernel FILE            multiboot 1 kernel, ELF kernel with a PVH note, or flat 64-bit image
                        (loaded at 1 MiB, entered there in long mode, rdi points at the command line)
-append TEXT            its command line
-initrd FILE[ ARGS],…   multiboot modules; the initrd of a PVH kernel
-device isa-debug-exit[,iobase=N][,iosize=N]
-nographic              serial line and monitor on the terminal; C-a h for its keys
-device isa-debugcon,chardev=ID[,iobase=N]   -debugcon stdio|file:PATH|…   port 0xe9
-display none           no display
-serial mon:stdio|stdio|pty|file:PATH|null
-monitor stdio|none     -qmp unix:PATH,server=on,wait=off
-no-reboot              leave instead of resetting
-no-shutdown            stop instead of leaving
-S                      wait for the monitor's cont
-name NAME              -uuid UUID   -pidfile FILE
`;

/** "tcp::1234", "tcp:127.0.0.1:1234", "tcp::1234,server=on": the port, or null. */
function gdbPort(value: string): number | null {
  const m = /^tcp:[^:]*:(\d+)(,.*)?$/.exec(value);
  return m && Number(m[1]) < 65536 ? Number(m[1]) : null;
}
