/**
 * The small operating system nest under KVM with EPT, against what it printed under real QEMU (tests/fixtures/nest/record.sh):
 * every line and exit status the same, cycles apart. And its bytes, as the project's assembler writes them, are NASM's.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { loadAssets } from '../../../src/cli/assets.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { lab } from './machine.ts';

const fixture = (name: string): string => readFileSync(new URL(`../../fixtures/nest/${name}`, import.meta.url), 'utf8');
const { guests } = loadAssets();
const image = assemble(guests['nest.asm']!, 'nest.asm', (name) => guests[name] ?? null);
const twin = assemble(guests['nest-pv.asm']!, 'nest-pv.asm', (name) => guests[name] ?? null);
const machine = lab({ '/root/nest.img': { type: 'file', data: image.bytes }, '/root/nest-pv.img': { type: 'file', data: twin.bytes } });
const run = (line: string, accel = ['kvm'], file = 'nest'): string => {
  const ran = machine.run('/usr/bin/qemu-system-x86_64', '-accel', ...accel, '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4', '-m', '64', '-kernel', `/root/${file}.img`, '-append', line);
  return `${ran.stdout.replace(/\r/g, '').replace(/ \d+\.\d\d$/gm, ' N')}status ${ran.status >> 8}\n`;
};

it('is assembled to the bytes that NASM writes', () => {
  expect(image.errors).toEqual([]);
  expect(twin.errors).toEqual([]);
  expect(createHash('sha256').update(image.bytes).digest('hex')).toBe(fixture('nest.sha256').trim());
  expect(createHash('sha256').update(twin.bytes).digest('hex')).toBe(fixture('nest-pv.sha256').trim());
});

const recorded = fixture('nest.txt').split(/^== /m).slice(1).map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1)] as const);

it.each(recorded)('%s', (line, expected) => {
  expect(run(line)).toBe(expected);
});

/** What a kernel does not ask, or may not do, that knows its hypervisor. */
const UNASKED = /^(who am I|tables|checked: privilege)/;

it.each(recorded.filter(([line]) => /^(boot|syscall|fork|ptemod|invlpg|demand|ctxsw)/.test(line)))('the twin under paravirtualization: %s', (line, expected) => {
  expect(run(line, ['xen'], 'nest-pv')).toBe(expected.split('\n').filter((one) => !UNASKED.test(one)).join('\n'));
});

it.each(recorded.filter(([line]) => /^(boot|fork|ptemod|invlpg)/.test(line)))('without EPT: %s', (line, expected) => {
  expect(run(line, ['kvm', '-cpu', 'host,ept=off'])).toBe(expected);
});

it('says what included files lack, by their own names and lines', () => {
  const parts: Record<string, string> = { 'a.inc': 'nop\nmov eax, nowhere\n', 'b.inc': '%include "b.inc"\n' };
  const errors = (source: string): string[] => assemble(source, 'x.asm', (name) => parts[name] ?? null).errors.map((error) => error.text);
  expect(errors('bits 64\n%include "a.inc"\nnop\n')).toEqual(["a.inc:2: error: symbol `nowhere' not defined"]);
  expect(errors('%include "nosuch.inc"\n')).toEqual(["x.asm:1: error: unable to open include file `nosuch.inc': No such file or directory"]);
  expect(errors('%include "b.inc"\n')[0]).toBe('b.inc:1: error: files include one another too deep');
});
