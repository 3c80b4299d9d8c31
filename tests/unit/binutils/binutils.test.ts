/** objdump, readelf, nm, size and file over ELF files that as and ld of binutils 2.40 made, held against what the real programs print. */
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { binutils } from '../../../src/engine/userland/binutils/table.ts';
import { lab } from '../virt/machine.ts';

interface Recorded { files: Record<string, string>; rows: { cmd: string; stdout: string; stderr: string; status: number }[] }
const recorded = JSON.parse(readFileSync(new URL('recorded.json', import.meta.url), 'utf8')) as Recorded;
const files = Object.fromEntries(Object.entries(recorded.files).map(([name, data]) => [`/${name}`, { type: 'file' as const, data: Uint8Array.from(Buffer.from(data, 'base64')) }]));
const machine = lab({
  ...files,
  '/bad.asm': { type: 'file', data: 'bits 64\nmov rax, nowhere\nmov rax, cl\n' },
  '/good.asm': { type: 'file', data: 'bits 64\norg 0x100000\nstart: mov eax, N\nhlt\njmp start\n' },
}, 'lab', binutils);
const trimmed = (text: string): string => text.split('\n').map((line) => line.trimEnd()).join('\n');

it.each(recorded.rows)('$cmd', ({ cmd, stdout, stderr, status }) => {
  const [name, ...rest] = cmd.split(' ');
  const got = machine.run(`/usr/bin/${name}`, ...rest);
  expect({ stdout: trimmed(got.stdout), stderr: got.stderr, status: got.status >> 8 }).toEqual({ stdout, stderr, status });
});

it.each([
  [['nasm', '-v'], 0, 'NASM version 2.16.01\n', ''],
  [['nasm'], 1, '', 'nasm: fatal: no input file specified\nType nasm -h for help.\n'],
  [['nasm', '-f', 'bin', 'none.asm'], 1, '', "nasm: fatal: unable to open input file `none.asm' No such file or directory\n"],
  [['nasm', '-f', 'bin', 'bad.asm', '-o', 'x'], 1, '', "bad.asm:2: error: symbol `nowhere' not defined\nbad.asm:3: error: invalid combination of opcode and operands\n"],
  [['nasm', '-f', 'foo', 'good.asm'], 1, '', "nasm: fatal: unrecognised output format `foo' - use -hf for a list\nType nasm -h for help.\n"],
  [['nasm', '-DN=7', '-fbin', 'good.asm', '-o', 'good.bin'], 0, '', ''],
  [['objdump', '-D', '-b', 'binary', '-m', 'i386:x86-64', '--adjust-vma=0x100000', 'good.bin'], 0,
    '\ngood.bin:     file format binary\n\n\nDisassembly of section .data:\n\n0000000000100000 <.data>:\n  100000:\tb8 07 00 00 00       \tmov    $0x7,%eax\n  100005:\tf4                   \thlt\n  100006:\teb f8                \tjmp    0x100000\n', ''],
])('%j', (argv, status, stdout, stderr) => {
  expect(machine.run(`/usr/bin/${argv[0]}`, ...argv.slice(1))).toEqual({ status: status << 8, stdout, stderr });
});
