/**
 * The example of a hypervisor of one's own on a bare machine, and what the mistakes say that people make in it. The machine is
 * entered as the flat images are; its board is a serial line, a port 0x80 and the debug port.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import * as at from '../../../src/cpu/layout.ts';
import { assemble } from '../../../src/engine/machine/isa/assemble.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { imageOf } from '../../../src/engine/userland/virt/qemu/image.ts';
import { module } from './bench.ts';
import { changed, GOOD, lastWords, MISTAKES, SOURCE } from './own-vmx-mistakes.ts';

const MEMORY = 0x1000000;

interface Ran {
  text: string;
  /** Written to the debug port, or why the machine stopped. */
  end: number | string;
  machine: m.Machine;
}

function boot(source: string, options: m.MachineOptions = {}, prepare: (machine: m.Machine) => void = () => undefined): Ran {
  const { bytes, errors } = assemble(source, 'own-vmx.asm');
  if (errors.length > 0) throw new Error(errors[0]!.text);
  const machine = m.createMachine(module, MEMORY, options);
  const image = imageOf(bytes, '', MEMORY);
  for (const { gpa, data } of image.parts) m.load(machine, gpa, data);
  for (const [name, s] of Object.entries(image.sregs.segments)) m.setSegment(machine, name === 'ldt' ? 'ldtr' : (name as m.SegmentName), { ...s, base: BigInt(s.base) });
  for (const [name, t] of [['gdtr', image.sregs.gdt], ['idtr', image.sregs.idt]] as const) m.setSegment(machine, name, { selector: 0, base: BigInt(t.base), limit: t.limit, rights: 0 });
  for (const name of ['cr3', 'cr4', 'efer', 'cr0'] as const) m.setRegister(machine, name, image.sregs[name]);
  for (const [name, value] of Object.entries(image.regs)) m.setRegister(machine, name, value);
  prepare(machine);
  return run(machine);
}

function run(machine: m.Machine): Ran {
  let text = '';
  for (;;) {
    const stop = m.run(machine, 50_000_000n);
    if (stop.reason !== 'io') return { text, end: stop.reason, machine };
    const [port, , incoming, value] = stop.payload.map(Number) as [number, number, number, number];
    if (port === 0xf4) return { text, end: value, machine };
    if (port === 0x3f8 && incoming === 0) text += String.fromCharCode(value & 255);
    m.finishIo(machine, port === 0x3fd ? 0x60n : 0xffn);
  }
}

describe('a hypervisor of one\'s own', () => {
  it('launches its guest, answers its exits, and says so', () => {
    const ran = boot(SOURCE);
    expect(ran.text).toBe(GOOD);
    expect(ran.end).toBe(0);
    expect([m.slot(ran.machine, at.ENTRIES), m.slot(ran.machine, at.EXITS)]).toEqual([6n, 6n]);
    expect([ran.machine.state.getUint32(at.VMX, true), ran.machine.state.getUint32(at.VMX_OPERATION, true)]).toEqual([0, 0]);
  });

  it.each(MISTAKES.map((mistake) => [mistake.what, mistake] as const))('says what is wrong when %s', (_, mistake) => {
    const ran = boot(changed(mistake));
    expect(lastWords(ran.text)).toMatch(mistake.says);
    expect(ran.end).toBe(1);
  });

  it('says that there is none, or that firmware forbids it', () => {
    expect(boot(SOURCE, { vmx: 'hidden' }).text).toBe('vmx: this processor has none\n');
    expect(boot(SOURCE, { vmx: 'unlocked' }).text).toBe('vmx: not allowed by IA32_FEATURE_CONTROL\n');
  });

  it('is the same bytes by NASM', () => {
    if (spawnSync('which', ['nasm']).status !== 0) return;
    const folder = mkdtempSync(join(tmpdir(), 'own-vmx-'));
    writeFileSync(join(folder, 'own-vmx.asm'), SOURCE);
    execFileSync('nasm', ['-f', 'bin', '-o', join(folder, 'own-vmx.bin'), join(folder, 'own-vmx.asm')]);
    expect([...readFileSync(join(folder, 'own-vmx.bin'))]).toEqual([...assemble(SOURCE).bytes]);
    rmSync(folder, { recursive: true });
  });
});
