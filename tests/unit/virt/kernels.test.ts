/**
 * Kernels in C, built with gcc, as real QEMU boots them: serial output and exit status byte for byte as recorded from it
 * (tests/fixtures/kernels/record.sh); and the monitor's view of a kernel in 32-bit paging.
 */
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { lab } from './machine.ts';

const fixture = (name: string): Uint8Array => new Uint8Array(readFileSync(new URL(`../../fixtures/kernels/${name}`, import.meta.url)));
const recorded = (name: string): string => readFileSync(new URL(`../../fixtures/kernels/${name}.txt`, import.meta.url), 'utf8');
const QEMU = '/usr/bin/qemu-system-x86_64';

const machine = lab({
  ...Object.fromEntries(['hello.elf', 'full.elf', 'long.elf', 'apic.elf', 'segments.elf', 'pages.elf', 'tasks.elf', 'real.elf', 'kludge.bin'].map((name) => [`/root/${name}`, { type: 'file' as const, data: fixture(name) }])),
  '/root/a.mod': { type: 'file', data: 'module a\n' }, '/root/b.mod': { type: 'file', data: 'module b\n' },
  '/root/short.elf': { type: 'file', data: fixture('hello.elf').subarray(0, 6000) },
  '/root/wide.elf': { type: 'file', data: withMultiboot(fixture('long.elf')) },
  '/root/noteless.elf': { type: 'file', data: without(fixture('long.elf'), 'Xen') },
  '/root/overlap.elf': { type: 'file', data: overlapping(fixture('hello.elf')) },
  '/root/video.bin': { type: 'file', data: changed(fixture('kludge.bin'), 4, 0x00010007) },
  ...Object.fromEntries([
    ['load', 16, 0x100001], ['header', 12, 0x100001], ['end', 20, 0xfffff], ['bss', 24, 0x100001], ['long', 20, 0x1000f0], ['far', 16, 0xfffffff0],
  ].map(([name, at, value]) => [`/root/${name}.bin`, { type: 'file' as const, data: changed(fixture('kludge.bin'), at as number, value as number) }])),
}, 'lab', { '/usr/bin/cat': coreutils['/usr/bin/cat']! });

/** A field of the multiboot header at the start of the file; the checksum follows the flags. */
function changed(data: Uint8Array, at: number, value: number): Uint8Array {
  const out = data.slice();
  const view = new DataView(out.buffer);
  view.setUint32(at, value, true);
  view.setUint32(8, -(0x1badb002 + view.getUint32(4, true)) >>> 0, true);
  return out;
}

function withMultiboot(data: Uint8Array): Uint8Array {
  const out = data.slice();
  const view = new DataView(out.buffer);
  for (const [n, value] of [0x1badb002, 0, -0x1badb002 >>> 0].entries()) view.setUint32(0x400 + 4 * n, value, true);
  return out;
}

function without(data: Uint8Array, name: string): Uint8Array {
  const out = data.slice();
  const at = Buffer.from(out).indexOf(`${name}\0`);
  out[at] = 0x79;
  return out;
}

/** The second program header's address becomes the first's plus 4. */
function overlapping(data: Uint8Array): Uint8Array {
  const out = data.slice();
  const view = new DataView(out.buffer);
  view.setUint32(52 + 32 + 12, view.getUint32(52 + 12, true) + 4, true);
  return out;
}

const ACCELERATORS: readonly (readonly [string, readonly string[]])[] = [['kvm', ['-accel', 'kvm']], ['shadow tables', ['-accel', 'kvm', '-cpu', 'host,ept=off']], ['tcg', ['-accel', 'tcg']]];

describe.each(ACCELERATORS)('kernels as real QEMU boots them, %s', (_accel, accel) => {
  it.each([
    ['hello', ['-kernel', '/root/hello.elf', '-m', '32']],
    ['modules', ['-kernel', '/root/hello.elf', '-m', '64', '-append', 'a=1 b', '-initrd', '/root/a.mod x y,/root/b.mod']],
    ['full', ['-kernel', '/root/full.elf']],
    ['segments', ['-kernel', '/root/segments.elf']],
    ['pages', ['-kernel', '/root/pages.elf']],
    ['tasks', ['-kernel', '/root/tasks.elf']],
    ['long', ['-kernel', '/root/long.elf', '-m', '16', '-append', 'root=none quiet', '-initrd', '/root/a.mod']],
  ])('%s', (name, options) => {
    const ran = machine.run(QEMU, ...accel, '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', ...options);
    expect(`${ran.stdout}status ${ran.status >> 8}\n`).toBe(recorded(name));
    expect(ran.stderr).toBe('');
  });
});

it.each(['kvm', 'tcg'])('a kernel that goes down to real mode, runs code of 16 bits and comes back, %s', (accel) => {
  const ran = machine.run(QEMU, '-accel', accel, '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/real.elf');
  expect(`${ran.stdout}status ${ran.status >> 8}\n${ran.stderr}`).toBe(recorded('real'));
});

describe('a kernel with drivers for both APICs, the same everywhere', () => {
  const options = ['-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-kernel', '/root/apic.elf'];
  it.each([
    ['EPT', [QEMU, '-accel', 'kvm', ...options]],
    ['shadow tables', [QEMU, '-accel', 'kvm', '-cpu', 'host,ept=off', ...options]],
    ['binary translation', [QEMU, '-accel', 'tcg', ...options]],
    ['bare', ['/usr/bin/bare', '-kernel', '/root/apic.elf']],
  ])('%s', (_name, command) => {
    const ran = machine.run(...command);
    expect(`${ran.stdout}status ${ran.status >> 8}\n`).toBe(recorded('apic'));
    expect(ran.stderr).toBe('');
  });
});

describe('kernels that QEMU refuses', () => {
  it.each([
    ['short.elf', 'qemu-system-x86_64: Error while loading elf kernel\n'],
    ['wide.elf', 'qemu-system-x86_64: Cannot load x86-64 image, give a 32bit one.\n'],
    ['noteless.elf', 'qemu-system-x86_64: Error loading uncompressed kernel without PVH ELF Note\n'],
    ['load.bin', 'qemu-system-x86_64: invalid load_addr address\n'],
    ['header.bin', 'qemu-system-x86_64: invalid header_addr address\n'],
    ['end.bin', 'qemu-system-x86_64: invalid load_end_addr address\n'],
    ['bss.bin', 'qemu-system-x86_64: invalid bss_end_addr address\n'],
    ['long.bin', 'qemu-system-x86_64: fread() failed\n'],
    ['far.bin', 'qemu-system-x86_64: invalid load_addr address\n'],
  ])('%s', (name, stderr) => {
    expect(machine.run(QEMU, '-accel', 'kvm', '-display', 'none', '-kernel', `/root/${name}`)).toEqual({ stdout: '', stderr, status: 256 });
  });

  it('names segments that overlap', () => {
    const { stderr, status } = machine.run(QEMU, '-accel', 'kvm', '-display', 'none', '-kernel', '/root/overlap.elf');
    expect(status).toBe(256);
    expect(stderr).toMatch(/^qemu-system-x86_64: Some ROM regions are overlapping\nThese ROM[\s\S]*\n\nThe following two regions overlap \(in the memory address space\):\n {2}\/root\/overlap.elf ELF program header segment 0 \(addresses 0x0000000000100000 - 0x[0-9a-f]{16}\)\n {2}\/root\/overlap.elf ELF program header segment 1/);
  });

  it.each([
    [['-append', 'x'], '-append only allowed with -kernel option'],
    [['-initrd', 'x'], '-initrd only allowed with -kernel option'],
    [['-kernel', '/root/hello.elf', '-initrd', '/root/none,/root/b.mod'], "Failed to open file '/root/none'"],
  ])('%j', (options, message) => {
    expect(machine.run(QEMU, '-accel', 'kvm', '-display', 'none', ...options)).toEqual({ stdout: '', stderr: `qemu-system-x86_64: ${message}\n`, status: 256 });
  });
});

it('says of a header that asks for a video mode what QEMU says, and goes on', () => {
  const ran = machine.run(QEMU, '-accel', 'kvm', '-display', 'none', '-kernel', '/root/video.bin', '-initrd', '/root/none');
  expect(ran.stderr).toBe("qemu-system-x86_64: multiboot knows VBE. we don't\nqemu-system-x86_64: Failed to open file '/root/none'\n");
});

describe('a domain with modules', () => {
  it('are given to QEMU as its definition names them', () => {
    const ran = machine.run('/usr/bin/virt-install', '--name', 'mods', '--memory', '64', '--disk', 'none', '--import', '--boot', 'kernel=/root/hello.elf,initrd=/root/a.mod,kernel_args=a=1 b', '--graphics', 'none', '--noautoconsole');
    expect(ran).toMatchObject({ status: 0 });
    expect(machine.run('/usr/bin/virsh', 'dumpxml', 'mods').stdout).toContain('<initrd>/root/a.mod</initrd>');
    const log = machine.run('/usr/bin/cat', '/var/log/libvirt/qemu/mods.log').stdout;
    expect(log).toContain('-kernel /root/hello.elf \\\n-initrd /root/a.mod \\\n');
    expect(log).not.toContain('not modelled');
  });
});

describe('a domain of a kernel in 32-bit mode', () => {
  const monitor = (command: string): string => machine.run('/usr/bin/virsh', 'qemu-monitor-command', 'small', '--hmp', command).stdout.replace(/\r/g, '');

  it('is installed, and its monitor shows 32-bit registers and tables as QEMU does', () => {
    const ran = machine.run('/usr/bin/virt-install', '--name', 'small', '--memory', '16', '--disk', 'none', '--import', '--boot', 'kernel=/root/kludge.bin', '--graphics', 'none', '--noautoconsole');
    expect(ran.status).toBe(0);
    machine.pass(100e6);
    expect(monitor('info tlb').trim()).toBe([
      '0000000000000000: 0000000000000000 --P-A---W', '0000000000400000: 0000000000400000 --P-----W', '00000000c0000000: 0000000000300000 ----A--U-', '00000000c0002000: 0000000000302000 --------W',
    ].join('\n'));
    expect(monitor('info mem').trim()).toBe([
      '0000000000000000-0000000000800000 0000000000800000 -rw', '00000000c0000000-00000000c0001000 0000000000001000 ur-', '00000000c0002000-00000000c0003000 0000000000001000 -rw',
    ].join('\n'));
    expect(monitor('x /2wx 0xc0000010').trim()).toBe('00000000c0000010: 0x12345678 0x00000000');
    const registers = monitor('info registers');
    expect(registers).toContain('EAX=00000000 EBX=00009500 ECX=00100020');
    expect(registers).toContain('EIP=0010007a EFL=00000006 [-----P-] CPL=0 II=0 A20=1 SMM=0 HLT=1\nES =0010 00000000 ffffffff 00cf9300 DPL=0 DS   [-WA]\nCS =0008 00000000 ffffffff 00cf9b00 DPL=0 CS32 [-RA]');
    expect(registers).toContain('LDT=0000 00000000 0000ffff 00008200 DPL=0 LDT\nTR =0000 00000000 0000ffff 00008b00 DPL=0 TSS32-busy\nGDT=     000c02b8 00000027\nIDT=     00000000 000003ff\nCR0=80010011 CR2=00000000 CR3=00200000 CR4=00000010\nEFER=0000000000000000\n');
  });
});
