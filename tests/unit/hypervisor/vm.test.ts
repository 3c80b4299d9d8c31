/** A guest of real machine code under VT-x with EPT, without any kernel round it: its exits are answered here. */
import { expect, it } from 'vitest';
import { guestRegister } from '../../../src/engine/hypervisor/state.ts';
import { exitName } from '../../../src/engine/hypervisor/exits.ts';
import { createRandom, uint32 } from '../../../src/engine/sim/random.ts';
import { type Walk, walk } from '../../../src/engine/machine/machine.ts';
import { type Bench, go, key, MS, power, tiny } from './bench.ts';

const counts = (b: Bench): Record<string, number> => Object.fromEntries([...b.vm.exits].map(([reason, row]) => [exitName(reason), row.count]));

it('boots tiny to its banner, counts its exits and records a walk of 24 references', () => {
  const b = power(tiny());
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  const exits = counts(b);
  expect(exits.EPT_VIOLATION).toBeGreaterThan(70);
  expect(exits.IO_INSTRUCTION).toBeGreaterThan(70);
  expect(exits.HLT).toBeGreaterThanOrEqual(5);
  expect(exits.MSR_WRITE).toBe(4);
  let found: Walk | null = null;
  for (let back = 0; back < 64 && !found; back++) {
    const one = walk(b.vm.machine, back);
    if (one?.result === 'ok' && one.guestShift === 12 && one.eptp !== 0n) found = one;
  }
  expect(found?.references.length).toBe(24);
  expect(found?.references.map((r) => r.table[0]).join('')).toBe('eeeegeeeegeeeegeeeegeeee');
  expect([found?.vpid, found?.hostShift]).toEqual([1, 12]);
});

it('takes keys by interrupt', () => {
  const b = power(tiny());
  go(b, 100 * MS);
  for (const [pressed, says] of [['t', /\d+\r\n$/], ['c', /cpu GenuineIntel\r\n$/], ['v', /called the hypervisor\r\n$/], ['p', /touched 64 pages\r\n$/]] as const) {
    b.said = '';
    key(b, pressed);
    go(b, b.now + 60 * MS);
    expect(b.said).toMatch(says);
  }
  expect(counts(b)).toMatchObject({ CPUID: 1, VMCALL: 1 });
  key(b, 'q');
  go(b, b.now + 60 * MS);
  expect([b.said.trim().split('\n').at(-1), b.ended]).toEqual(['power off', '{"how":"power-off"}']);
});

it('prints a dot a second', () => {
  const b = power(tiny());
  go(b, 3200 * MS);
  expect(b.said.split('help\r\n')[1]).toBe('...');
});

it.each([
  ['isa-debug-exit', 'mov al, 0x10\nout 0xf4, al', '{"how":"debug-exit","status":33}'],
  ['triple fault', 'ud2', '{"reason":"shutdown"}'],
  ['code where there is no memory', 'mov eax, 0xfee00020\njmp rax', '{"reason":"internal-error","text":"emulation failure: no memory to run at 0xfee00020"}'],
])('ends: %s', (_name, code, ended) => {
  const b = power(`bits 64\norg 0x100000\n${code}\nhlt`);
  go(b, 10 * MS);
  expect(b.ended).toBe(ended);
});

it('reads zeros where there is no memory and loses what is stored there, one instruction at a time', () => {
  const b = power('bits 64\norg 0x100000\nmov ebx, 0xc0000ffc\nmov dword [rbx], 0x55aa55aa\nmov eax, [rbx]\nadd eax, 3\nlock xadd [rbx], rax\nmov rsi, rbx\nlea rdi, [rbx+0x2000]\nmov ecx, 3\nrep movsq\nadd eax, [rbx]\nout 0xf4, al');
  go(b, 10 * MS);
  expect(b.ended).toBe('{"how":"debug-exit","status":1}');
  expect(b.vm.log.filter(({ gpa }) => gpa !== null && gpa >= 0xc0000000n).length).toBe(7);
  expect(counts(b).MONITOR_TRAP_FLAG).toBeUndefined();
});

it('sends a string with rep outsb and reads one with insb', () => {
  const b = power('bits 64\norg 0x100000\nmov rsi, text\nmov ecx, 5\nmov dx, 0x3f8\nrep outsb\nmov edi, 0x200000\nmov dx, 0x3fd\ninsb\nmov al, [0x200000]\nout 0xf4, al\ntext: db "hello"');
  go(b, 10 * MS);
  expect([b.said, b.ended]).toEqual(['hello', '{"how":"debug-exit","status":193}']);
});

it('steps one instruction at a time and to the next exit', () => {
  const b = power('bits 64\norg 0x100000\nnop\nnop\nmov eax, 1\ncpuid\nout 0xf4, al\nhlt');
  const seen: string[] = [];
  for (let n = 0; n < 4; n++) {
    go(b, b.now + 1 * MS, 'step');
    seen.push(guestRegister(b.vm, 'rip').toString(16));
  }
  expect(seen).toEqual(['100001', '100002', '100007', '100009']);
  expect(counts(b)).toMatchObject({ MONITOR_TRAP_FLAG: 3, CPUID: 1 });
  go(b, b.now + 1 * MS, 'to-exit');
  expect(b.ended).toContain('debug-exit');
});

it('keeps time: cycles become ns at the clock rate, and the time-stamp counter goes with the host', () => {
  const b = power('bits 64\norg 0x100000\nrdtsc\nmov ebx, eax\nmov ecx, 1000000\n.l: loop .l\nrdtsc\nsub eax, ebx\nmov [0x180000], eax\nout 0xf4, al');
  go(b, 100 * MS);
  expect(b.ended).toContain('debug-exit');
  const delta = new DataView(b.vm.machine.memory.buffer, b.vm.machine.memory.byteOffset).getUint32(b.vm.frames.get(0x180)!, true);
  expect(delta).toBeGreaterThan(999_999);
  expect(delta).toBeLessThan(b.now * 2);
});

it('ends somehow or goes on, whatever bytes it is given', () => {
  const random = createRandom(7);
  const ends = new Set<string>();
  for (let n = 0; n < 60; n++) {
    const b = power(Uint8Array.from({ length: 256 }, () => uint32(random) & 255), { memory: 2 * 2 ** 20 });
    go(b, 1 * MS);
    ends.add(b.ended.slice(0, 20));
  }
  expect(ends.size).toBeGreaterThan(0);
});
