/** Trap-and-emulate: right where everything sensitive traps, wrong where x86 makes it wrong, and it says what went wrong. */
import { expect, it } from 'vitest';
import { own } from '../../../src/engine/hypervisor/cpu/deprivilege-state.ts';
import { go, key, MS, power, tiny } from './bench.ts';

it('boots tiny, which does nothing that is lost', () => {
  const b = power(tiny(), { technique: 'trap-and-emulate' });
  go(b, 300 * MS);
  expect([b.ended, b.said]).toEqual(['', '\r\ntiny 1.0: long mode, 4-level paging, one process\r\npress h for help\r\n']);
  key(b, 't');
  go(b, b.now + 60 * MS);
  expect(b.said).toMatch(/\d+\r\n$/);
  expect(b.vm.ledger.events.get('trap #GP: cli')!.count).toBeGreaterThan(1);
});

const SENSITIVE = `bits 64
org 0x100000
    mov rsp, 0x180000
    lgdt [rel gdtr]
    cli
    pushfq
    pop rax
    or rax, 0x200
    push rax
    popfq
    mov rbx, cs
    sgdt [0x200000]
    mov rdx, [0x200002]
    str r9d
    mov al, 0
    out 0xf4, al
    hlt
align 8
gdt: dq 0, 0x00af9b000000ffff, 0x00cf93000000ffff
gdtr: dw 23
    dq gdt
`;

it('shows the real processor wherever nothing traps', () => {
  const b = power(SENSITIVE, { technique: 'trap-and-emulate' });
  go(b, 50 * MS);
  expect(b.ended).toBe('{"how":"debug-exit","status":1}');
  const rows = [...own(b.vm).silent.values()].map(({ text, saw, should }) => [text.split(' ')[0], saw, should]);
  expect(rows).toEqual([
    ['pushfq', '0x200', '0x0'], ['popfq', 'IF=0', 'IF=1'], ['mov', '0x9', '0x8'], ['sgdt', '0xffffffffffc02000', expect.stringMatching(/^0x1000/)], ['str', '0x40', '0x0'],
  ]);
});
