/**
 * A hypervisor in code for tests of entries and exits: a bare machine that turns VMX on and makes a VMCS current, then halts at
 * a port for the test to fill it, then launches. The guest is `source` under EPT, as bench.ts's, with the host's descriptors.
 */
import * as at from '../../../src/cpu/layout.ts';
import { FIELDS } from '../../../src/engine/hypervisor/vmcs.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { assembleOrThrow, bare, CODE, descriptors, eptTables, EPTP, finish, GUEST_BASE, PML4, type Program, segments, smallTables, TSS } from './bench.ts';

export const VMXON = 0x90000;
export const REGION = 0x91000;
export const OTHER = 0x92000;
export const REVISION = 0x4e42;
export const HOST_RSP = 0x9000n;

/** Fields by name to their values. */
export type Values = Readonly<Record<string, bigint | number>>;

export function encoding(name: string): number {
  const found = FIELDS.get(name);
  if (found === undefined) throw new Error(`no field ${name}`);
  return found;
}
export const read = (program: Program, name: string): bigint => m.vmread(program.machine, encoding(name));
export const write = (program: Program, name: string, value: bigint | number): void => m.vmwrite(program.machine, encoding(name), BigInt(value));

const LAUNCHER = `
  mov rax, cr4\n bts rax, 13\n mov cr4, rax
  vmxon [rel vmxon_area]\n vmclear [rel region]\n vmptrld [rel region]
  out 0x80, al
  vmlaunch
  pushfq\n pop rax\n hlt
again: vmresume
  pushfq\n pop rax\n hlt
host: inc r15\n nop\n hlt
vmxon_area: dq ${VMXON}
region: dq ${REGION}
`;

const CONTROLS: Values = {
  PIN_BASED_CONTROLS: 0x16, PRIMARY_PROCESSOR_CONTROLS: 0x84006172n | 0x01000080n, SECONDARY_PROCESSOR_CONTROLS: 0x22, EXIT_CONTROLS: 0x36dff | 0x300200, ENTRY_CONTROLS: 0x11ff | 0x8200, EPT_POINTER: EPTP,
  VPID: 1, VMCS_LINK_POINTER: -1n,
};
const HOST: Values = {
  HOST_CS_SELECTOR: 8, HOST_SS_SELECTOR: 0x10, HOST_DS_SELECTOR: 0x10, HOST_ES_SELECTOR: 0x10, HOST_TR_SELECTOR: 0x28, HOST_CR0: 0x80010033n, HOST_CR3: PML4, HOST_CR4: 0x20a0, HOST_IA32_EFER: 0xd01,
  HOST_TR_BASE: TSS, HOST_GDTR_BASE: 0x1000, HOST_IDTR_BASE: 0x800, HOST_RSP,
};
const GUEST: Values = { GUEST_CR0: 0x80010033n, GUEST_CR3: PML4, GUEST_CR4: 0x20a0, GUEST_IA32_EFER: 0xd01, GUEST_RSP: 0x8000, GUEST_RIP: CODE, GUEST_RFLAGS: 2, GUEST_DR7: 0x400, CR4_MASK: 0x2000 };

/** Everything that enters, but for HOST_RIP. */
export const BASE: Values = { ...CONTROLS, ...HOST, ...GUEST, ...segmentFields() };

function segmentFields(): Values {
  const out: Record<string, bigint | number> = {};
  for (const [name, s] of segments()) {
    const upper = name.toUpperCase();
    out[`GUEST_${upper}_LIMIT`] = s.limit;
    out[`GUEST_${upper}_BASE`] = s.base;
    if (name === 'gdtr' || name === 'idtr') continue;
    out[`GUEST_${upper}_SELECTOR`] = s.selector;
    out[`GUEST_${upper}_ACCESS_RIGHTS`] = s.rights;
  }
  return out;
}

/** Up to the port: VMX is on, REGION is current and filled with what enters; `values` changes that. */
export function prepared(source: string, values: Values = {}, options: m.MachineOptions = {}): Program {
  const program = bare(LAUNCHER, {}, options);
  const { machine } = program;
  for (const address of [VMXON, REGION, OTHER]) machine.physical.setUint32(address, REVISION, true);
  const { bytes, labels } = assembleOrThrow(source);
  m.load(machine, GUEST_BASE + CODE, bytes);
  eptTables(machine.physical);
  smallTables(machine.physical, GUEST_BASE);
  descriptors(machine.physical, labels, {}, GUEST_BASE);
  const stop = finish(program);
  if (stop.reason !== 'io') throw new Error(`stopped before the VMCS was current: ${stop.reason}`);
  m.finishIo(machine, 0n);
  for (const [name, value] of Object.entries({ ...BASE, HOST_RIP: program.labels.get('host')! })) write(program, name, value);
  for (const [name, value] of Object.entries(values)) write(program, name, value);
  return { machine, labels: program.labels };
}

export interface Outcome {
  /** Basic reason with bit 31, when the host was reached by an exit. */
  exit: number | null;
  /** VM-instruction error, 0 when no VMCS was current; null when there was no VMfail. */
  error: number | null;
  rule: number;
}

/** Goes on until the host halts. */
export function proceed(program: Program): Outcome {
  const before = m.register(program.machine, 'r15');
  const stop = finish(program);
  if (stop.reason !== 'halt') throw new Error(`stopped: ${stop.reason} ${stop.payload.join(' ')}`);
  const rule = program.machine.state.getUint32(at.BROKEN_RULE, true);
  if (m.register(program.machine, 'r15') !== before) return { exit: Number(read(program, 'EXIT_REASON')), error: null, rule };
  const flags = m.register(program.machine, 'rax');
  return { exit: null, error: (flags & 0x40n) !== 0n ? Number(read(program, 'VM_INSTRUCTION_ERROR')) : 0, rule };
}

/** VMRESUME after an exit, the guest's instruction skipped. */
export function resume(program: Program, skip = true): Outcome {
  if (skip) write(program, 'GUEST_RIP', read(program, 'GUEST_RIP') + read(program, 'EXIT_INSTRUCTION_LENGTH'));
  program.machine.state.setUint32(at.ACTIVITY, 0, true);
  m.setRegister(program.machine, 'rip', program.labels.get('again')!);
  return proceed(program);
}
