/**
 * virt-install: from options to a domain's XML, which libvirtd defines and starts. There are no installers here, so a
 * domain boots what --boot kernel= names. Source: virt-install(1) 4.1. Left out: disks, networks, graphics, locations;
 * the console is joined by itself only with --graphics none.
 */
import type { Program } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print } from '../lib/io.ts';
import { LibvirtError } from './libvirt/xml.ts';
import { callLibvirt, NoConnection } from './libvirtd/rpc.ts';
import { properties } from './qemu/options.ts';
import { isTerminal, joinConsole } from './virsh/console.ts';

interface Wanted {
  name: string;
  /** MiB. */
  memory: number;
  vcpus: number;
  kernel: string;
  initrd: string;
  args: string;
  /** Join the console once it runs. */
  console: boolean;
  start: boolean;
  xml: boolean;
}

class Bad extends Error {}

const VALUES = new Set(
  'name n memory r ram vcpus disk boot network w graphics osinfo os-variant os-type connect virt-type console serial channel cpu machine arch location l cdrom c controller rng memballoon video sound input features clock events metadata description title uuid wait extra-args x initrd-inject autoconsole'.split(' '),
);
const FLAGS = new Set('import pxe noautoconsole noreboot transient print-xml dry-run quiet q debug d hvm v accelerate nodisks nonetworks autostart'.split(' '));

export const virtInstall: Program = function* (argv) {
  try {
    const wanted = read(argv.slice(1));
    if (typeof wanted === 'string') {
      yield* print(wanted);
      return 0;
    }
    return yield* install(wanted);
  } catch (error) {
    if (error instanceof Bad) yield* complain(`ERROR    ${error.message}\n`);
    else if (error instanceof NoConnection) yield* complain(`ERROR    Failed to connect to hypervisor: ${error.message}\n`);
    else if (error instanceof LibvirtError) yield* complain(`ERROR    ${error.message}\nDomain installation does not appear to have been successful.\nIf it was, you can restart your domain by running:\n  virsh --connect qemu:///system start ${nameIn(argv)}\notherwise, please restart your installation.\n`);
    else throw error;
    return 1;
  }
};

function nameIn(argv: readonly string[]): string {
  const at = argv.findIndex((word) => word === '--name' || word === '-n');
  return at >= 0 ? (argv[at + 1] ?? '') : (argv.find((word) => word.startsWith('--name='))?.slice(7) ?? '');
}

function read(argv: readonly string[]): Wanted | string {
  const given = new Map<string, string[]>();
  for (let i = 0; i < argv.length; i++) {
    const [word, inline] = argv[i]!.split(/=(.*)/s) as [string, string | undefined];
    const name = word.replace(/^--?/, '');
    if (word === '--version') return '4.1.0\n';
    if (word === '--help' || word === '-h') return 'usage: virt-install --name NAME --memory MB STORAGE INSTALL [options]\n\nCreate a new virtual machine from specified install media.\n';
    if (!word.startsWith('-') || (!VALUES.has(name) && !FLAGS.has(name))) throw new Bad(`unrecognized arguments: ${argv[i]!}`);
    const value = FLAGS.has(name) ? 'yes' : (inline ?? argv[++i]);
    if (value === undefined) throw new Bad(`argument ${word}: expected one argument`);
    given.set(name, [...(given.get(name) ?? []), value]);
  }
  return decide((...names) => names.flatMap((name) => given.get(name) ?? []));
}

function decide(all: (...names: string[]) => string[]): Wanted {
  const last = (...names: string[]): string | undefined => all(...names).at(-1);
  const name = last('name', 'n');
  const memory = properties(last('memory', 'r', 'ram') ?? '');
  if (name === undefined) throw new Bad('--name is required');
  const mib = Number(memory.memory ?? memory['']);
  if (!last('memory', 'r', 'ram')) throw new Bad('--memory amount in MiB is required');
  if (!Number.isInteger(mib) || mib <= 0) throw new Bad(`Error: --memory ${last('memory', 'r', 'ram')}: invalid number`);
  const boot = properties(last('boot') ?? '');
  if (last('location', 'l', 'cdrom', 'c', 'pxe')) throw new Bad('not modelled: installation media (use --import --boot kernel=FILE)');
  if (!last('import') && boot.kernel === undefined) throw new Bad('An install method must be specified\n(--location URL, --cdrom CD/ISO, --pxe, --import, --boot hd|cdrom|...)');
  const disk = [...all('disk')].find((one) => one !== 'none');
  if (disk !== undefined) throw new Bad(`not modelled: disks (--disk ${disk})`);
  if (last('disk') === undefined && last('nodisks') === undefined) throw new Bad('--disk storage must be specified (override with --disk none)');
  if (boot.kernel === undefined) throw new Bad('not modelled: booting without a kernel (use --boot kernel=FILE)');
  const vcpus = Number(properties(last('vcpus') ?? '1')['']);
  return {
    name, memory: mib, vcpus, kernel: boot.kernel, initrd: boot.initrd ?? '', args: boot.kernel_args ?? boot.cmdline ?? last('extra-args', 'x') ?? '', console: last('graphics') === 'none' && last('noautoconsole') === undefined && last('autoconsole') !== 'none', start: last('print-xml', 'dry-run') === undefined, xml: last('print-xml') !== undefined,
  };
}

const escaped = (s: string): string => s.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');

function xmlOf(w: Wanted): string {
  const leaf = (tag: string, value: string): string => (value === '' ? '' : `    <${tag}>${escaped(value)}</${tag}>\n`);
  return `<domain type="kvm">
  <name>${escaped(w.name)}</name>
  <memory>${w.memory * 1024}</memory>
  <currentMemory>${w.memory * 1024}</currentMemory>
  <vcpu>${w.vcpus}</vcpu>
  <os>
    <type arch="x86_64" machine="pc">hvm</type>
${leaf('kernel', w.kernel)}${leaf('initrd', w.initrd)}${leaf('cmdline', w.args)}  </os>
  <features><acpi/><apic/></features>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
    <console type="pty"/>
  </devices>
</domain>
`;
}

function* install(wanted: Wanted): Call<number> {
  const xml = xmlOf(wanted);
  if (wanted.xml) {
    yield* print(xml);
    return 0;
  }
  const known = (yield* callLibvirt('lookup', { domain: wanted.name })) as unknown;
  if (known) throw new Bad(`Guest name '${wanted.name}' is already in use.`);
  if (!wanted.start) {
    yield* print('Dry run completed successfully\n');
    return 0;
  }
  yield* print('\nStarting install...\n');
  yield* callLibvirt('define', { xml });
  try {
    yield* callLibvirt('start', { domain: wanted.name });
  } catch (error) {
    yield* callLibvirt('undefine', { domain: wanted.name });
    throw error;
  }
  yield* print('Creating domain...                                          |    0 B  00:00     \n');
  if (wanted.console && (yield* isTerminal(0))) {
    const { pty } = (yield* callLibvirt('lookup', { domain: wanted.name })) as { pty: string };
    yield* print(`Running text console command: virsh --connect qemu:///system console ${wanted.name}\nConnected to domain '${wanted.name}'\nEscape character is ^] (Ctrl + ])\n`);
    yield* attempt(joinConsole(pty), undefined);
    yield* print('\n');
  }
  yield* print(`Domain creation completed.\nYou can restart your domain by running:\n  virsh --connect qemu:///system start ${wanted.name}\n`);
  return 0;
}
