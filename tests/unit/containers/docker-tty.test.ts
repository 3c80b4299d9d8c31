/** docker run -it at a terminal: a shell of its own, Ctrl-C, window size, detaching, and the terminal as it was before. */
import { beforeAll, describe, expect, it } from 'vitest';
import { ttyInput, ttyResize, ttyTake } from '../../../src/engine/kernel/kernel.ts';
import { bytes, text } from '../../../src/engine/sim/text.ts';
import { SECOND } from '../../../src/engine/sim/units.ts';
import { type Lab, lab, terminal, until } from './docker-lab.ts';

let m: Lab;
let shown = '';

/** Types, and waits until what was asked for has come; what the terminal showed meanwhile. */
function type(keys: string, wanted: RegExp, seconds = 20): string {
  shown = '';
  ttyInput(m.kernel, 'tty1', bytes(keys));
  until(m, () => {
    // biome-ignore lint/suspicious/noControlCharactersInRegex: the shell's marks are control sequences
    shown += ttyTake(m.kernel, 'tty1').map((p) => text(p.data)).join('').replaceAll('\r', '').replace(/\x1b\]133;[^\x07]*\x07/g, '');
    return wanted.test(shown);
  }, seconds * SECOND);
  expect(shown).toMatch(wanted);
  return shown;
}

beforeAll(() => {
  m = lab();
  ttyResize(m.kernel, 'tty1', 100, 30);
  terminal(m);
  until(m, () => ttyTake(m.kernel, 'tty1').length > 0, 5 * SECOND);
});

describe('docker run -it', () => {
  it('gives a shell with its own pid 1 and hostname', () => {
    type('docker run -it --name t1 busybox sh\r', /# $/);
    expect(type('echo pid $$; hostname\r', /pid 1\n[0-9a-f]{12}\n/)).toBeTruthy();
  });
  it('has a terminal of its own', () => {
    type('tty; ls -l /dev/pts/0\r', /\/dev\/pts\/0[\s\S]*# $/);
  });
  it('passes Ctrl-C to what runs inside', () => {
    ttyInput(m.kernel, 'tty1', bytes('sleep 1000\r'));
    until(m, () => false, 1 * SECOND);
    type('\x03', /# $/);
    type('echo still $((40+2))\r', /still 42/);
  });
  it('ends with the shell, its status told', () => {
    type('exit 7\r', /\$ $|# $/);
    type('echo status $?\r', /status 7/);
  });
  it('detaches at C-p C-q and attaches again', () => {
    type('docker run -it --name t2 busybox sh\r', /# $/);
    type('\x10\x11', /\$ $|# $/);
    type('docker ps --format "{{.Names}} up"\r', /t2 up/);
    type('docker attach t2\r', /attach t2/);
    type('echo again\r', /\nagain\n/);
    type('exit\r', /\$ $|# $/);
    type('echo host $((1+1))\r', /host 2/);
  });
  it('passes signals on without a terminal, and gives up at the third', () => {
    ttyInput(m.kernel, 'tty1', bytes('docker run --name t3 busybox sleep 1000\r'));
    until(m, () => false, 2 * SECOND);
    type('\x03', /\^C/);
    until(m, () => false, 1 * SECOND);
    type('\x03', /\^C/);
    until(m, () => false, 1 * SECOND);
    type('\x03', /got 3 SIGTERM\/SIGINTs, forcefully exiting\n[\s\S]*\$ $/);
    type('docker kill t3\r', /\nt3\n/);
  });
  it('ends docker run when what it runs hears the signal', () => {
    ttyInput(m.kernel, 'tty1', bytes('docker run --rm busybox sh -c "trap \'echo got it; exit 9\' INT; while :; do sleep 0.1; done"\r'));
    until(m, () => false, 2 * SECOND);
    type('\x03', /got it\n[\s\S]*\$ $/);
    type('echo status $?\r', /status 9/);
  });
  it('ends what follows at Ctrl-C', () => {
    ttyInput(m.kernel, 'tty1', bytes('docker events\r'));
    until(m, () => false, 1 * SECOND);
    type('\x03', /\$ $/);
    ttyInput(m.kernel, 'tty1', bytes('docker stats\r'));
    until(m, () => false, 3 * SECOND);
    type('\x03', /\$ $/);
  });
});

it('docker login shows no password', () => {
  type('docker login -u me localhost:5999\r', /Password: $/);
  expect(type('hunter2\r', /refused\n[\s\S]*\$ $/)).not.toContain('hunter2');
  expect(type('echo seen again\r', /echo seen again\nseen again\n/)).toBeTruthy();
});
