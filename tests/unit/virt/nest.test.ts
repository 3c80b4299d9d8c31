/**
 * The small operating system nest under KVM with EPT, against what it printed under real QEMU (tests/fixtures/nest/record.sh):
 * every line and exit status the same, cycles apart. And its bytes, as the project's assembler writes them, are NASM's.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
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

const under = (accelerator: readonly string[], line: string): string => {
  const [program, ...rest] = accelerator[0] === 'bare' ? ['/usr/bin/bare'] : ['/usr/bin/qemu-system-x86_64', ...accelerator, '-display', 'none', '-nodefaults', '-serial', 'stdio', '-device', 'isa-debug-exit,iobase=0xf4,iosize=4'];
  const ran = machine.run(program!, ...rest, '-m', '64', '-kernel', '/root/nest.img', '-append', line);
  return `${ran.stdout.replace(/\r/g, '').replace(/ \d+\.\d\d$/gm, ' N')}status ${ran.status >> 8}\n`;
};

describe.each([[['bare']], [['-accel', 'tcg']], [['-accel', 'kvm', '-cpu', 'host,ept=off']], [['-accel', 'deprivileged']]])('%j', (accelerator) => {
  it.each(['fork 3 exit', 'demand 20 exit', 'ctxsw 6 exit', 'divzero 3 exit', 'pgfault 3 exit', 'ptemod 6 exit', 'tlbthrash 20 2 exit'])('%s', (line) => {
    const [name, n, more] = line.split(' ') as [string, string, string];
    expect(under(accelerator, line)).toBe(`${name} ${more === '2' ? 40 : n} N\nstatus 1\n`);
  });
});

it('goes wrong under trap-and-emulate where an instruction is sensitive and traps nowhere', () => {
  const said = under(['-accel', 'deprivileged'], 'boot exit');
  for (const complaint of ['cs says that this is not ring 0', 'sgdt tells of another table', 'pushf shows IF after cli', 'popf lost IF', 'no interrupt took turns between two processes']) expect(said).toContain(`WRONG: ${complaint}\n`);
  expect(said).toMatch(/nest: done, \d+ wrong\nstatus 3\n$/);
});

it('says what included files lack, by their own names and lines', () => {
  const parts: Record<string, string> = { 'a.inc': 'nop\nmov eax, nowhere\n', 'b.inc': '%include "b.inc"\n' };
  const errors = (source: string): string[] => assemble(source, 'x.asm', (name) => parts[name] ?? null).errors.map((error) => error.text);
  expect(errors('bits 64\n%include "a.inc"\nnop\n')).toEqual(["a.inc:2: error: symbol `nowhere' not defined"]);
  expect(errors('%include "nosuch.inc"\n')).toEqual(["x.asm:1: error: unable to open include file `nosuch.inc': No such file or directory"]);
  expect(errors('%include "b.inc"\n')[0]).toBe('b.inc:1: error: files include one another too deep');
});
