/** as and ld: statements and whole sources held against what as and ld of binutils 2.40 made of them; an image with the same bytes. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { assembleGas } from '../../../src/engine/userland/binutils/as.ts';
import { contents, readElf, relocationName, relocations, symbols } from '../../../src/engine/userland/binutils/elf.ts';
import { binutils } from '../../../src/engine/userland/binutils/table.ts';
import { coreutils } from '../../../src/engine/userland/coreutils/table.ts';
import { lab } from '../virt/machine.ts';

/** Each source with the bytes and relocations of its .text, or "E line: Error: ..." */
interface Recorded { rows: [source: string, made: string][]; sources: Record<string, string>; image: string }
const recorded = JSON.parse(readFileSync(new URL('gas-recorded.json', import.meta.url), 'utf8')) as Recorded;

function made(source: string): string {
  const { object, mistakes } = assembleGas(`${source}\n`);
  if (object.length === 0) return `E ${mistakes.map(({ line, text }) => `${line || ''}: Error: ${text}`).join(' | ')}`;
  const elf = readElf(object)!;
  const rela = elf.sections.find(({ name }) => name === '.rela.text');
  const names = symbols(elf);
  const list = rela ? relocations(elf, rela).map((one) => `${one.offset} ${relocationName(62, one.type)} ${names[one.symbol]!.name} ${one.addend}`) : [];
  return Buffer.from(contents(elf, elf.sections.find(({ name }) => name === '.text')!)).toString('hex') + (list.length > 0 ? ` ${list.join('; ')}` : '');
}

it('assembles what as assembles', () => {
  expect(recorded.rows.length).toBeGreaterThan(300);
  expect(recorded.rows.map(([source]) => [source, made(source)])).toEqual(recorded.rows);
});

const BOOT = '.globl _start\n_start: mov $msg, %rsi\n mov $0x3f8, %dx\n1: lodsb\n test %al, %al\n jz 2f\n out %al, (%dx)\n jmp 1b\n2: ud2\n.data\nmsg: .asciz "hello from as\\n"\n';
const machine = lab({
  '/boot.s': { type: 'file', data: BOOT },
  ...Object.fromEntries(Object.entries(recorded.sources).map(([name, data]) => [`/${name}`, { type: 'file' as const, data }])),
  '/bad.s': { type: 'file', data: ' nop\nx: call nowhere\n foo\n' }, '/lone.s': { type: 'file', data: ' nop\nx: call nowhere\n' },
}, 'lab', { ...binutils, '/usr/bin/base64': coreutils['/usr/bin/base64']! });
const run = (line: string): { status: number; stdout: string; stderr: string } => {
  const [name, ...rest] = line.split(' ');
  return machine.run(`/usr/bin/${name}`, ...rest);
};

it('links two objects into the image that ld makes', () => {
  for (const line of ['as -o k.o k.s', 'as --64 o.s -oo.o', 'ld -Ttext=0x100000 --oformat binary -o k.img k.o o.o', 'ld -o k.elf k.o o.o']) expect(run(line), line).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(machine.run('/usr/bin/base64', '-w0', 'k.img').stdout).toBe(recorded.image);
  expect(run('nm k.elf').stdout).toBe('0000000000403040 B __bss_start\n0000000000403040 D _edata\n00000000004030a8 B _end\n0000000000401000 T _start\n0000000000403040 b buf\n0000000000403010 d counter\n0000000000402000 r msg\n0000000000401021 T other\n0000000000403014 d ptr\n0000000000403030 d table\n');
});

it('boots what it has assembled and linked; ud2 without an interrupt table ends the machine', () => {
  for (const line of ['as -o b.o boot.s', 'ld -Ttext=0x100000 --oformat binary -o b.img b.o']) expect(run(line), line).toEqual({ status: 0, stdout: '', stderr: '' });
  expect(run('qemu-system-x86_64 -accel kvm -nographic -no-reboot -kernel b.img').stdout).toContain('hello from as\n');
});

it.each([
  ['as bad.s', 1, "bad.s: Assembler messages:\nbad.s:3: Error: no such instruction: `foo'\n"],
  ['as none.s', 1, "Assembler messages:\nError: can't open none.s for reading: No such file or directory\n"],
  ['as -o lone.o lone.s', 0, ''],
  ['ld lone.o', 1, "ld: warning: cannot find entry symbol _start; defaulting to 0000000000401000\nld: lone.o: in function `x':\n(.text+0x2): undefined reference to `nowhere'\n"],
  ['ld o.o o.o', 1, "ld: o.o: in function `other':\n(.text+0x0): multiple definition of `other'; o.o:(.text+0x0): first defined here\nld: warning: cannot find entry symbol _start; defaulting to 0000000000401000\n"],
  ['ld none.o', 1, 'ld: cannot find none.o: No such file or directory\n'],
  ['ld', 1, 'ld: no input files\n'],
])('%s', (line, status, stderr) => {
  expect(run(line)).toEqual({ status: status << 8, stdout: '', stderr });
});
