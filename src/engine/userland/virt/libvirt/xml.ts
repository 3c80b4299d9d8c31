/**
 * Domain XML: from what people write to a record, and from a record to the full text that libvirt keeps and shows, with the
 * defaults it fills in (machine type, controllers, PCI addresses, console beside serial).
 * Source: libvirt formatdomain; layout and defaults as libvirt 9.0 with QEMU 7.2 prints them. Left out: elements beyond those
 * of `Domain`; they are dropped at define.
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { checkDomain, LibvirtError } from './check.ts';
import { complaint } from './wellformed.ts';

export interface Disk {
  type: string;
  device: string;
  driver: string;
  source: string;
  target: string;
  bus: string;
}

export interface Interface {
  mac: string;
  network: string;
  model: string;
}

export interface Domain {
  type: 'kvm' | 'qemu';
  name: string;
  uuid: string;
  title: string;
  description: string;
  /** KiB. */
  memory: number;
  current: number;
  vcpus: number;
  vcpusNow: number;
  arch: string;
  machine: string;
  kernel: string;
  initrd: string;
  cmdline: string;
  features: string[];
  /** null: the default of the emulation. */
  cpu: string | null;
  onPoweroff: string;
  onReboot: string;
  onCrash: string;
  emulator: string;
  disks: Disk[];
  interfaces: Interface[];
  serial: { log: string } | null;
  balloon: boolean;
}

export { LibvirtError };

type Node = { [key: string]: unknown };
const list = (value: unknown): Node[] => (value === undefined ? [] : Array.isArray(value) ? value : [value]).map((v) => (typeof v === 'object' && v !== null ? (v as Node) : { '#text': v }));
const textOf = (value: unknown): string => {
  const first = Array.isArray(value) ? value[0] : value;
  if (first === undefined || first === null) return '';
  return typeof first === 'object' ? String((first as Node)['#text'] ?? '') : String(first);
};
const attribute = (node: Node | undefined, name: string): string => String(node?.[`@${name}`] ?? '');

/** Throws LibvirtError. `makeUuid` is asked when the text names none. */
export function parseDomain(source: string, makeUuid: (name: string) => string): Domain {
  const broken = complaint(source);
  if (broken !== null) throw new LibvirtError(broken);
  const valid = XMLValidator.validate(source);
  if (valid !== true) throw new LibvirtError(`(domain_definition):${valid.err.line}: ${valid.err.msg}`);
  let root: Node;
  try {
    root = new XMLParser({ ignoreAttributes: false, attributeNamePrefix: '@', parseTagValue: false, parseAttributeValue: false }).parse(source) as Node;
  } catch (error) {
    throw new LibvirtError(`XML error: ${error instanceof Error ? error.message : 'not XML'}`);
  }
  const tag = Object.keys(root).find((key) => !key.startsWith('?')) ?? '';
  if (tag !== 'domain') throw new LibvirtError(`XML error: expecting root element of 'domain', not '${tag}'`);
  const domain = list(root.domain)[0] ?? {};
  const type = attribute(domain, 'type');
  if (type === '') throw new LibvirtError('internal error: missing domain type attribute');
  if (type !== 'kvm' && type !== 'qemu') throw new LibvirtError(`unsupported configuration: invalid domain type ${type}`);
  const name = textOf(domain.name).trim();
  if (name === '') throw new LibvirtError('missing name information');
  if (name.includes('/')) throw new LibvirtError(`XML error: name ${name} cannot contain '/'`);
  const made = recordOf(domain, type, name, makeUuid);
  checkDomain(made);
  return made;
}

function recordOf(domain: Node, type: Domain['type'], name: string, makeUuid: (name: string) => string): Domain {
  const os = list(domain.os)[0] ?? {};
  const devices = list(domain.devices)[0] ?? {};
  const memory = kib(domain.memory, 'memory');
  if (memory === 0) throw new LibvirtError('XML error: Memory size must be specified via <memory> or in the <numa> configuration');
  const uuid = textOf(domain.uuid).trim();
  if (uuid !== '' && !/^[0-9a-f]{8}-?([0-9a-f]{4}-?){3}[0-9a-f]{12}$/i.test(uuid)) throw new LibvirtError('internal error: malformed uuid element');
  const vcpu = list(domain.vcpu)[0];
  const vcpus = vcpu ? count(textOf(vcpu), 'vcpu') : 1;
  const now = attribute(vcpu, 'current') === '' ? vcpus : count(attribute(vcpu, 'current'), 'vcpu');
  if (now > vcpus) throw new LibvirtError('unsupported configuration: maximum vCPU count must not be less than current vCPU count');
  const machine = attribute(list(os.type)[0], 'machine');
  if (textOf(os.type).trim() === '') throw new LibvirtError('XML error: an os <type> must be specified');
  return {
    type, name, uuid: uuid || makeUuid(name), title: textOf(domain.title), description: textOf(domain.description),
    memory, current: kib(domain.currentMemory, 'currentMemory') || memory, vcpus, vcpusNow: now,
    arch: attribute(list(os.type)[0], 'arch') || 'x86_64',
    machine: machine === '' || machine === 'pc' ? 'pc-i440fx-7.2' : machine === 'q35' ? 'pc-q35-7.2' : machine,
    kernel: textOf(os.kernel), initrd: textOf(os.initrd), cmdline: textOf(os.cmdline),
    features: Object.keys(list(domain.features)[0] ?? {}).filter((key) => /^[a-z]/.test(key)),
    cpu: textOf(list(domain.cpu)[0]?.model) || null,
    onPoweroff: textOf(domain.on_poweroff) || 'destroy', onReboot: textOf(domain.on_reboot) || 'restart', onCrash: textOf(domain.on_crash) || 'destroy',
    emulator: textOf(devices.emulator) || '/usr/bin/qemu-system-x86_64',
    disks: list(devices.disk).map(diskOf), interfaces: list(devices.interface).map(interfaceOf),
    serial: devices.serial === undefined && devices.console === undefined ? null : { log: attribute(list(list(devices.serial)[0]?.log)[0], 'file') },
    balloon: attribute(list(devices.memballoon)[0], 'model') !== 'none' && devices.memballoon !== undefined,
  };
}

function diskOf(node: Node): Disk {
  const target = list(node.target)[0];
  if (attribute(target, 'dev') === '') throw new LibvirtError(`missing target information for device ${attribute(list(node.source)[0], 'file')}`);
  return {
    type: attribute(node, 'type') || 'file', device: attribute(node, 'device') || 'disk', driver: attribute(list(node.driver)[0], 'type') || 'raw',
    source: attribute(list(node.source)[0], 'file'), target: attribute(target, 'dev'), bus: attribute(target, 'bus') || (attribute(target, 'dev').startsWith('vd') ? 'virtio' : 'ide'),
  };
}

function interfaceOf(node: Node): Interface {
  return { mac: attribute(list(node.mac)[0], 'address'), network: attribute(list(node.source)[0], 'network'), model: attribute(list(node.model)[0], 'type') || 'rtl8139' };
}

function count(value: string, what: string): number {
  const n = Number(value.trim());
  if (!Number.isInteger(n) || n < 1) throw new LibvirtError(`XML error: Invalid value for element or attribute '${what}': '${value}'`);
  return n;
}

const UNITS: Record<string, number> = { b: 1 / 1024, bytes: 1 / 1024, k: 1, kib: 1, kb: 1000 / 1024, m: 1024, mib: 1024, mb: 1e6 / 1024, g: 1 << 20, gib: 1 << 20, gb: 1e9 / 1024, t: 2 ** 30, tib: 2 ** 30 };

function kib(value: unknown, what: string): number {
  const node = list(value)[0];
  if (!node) return 0;
  const unit = UNITS[(attribute(node, 'unit') || 'KiB').toLowerCase()];
  const n = Number(textOf(node).trim());
  if (unit === undefined) throw new LibvirtError(`invalid argument: unknown suffix '${attribute(node, 'unit')}'`);
  if (!Number.isFinite(n) || n < 0) throw new LibvirtError(`XML error: Invalid value '${textOf(node)}' for element or attribute './${what}[1]'`);
  return Math.ceil(n * unit);
}

const escaped = (s: string): string => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/'/g, '&apos;').replace(/"/g, '&quot;');

/** What a domain has only while it runs. */
export interface Live {
  id: number;
  pty: string;
}

/** The whole text, as virsh dumpxml shows it. */
export function formatDomain(domain: Domain, live: Live | null = null): string {
  const out: string[] = [];
  const put = (depth: number, line: string): void => {
    out.push(' '.repeat(depth * 2) + line);
  };
  const leaf = (depth: number, tag: string, value: string): void => {
    if (value !== '') put(depth, `<${tag}>${escaped(value)}</${tag}>`);
  };
  put(0, `<domain type='${domain.type}'${live ? ` id='${live.id}'` : ''}>`);
  leaf(1, 'name', domain.name);
  leaf(1, 'uuid', domain.uuid);
  leaf(1, 'title', domain.title);
  leaf(1, 'description', domain.description);
  put(1, `<memory unit='KiB'>${domain.memory}</memory>`);
  put(1, `<currentMemory unit='KiB'>${domain.current}</currentMemory>`);
  put(1, `<vcpu placement='static'${domain.vcpusNow < domain.vcpus ? ` current='${domain.vcpusNow}'` : ''}>${domain.vcpus}</vcpu>`);
  if (live) out.push('  <resource>', '    <partition>/machine</partition>', '  </resource>');
  put(1, '<os>');
  put(2, `<type arch='${escaped(domain.arch)}' machine='${escaped(domain.machine)}'>hvm</type>`);
  leaf(2, 'kernel', domain.kernel);
  leaf(2, 'initrd', domain.initrd);
  leaf(2, 'cmdline', domain.cmdline);
  put(2, "<boot dev='hd'/>");
  put(1, '</os>');
  if (domain.features.length > 0) {
    put(1, '<features>');
    for (const feature of domain.features) put(2, `<${feature}/>`);
    put(1, '</features>');
  }
  if (domain.type === 'qemu') out.push("  <cpu mode='custom' match='exact' check='none'>", `    <model fallback='forbid'>${escaped(domain.cpu ?? 'qemu64')}</model>`, '  </cpu>');
  put(1, "<clock offset='utc'/>");
  leaf(1, 'on_poweroff', domain.onPoweroff);
  leaf(1, 'on_reboot', domain.onReboot);
  leaf(1, 'on_crash', domain.onCrash);
  put(1, '<devices>');
  leaf(2, 'emulator', domain.emulator);
  formatDevices(domain, live, put);
  put(1, '</devices>');
  put(0, '</domain>');
  return `${out.join('\n')}\n`;
}

function formatDevices(domain: Domain, live: Live | null, put: (depth: number, line: string) => void): void {
  let slot = 2;
  const address = (): string => `<address type='pci' domain='0x0000' bus='0x00' slot='0x${(slot++).toString(16).padStart(2, '0')}' function='0x0'/>`;
  const interfaces = domain.interfaces.map(() => address());
  for (const disk of domain.disks) {
    put(2, `<disk type='${escaped(disk.type)}' device='${escaped(disk.device)}'>`);
    put(3, `<driver name='qemu' type='${escaped(disk.driver)}'/>`);
    put(3, `<source file='${escaped(disk.source)}'/>`);
    put(3, `<target dev='${escaped(disk.target)}' bus='${escaped(disk.bus)}'/>`);
    put(3, address());
    put(2, '</disk>');
  }
  put(2, "<controller type='usb' index='0' model='piix3-uhci'>");
  put(3, "<address type='pci' domain='0x0000' bus='0x00' slot='0x01' function='0x2'/>");
  put(2, '</controller>');
  put(2, "<controller type='pci' index='0' model='pci-root'/>");
  domain.interfaces.forEach((nic, n) => {
    put(2, "<interface type='network'>");
    put(3, `<mac address='${escaped(nic.mac)}'/>`);
    put(3, `<source network='${escaped(nic.network)}'/>`);
    put(3, `<model type='${escaped(nic.model)}'/>`);
    put(3, interfaces[n]!);
    put(2, '</interface>');
  });
  if (domain.serial) {
    put(2, "<serial type='pty'>");
    if (live) put(3, `<source path='${live.pty}'/>`);
    if (domain.serial.log) put(3, `<log file='${escaped(domain.serial.log)}' append='off'/>`);
    put(3, "<target type='isa-serial' port='0'>");
    put(4, "<model name='isa-serial'/>");
    put(3, '</target>');
    put(2, '</serial>');
    put(2, live ? `<console type='pty' tty='${live.pty}'>` : "<console type='pty'>");
    if (live) put(3, `<source path='${live.pty}'/>`);
    if (domain.serial.log) put(3, `<log file='${escaped(domain.serial.log)}' append='off'/>`);
    put(3, "<target type='serial' port='0'/>");
    put(2, '</console>');
  }
  put(2, "<input type='mouse' bus='ps2'/>");
  put(2, "<input type='keyboard' bus='ps2'/>");
  put(2, "<audio id='1' type='none'/>");
  if (domain.balloon) {
    put(2, "<memballoon model='virtio'>");
    put(3, address());
    put(2, '</memballoon>');
  }
}
