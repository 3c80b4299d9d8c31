/** A machine of its own under an image of one's own. */
import { expect, it } from 'vitest';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import { lab } from './machine.ts';

const image = (code: string): string => String.fromCharCode(...assemble(`bits 64\norg 0x100000\n${code}`, 'a.asm').bytes);

const machine = lab({
  '/root/hello': { type: 'file', data: Uint8Array.from(image("mov dx, 0x3f8\nlea rsi, [rel m]\nmov ecx, 6\nrep outsb\nmov eax, 3\nout 0xf4, al\nm: db 'hello', 10"), (c) => c.charCodeAt(0)) },
  '/root/echo': { type: 'file', data: Uint8Array.from(image("mov dx, 0x3f8\n.next: mov al, [rdi]\ntest al, al\njz .end\nout dx, al\ninc rdi\njmp .next\n.end: mov dx, 0x604\nmov ax, 0x2000\nout dx, ax\nhlt"), (c) => c.charCodeAt(0)) },
  '/root/fault': { type: 'file', data: Uint8Array.from(image('lidt [0]\nud2'), (c) => c.charCodeAt(0)) },
});

it('runs an image and ends as it says', () => {
  expect(machine.run('/usr/bin/bare', '-kernel', '/root/hello')).toEqual({ status: 7 << 8, stdout: 'hello\n', stderr: '' });
  expect(machine.run('/usr/bin/bare', '-kernel', '/root/echo', '-append', 'a b', '-m', '4')).toEqual({ status: 0, stdout: 'a b', stderr: '' });
});

it('stops at a triple fault and shows the registers', () => {
  const { status, stderr } = machine.run('/usr/bin/bare', '-kernel', '/root/fault');
  expect([status, stderr.split('\n')[0]]).toEqual([1 << 8, 'bare: triple fault']);
  expect(stderr).toContain('RIP=0000000000100008');
});

it.each([
  [[], 'usage: bare'], [['-foo'], 'bare: -foo: invalid option\n'], [['-kernel'], 'bare: -kernel: requires an argument\n'], [['-m', '8'], 'bare: no image: give one with -kernel\n'],
  [['-kernel', '/root/none'], "bare: could not open kernel file '/root/none': No such file or directory\n"], [['-kernel', '/root/hello', '-cpu', 'abacus'], "bare: unable to find CPU model 'abacus'\n"],
])('%j', (words, says) => {
  const { status, stdout, stderr } = machine.run('/usr/bin/bare', ...words);
  expect([status, (stdout + stderr).startsWith(says)]).toEqual([1 << 8, true]);
});
