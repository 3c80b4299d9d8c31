/**
 * VM entries in lockstep: one program makes a VMCS for every case, launches, and notes what came of it (VMfail and its number, or
 * the exit); it runs here and on bochs, and the notes are compared. Cases: those of the rules, and random changes of fields.
 */
import { FIELDS, fieldKind } from '../../../src/engine/hypervisor/vmcs.ts';
import * as m from '../../../src/engine/machine/machine.ts';
import { CODE, GUEST_BASE, module, PML4, segments } from '../../unit/cpu/bench.ts';
import { CONTROL, GUEST, HOST, LEGAL } from '../../unit/cpu/vmx-rule-cases.ts';
import { BASE, encoding, OTHER, prepared, proceed, REGION, type Values, VMXON } from '../../unit/cpu/vmx-code.ts';
import { boot, memoryAt, nasm, type Part } from './bochs.ts';

export interface EntryCase {
  what: string;
  values: Values;
}

const NOTES = 0x1100000;
const NOTE = 32;
const MEMORY = 0x2000000;
const STATE = 0x93000;

/** kind 1 VMfailInvalid, 2 VMfailValid, 3 exit; error or reason; qualification; RIP; interruption information. */
export interface Note {
  kind: number;
  number: number;
  qualification: bigint;
  rip: bigint;
  information: number;
  length: number;
}

const show = (n: Note): string =>
  n.kind === 3 ? `exit ${n.number.toString(16)} q ${n.qualification.toString(16)} rip ${n.rip.toString(16)} info ${n.information.toString(16)} length ${n.length}` : n.kind === 2 ? `error ${n.number}` : n.kind === 1 ? 'invalid' : 'nothing';

const quads = (values: Values): string => Object.entries(values).map(([name, value]) => `dd 0x${encoding(name).toString(16)}, 0\n dq ${typeof value === 'string' ? value : `0x${BigInt.asUintN(64, BigInt(value)).toString(16)}`}`).join('\n ');

const told = (c: EntryCase): string => `${c.what} ${JSON.stringify(c.values, (_, v) => (typeof v === 'bigint' ? `0x${v.toString(16)}` : v))}`;

function program(cases: readonly EntryCase[]): { bytes: Uint8Array; done: number } {
  const zero = Object.fromEntries([...new Set(cases.flatMap((c) => Object.keys(c.values)))].map((name) => [name, 0]));
  const base = { ...zero, ...BASE, HOST_RIP: 'host' as unknown as number };
  const source = `bits 64
org ${CODE}
  jmp start
done: jmp done
start:
  mov esp, 0x8f000
  mov rax, cr4\n bts rax, 13\n mov cr4, rax
  mov ecx, 0x480\n rdmsr\n and eax, 0x7fffffff
  mov [${VMXON}], eax\n mov [${REGION}], eax\n mov [${OTHER}], eax
  vmxon [rel vmxon_area]
  lea r12, [rel cases]
  mov r13d, ${cases.length}
  mov r14d, ${NOTES}
next:
  test r13d, r13d
  jz near done
  vmclear [rel region]
  vmptrld [rel region]
  lea rsi, [rel base]
  mov ecx, ${Object.keys(base).length}
  call fill
  mov ecx, [r12]
  lea rsi, [r12+8]
  call fill
  mov [${STATE}], rsi\n mov [${STATE + 8}], r13\n mov [${STATE + 16}], r14
  mov eax, 2\n invvpid rax, [rel nothing]\n mov eax, 2\n invept rax, [rel nothing]
  xor eax, eax\n xor ecx, ecx\n xor edx, edx\n xor ebx, ebx\n xor ebp, ebp\n xor esi, esi\n xor edi, edi
  vmlaunch
  jc .invalid
  mov dword [r14], 2
  mov edx, 0x4400
  vmread rax, rdx
  mov [r14+4], eax
  jmp after
.invalid:
  mov dword [r14], 1
  jmp after
host:
  mov r14, [${STATE + 16}]
  mov dword [r14], 3
  mov edx, 0x4402\n vmread rax, rdx\n mov [r14+4], eax
  mov edx, 0x6400\n vmread rax, rdx\n mov [r14+8], rax
  mov edx, 0x681e\n vmread rax, rdx\n mov [r14+16], rax
  mov edx, 0x4404\n vmread rax, rdx\n mov [r14+24], eax
  mov edx, 0x440c\n vmread rax, rdx\n mov [r14+28], eax
after:
  mov r12, [${STATE}]\n mov r13, [${STATE + 8}]\n mov r14, [${STATE + 16}]
  add r14, ${NOTE}
  dec r13d
  jmp next
fill:
  jecxz .end
.next:
  mov edx, [rsi]
  mov rax, [rsi+8]
  add rsi, 16
  vmwrite rdx, rax
  dec ecx
  jnz .next
.end:
  ret
vmxon_area: dq ${VMXON}
region: dq ${REGION}
nothing: dq 0, 0
base:
 ${quads(base)}
cases:
 ${cases.map((c) => `dd ${Object.keys(c.values).length}, 0\n ${quads(c.values)}`).join('\n ')}
`;
  return { bytes: nasm(source), done: CODE + (source.includes('jmp start') ? doneOffset(source) : 0) };
}

/** The first jump is near or short. */
const doneOffset = (source: string): number => (nasm(source)[0] === 0xeb ? 2 : 5);

function memoryParts(image: Uint8Array): Part[] {
  const { memory } = prepared('hlt').machine;
  const low = memory.slice(0, 0x20000);
  low.set(nasm(boot(PML4, 0x1000, 0x37)), 0x7c00);
  return [{ at: 0, bytes: low }, { at: CODE, bytes: image }, { at: GUEST_BASE, bytes: memory.slice(GUEST_BASE, GUEST_BASE + 0x10000) }, { at: GUEST_BASE + CODE, bytes: memory.slice(GUEST_BASE + CODE, GUEST_BASE + CODE + 0x1000) }];
}

function here(parts: readonly Part[], done: number, cases: readonly EntryCase[]): Uint8Array {
  const machine = m.createMachine(module, MEMORY);
  for (const { at: address, bytes: data } of parts) m.load(machine, address, data);
  for (const [name, value] of [['cr3', BigInt(PML4)], ['cr4', 0x20n], ['efer', 0x900n], ['cr0', 0x80000033n], ['rip', BigInt(CODE)], ['rsp', 0x70000n], ['rflags', 2n]] as const) m.setRegister(machine, name, value);
  for (const [name, value] of segments()) m.setSegment(machine, name, value);
  for (let n = 0; n < 4000 && m.register(machine, 'rip') !== BigInt(done); n++) {
    const stop = m.run(machine, 1_000_000n);
    if (stop.reason !== 'budget') throw new Error(`stopped: ${stop.reason} at ${m.register(machine, 'rip').toString(16)}, ${told(cases[(Number(machine.physical.getBigUint64(STATE + 16, true)) - NOTES) / NOTE]!)}`);
  }
  return machine.memory.slice(NOTES, NOTES + NOTE * cases.length);
}

const notes = (bytes: Uint8Array, count: number): Note[] => {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return Array.from({ length: count }, (_, n) => ({
    kind: view.getUint32(NOTE * n, true), number: view.getUint32(NOTE * n + 4, true), qualification: view.getBigUint64(NOTE * n + 8, true), rip: view.getBigUint64(NOTE * n + 16, true),
    information: view.getUint32(NOTE * n + 24, true), length: view.getUint32(NOTE * n + 28, true),
  }));
};

const ENTRY_FAILED = 0x80000000;
/** Exits that have a qualification, besides failed entries. */
const QUALIFIED = new Set([0, 14, 28, 29, 30, 48]);

/** What both must agree in. */
function same(a: Note, b: Note): boolean {
  if (a.kind !== b.kind || a.number !== b.number) return false;
  if (a.kind !== 3) return true;
  if (a.number >= ENTRY_FAILED) return a.qualification === b.qualification;
  if (QUALIFIED.has(a.number) && a.qualification !== b.qualification) return false;
  if (a.number === 0 && a.information !== b.information) return false;
  return a.number === 52 || a.rip === b.rip;
}

export interface Difference {
  what: string;
  here: string;
  bochs: string;
  /** Why both may be as they are, or null. */
  reason: string | null;
}

const MODEL = "bochs's processor has this feature";
const UNCHECKED = 'bochs does not check it, the manual does';
/** By the rule that the entry breaks here. */
const BY_RULE: Readonly<Record<number, string>> = {
  3: MODEL, 5: 'entry to SMM: a control of bochs, refused there as guest state outside SMM; reserved here', 26: 'IA32_VMX_MISC bit 30 of bochs: length 0 may be injected', 47: MODEL, 73: MODEL, 77: UNCHECKED, 130: UNCHECKED,
  133: 'virtual-8086 mode is not modelled here', 138: UNCHECKED, 145: UNCHECKED, 146: UNCHECKED, 147: UNCHECKED,
};

function reasonOf(values: Values, ours: Note, theirs: Note): string | null {
  const rule = proceed(prepared('hlt', values)).rule;
  if (BY_RULE[rule]) return BY_RULE[rule];
  const bits = (name: string): bigint => BigInt(values[name] ?? BASE[name] ?? 0);
  if (((bits('GUEST_CR4') | bits('HOST_CR4')) & 0x800n) !== 0n) return "bochs's processor has no UMIP";
  if ((bits('PRIMARY_PROCESSOR_CONTROLS') & 0x8000000n) !== 0n && theirs.number === 7) return "bochs's processor has no monitor trap flag";
  if (ours.number === 8 && theirs.number === 12) return 'bochs opens the NMI window later; the manual says before the first instruction';
  if ((bits('SECONDARY_PROCESSOR_CONTROLS') & 0x80n) !== 0n && (rule === 96 || (bits('GUEST_CS_SELECTOR') & 3n) !== 0n)) return 'bochs compares the DPL of CS with its RPL, the manual with the DPL of SS; an unrestricted guest tells them apart';
  if (ours.number === 48 && theirs.number === 48 && ours.qualification === (theirs.qualification | 1n)) return 'a walk of the guest under EPT accessed bits is a read and a write (SDM 3C table 28-7); bochs says write';
  if ((bits('GUEST_PENDING_DEBUG') & 0x5000n) !== 0n) return 'bochs does not deliver pending debug exceptions';
  return null;
}

export function compareEntries(cases: readonly EntryCase[]): Difference[] {
  const { bytes, done } = program(cases);
  // bochs takes no more of an image
  if (bytes.length > 0x20000) throw new Error(`${cases.length} cases are too many for one image`);
  const parts = memoryParts(bytes);
  const ours = notes(here(parts, done, cases), cases.length);
  const memory = memoryAt(parts, done, NOTES, NOTE * cases.length);
  if (!memory) throw new Error('bochs did not come to the end');
  const theirs = notes(memory, cases.length);
  return cases.flatMap((c, n) => (same(ours[n]!, theirs[n]!) ? [] : [{ reason: reasonOf(c.values, ours[n]!, theirs[n]!), what: told(c), here: show(ours[n]!), bochs: show(theirs[n]!) }]));
}

/** Cases of the rules that need nothing but fields, and whose feature bochs's processor lacks too. */
export function ruleCases(): EntryCase[] {
  const plain = [...CONTROL, ...HOST, ...GUEST].filter(([rule, , before]) => before === undefined && (rule < 30 || rule > 39));
  const all = [...plain.map(([rule, values]) => ({ what: `rule ${rule}`, values })), ...LEGAL.filter(([, , , before]) => before === undefined).map(([what, values]) => ({ what, values }))];
  // an injected monitor trap stops bochs: "unsupported event injection type 7"
  // the timer ends a guest that sleeps
  return all.map(({ what, values }) => ({ what, values: { PIN_BASED_CONTROLS: 0x56, GUEST_PREEMPTION_TIMER: 200, ...values } })).filter(({ values }) => (BigInt((values as Values).ENTRY_INTERRUPTION_INFO ?? 0) & 0x80000700n) !== 0x80000700n);
}

// ---- random cases

export function generator(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** Bits of controls that mean the same here and there. */
const FLIPS: Readonly<Record<string, number[]>> = {
  PIN_BASED_CONTROLS: [0, 1, 2, 3, 4, 5, 6, 8, 9, 31], PRIMARY_PROCESSOR_CONTROLS: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 19, 20, 22, 23, 24, 26, 27, 30],
  SECONDARY_PROCESSOR_CONTROLS: [2, 3, 5, 6, 7, 12], EXIT_CONTROLS: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22], ENTRY_CONTROLS: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15],
};
const LEFT = /^(HOST_RIP|HOST_RSP|HOST_CR3|HOST_GS|EPT_POINTER|GUEST_RIP|VMCS_LINK_POINTER|EXIT_MSR|ENTRY_MSR|IO_BITMAP|MSR_BITMAP|GUEST_PREEMPTION|GUEST_DR7|GUEST_IA32_DEBUGCTL|GUEST_SMBASE)/;

function candidates(): string[] {
  return [...FIELDS].filter(([name, code]) => {
    const { group } = fieldKind(code);
    return (group === 'guest' || group === 'host' || name in FLIPS || /^(ENTRY_|CR3_TARGET_COUNT|VPID|EXCEPTION_BITMAP|CR[04]_)/.test(name)) && !LEFT.test(name) && !/PERF_GLOBAL|INTERRUPT_STATUS|PML|POSTED|EPTP_INDEX/.test(name);
  }).map(([name]) => name);
}

/** One to three fields changed: a bit turned, or a value from the edges. */
export function randomCases(count: number, seed: number): EntryCase[] {
  const next = generator(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(next() * list.length)]!;
  const names = candidates();
  const out: EntryCase[] = [];
  while (out.length < count) {
    const values: Record<string, bigint> = { PIN_BASED_CONTROLS: 0x56n, GUEST_PREEMPTION_TIMER: 200n };
    for (let k = Math.floor(next() * 3); k >= 0; k--) {
      const name = next() < 0.25 ? pick(['GUEST_RFLAGS', 'GUEST_INTERRUPTIBILITY', 'GUEST_ACTIVITY', 'ENTRY_INTERRUPTION_INFO', 'GUEST_PENDING_DEBUG', 'GUEST_CR0', 'GUEST_CR4', 'ENTRY_CONTROLS', ...Object.keys(FLIPS)]) : pick(names);
      values[name] = changed(name, values[name] ?? BigInt(BASE[name] ?? 0), next, pick);
    }
    if ((values.GUEST_ACTIVITY ?? 0n) !== 0n && (values.PIN_BASED_CONTROLS! & 0x40n) === 0n) continue;
    // wait-for-SIPI never ends; the host's pages are the user's, SMEP and SMAP would stop it
    if (values.GUEST_ACTIVITY === 3n || ((values.HOST_CR4 ?? 0n) & 0x300000n) !== 0n) continue;
    out.push({ what: 'random', values });
  }
  return out;
}

function changed(name: string, old: bigint, next: () => number, pick: <T>(list: readonly T[]) => T): bigint {
  const width = { '16': 16, '32': 32, '64': 64, natural: 64 }[fieldKind(encoding(name)).width];
  if (FLIPS[name]) return old ^ (1n << BigInt(pick(FLIPS[name])));
  if (name === 'GUEST_ACTIVITY') return pick([0n, 1n, 2n, 4n]);
  if (name === 'ENTRY_INTERRUPTION_INFO') return 0x80000000n | BigInt(Math.floor(next() * 7) << 8) | BigInt(pick([0, 1, 2, 3, 6, 8, 10, 13, 14, 17, 18, 21, 31, 32, 0x40])) | (next() < 0.4 ? 0x800n : 0n) | (next() < 0.05 ? 0x1000n : 0n);
  if (name === 'ENTRY_INSTRUCTION_LENGTH') return pick([0n, 1n, 2n, 15n, 16n]);
  if (next() < 0.15) return BigInt.asUintN(width, pick([0n, -1n, 0xffffn, 0x10000n, 1n << 47n, 1n << 63n, 1n << 40n, 0xfffn, 1n << 32n, 0xffffffffn]));
  // rights, selectors and small registers live in their low bits
  const top = next() < 0.7 ? Math.min(width, /ACCESS_RIGHTS|CR0|CR4/.test(name) ? 18 : 32) : width;
  return old ^ (1n << BigInt(Math.floor(next() * top)));
}
