/** Devices as the guest drives them: what is written to their ports and what comes of it. */
import { describe, expect, it } from 'vitest';
import { createBoard, nextEvent, pending, readPort, takeInterrupt, writePort } from '../../../src/engine/machine/devices/board.ts';
import { PIT_HZ } from '../../../src/engine/machine/devices/timer.ts';
import { receive, takeOutput } from '../../../src/engine/machine/devices/uart.ts';
import { EXITS, exitName, exitRow, explainQualification } from '../../../src/engine/hypervisor/exits.ts';
import { FIELDS, fieldKind } from '../../../src/engine/hypervisor/vmcs.ts';

const remapped = () => {
  const board = createBoard({ debugExit: { port: 0xf4, size: 4 } });
  for (const [port, value] of [[0x20, 0x11], [0x21, 32], [0x21, 4], [0x21, 1], [0xa0, 0x11], [0xa1, 40], [0xa1, 2], [0xa1, 1], [0x21, 0xee], [0xa1, 0xff]] as const) writePort(board, port, 1, value, 0);
  return board;
};

describe('board', () => {
  it('sends what is written to the serial port', () => {
    const board = createBoard();
    for (const c of 'hi') writePort(board, 0x3f8, 1, c.charCodeAt(0), 0);
    expect(new TextDecoder().decode(takeOutput(board.uart))).toBe('hi');
  });

  it('interrupts on line 4 when a byte has come and until it is read', () => {
    const board = remapped();
    writePort(board, 0x3f9, 1, 1, 0);
    writePort(board, 0x3fc, 1, 0x0b, 0);
    expect(pending(board, 0)).toBe(false);
    expect(receive(board.uart, Uint8Array.of(104, 105))).toEqual(Uint8Array.of(105));
    expect(pending(board, 0)).toBe(true);
    expect(takeInterrupt(board)).toBe(36);
    expect(pending(board, 0)).toBe(false);
    expect(readPort(board, 0x3fd, 1, 0) & 1).toBe(1);
    expect(readPort(board, 0x3f8, 1, 0)).toBe(104);
    expect(readPort(board, 0x3fd, 1, 0) & 1).toBe(0);
  });

  it('ticks as often as the timer is set to, and keeps an interrupt back until the one before is ended', () => {
    const board = remapped();
    const reload = Math.floor(PIT_HZ / 20);
    writePort(board, 0x43, 1, 0x34, 1000);
    writePort(board, 0x40, 1, reload & 255, 1000);
    writePort(board, 0x40, 1, reload >> 8, 1000);
    const due = nextEvent(board)!;
    expect(due).toBe(1000 + Math.ceil((reload * 1e9) / PIT_HZ));
    expect([pending(board, due - 1), pending(board, due)]).toEqual([false, true]);
    expect(takeInterrupt(board)).toBe(32);
    const second = nextEvent(board)!;
    expect(pending(board, second)).toBe(false);
    writePort(board, 0x20, 1, 0x20, second);
    expect(pending(board, second)).toBe(true);
  });

  it.each([
    [0xf4, 0x10, { how: 'debug-exit', status: 33 }],
    [0x604, 0x2000, { how: 'power-off' }],
    [0x64, 0xfe, { how: 'reset' }],
    [0x80, 0x10, null],
  ])('port %i value %i', (port, value, ended) => {
    const board = createBoard({ debugExit: { port: 0xf4, size: 4 } });
    writePort(board, port, 2, value, 0);
    expect(board.ended).toEqual(ended);
  });

  it('answers all ones where nobody is', () => {
    expect(readPort(createBoard(), 0x1234, 4, 0)).toBe(0xffffffff);
  });
});

describe('exits', () => {
  it.each([[0x600048n, 30, 'in port 0x60, 1 byte'], [0x03f80000n, 30, 'out port 0x3f8, 1 byte'], [0x3n, 28, 'mov cr3, rax'], [0x713n, 28, 'mov rdi, cr3'],
    [0x182n, 48, 'write, entries allow ---, the page itself'], [0x81n, 48, "read, entries allow ---, a table of the guest's"]])('%s of reason %i reads as %s', (q, reason, words) => {
    expect(explainQualification(reason, q)).toBe(words);
  });

  it('knows the basic reasons and no reserved one', () => {
    expect(Object.keys(EXITS).length).toBe(71);
    for (const reserved of [35, 38, 42, 71, 75]) expect(exitRow(reserved)).toBeNull();
    expect([exitName(48), exitName(0x80000021), exitName(35)]).toEqual(['EPT_VIOLATION', 'INVALID_STATE', 'UNKNOWN(35)']);
  });
});

describe('VMCS', () => {
  it('gives every field an encoding of its own kind', () => {
    const group = { GUEST: 'guest', HOST: 'host' } as Record<string, string>;
    for (const [name, encoding] of FIELDS) {
      const wanted = name === 'GUEST_PHYSICAL_ADDRESS' || name === 'GUEST_LINEAR_ADDRESS' ? 'read-only' : group[name.split('_')[0]!];
      if (wanted) expect([name, fieldKind(encoding).group]).toEqual([name, wanted]);
    }
    expect(new Set(FIELDS.values()).size).toBe(FIELDS.size);
  });

  it.each([['EPT_POINTER', 0x201a], ['SECONDARY_PROCESSOR_CONTROLS', 0x401e], ['EXIT_REASON', 0x4402], ['GUEST_TR_ACCESS_RIGHTS', 0x4822], ['GUEST_SYSENTER_CS', 0x482a],
    ['EXIT_QUALIFICATION', 0x6400], ['GUEST_LINEAR_ADDRESS', 0x640a], ['GUEST_IDTR_BASE', 0x6818], ['GUEST_RIP', 0x681e], ['HOST_RIP', 0x6c16]])('%s is %i', (name, encoding) => {
    expect(FIELDS.get(name)).toBe(encoding);
  });
});
