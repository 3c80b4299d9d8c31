/**
 * A physical machine: the processor of `cpu.wasm` and its host-physical memory, one WebAssembly instance each. Everything
 * that the processor knows lies in one linear memory at the places that `cpu/layout.ts` names, so reading a register,
 * a page walk or the TLB is a load and changing one is a store. Nothing here decides anything: `run` executes until the
 * processor stops and says why. A guest under VMX is a mode of the same processor: fill the VMCS, `enterGuest`, `run`.
 */
import * as at from '../../cpu/layout.ts';
import { COST_ROWS } from './isa/table.ts';

export type StopReason = 'budget' | 'exit' | 'halt' | 'io' | 'shutdown' | 'failed-entry' | 'trap' | 'device';

/** Why `run` came back. `payload` by reason as layout.ts says at PAYLOAD. */
export interface Stop {
  reason: StopReason;
  payload: readonly bigint[];
}

const REASONS: readonly StopReason[] = ['budget', 'exit', 'halt', 'io', 'shutdown', 'failed-entry', 'trap', 'device'];

interface Exports {
  memory: WebAssembly.Memory;
  reset(): void;
  run(cycles: bigint, instructions: bigint): number;
  enter(launch: number): number;
  leave(reason: number, qualification: bigint): void;
  dropCode(hpa: bigint, length: bigint): void;
  flushTlb(): void;
  flushEpt(eptp: bigint): void;
  flushVpid(vpid: number): void;
  invlpg(address: bigint): void;
  finishIo(value: bigint): void;
  setFlags(value: bigint): void;
  modeChanged(): void;
  rdmsr(index: number): number;
  cpuid(leaf: number, subleaf: number): void;
  wrmsr(index: number, value: bigint): number;
  probe(gva: bigint, access: number): bigint;
}

export interface Machine {
  cpu: Exports;
  /** All state of the processor; offsets in layout.ts. */
  state: DataView;
  /** Host-physical memory from address 0. After writing what may have been executed, call `codeWritten`. */
  memory: Uint8Array;
  physical: DataView;
  tape?: Tape | null;
}

/** Somebody keeps count of how far it has come, by instructions and by what a monitor did in their place, and may stop it or look on. */
export interface Tape {
  emulated: number;
  /** No instruction begins once so much progress is made. */
  fence: number | null;
  /** Asked after each instruction that did not stop the processor. */
  look: ((rip: bigint) => void) | null;
}

export interface MachineOptions {
  /** Entries of the TLB are sets times ways; default 16 by 4, a first-level TLB. At most 128 by 12. */
  tlb?: { sets: number; ways: number };
  /** Walks use paging-structure caches; otherwise, and by default, every walk reads every table. */
  walkCaches?: boolean;
  /** What code can do with VT-x: 'allowed' (default) as firmware leaves it, locked and enabled; 'unlocked': IA32_FEATURE_CONTROL is 0; 'hidden': there is none. */
  vmx?: 'allowed' | 'unlocked' | 'hidden';
}

const PAGE = 65536;

/** A machine after power-on: registers zero, long mode off, root operation. Throws when `hostBytes` is out of range. */
export function createMachine(module: WebAssembly.Module, hostBytes: number, options: MachineOptions = {}): Machine {
  if (hostBytes <= 0 || hostBytes > at.HOST_MAX || hostBytes % 4096 !== 0) throw new Error(`host memory of ${hostBytes} bytes: not modelled`);
  const cpu = new WebAssembly.Instance(module, {}).exports as unknown as Exports;
  const missing = at.HOST + hostBytes - cpu.memory.buffer.byteLength;
  if (missing > 0) cpu.memory.grow(Math.ceil(missing / PAGE));
  const machine: Machine = {
    cpu, state: new DataView(cpu.memory.buffer),
    memory: new Uint8Array(cpu.memory.buffer, at.HOST, hostBytes), physical: new DataView(cpu.memory.buffer, at.HOST, hostBytes),
  };
  machine.state.setBigUint64(at.MEMORY_BYTES, BigInt(hostBytes), true);
  machine.state.setUint32(at.TLB_SETS, options.tlb?.sets ?? 16, true);
  machine.state.setUint32(at.TLB_WAYS, options.tlb?.ways ?? 4, true);
  machine.state.setUint32(at.WALK_CACHES, options.walkCaches ? 1 : 0, true);
  machine.state.setUint32(at.VMX_HIDDEN, options.vmx === 'hidden' ? 1 : 0, true);
  cpu.reset();
  if (options.vmx === 'unlocked') setSlot(machine, at.FEATURE_CONTROL, 0n);
  return machine;
}

export const slot = (m: Machine, offset: number): bigint => m.state.getBigUint64(offset, true);
export const setSlot = (m: Machine, offset: number, value: bigint): void => m.state.setBigUint64(offset, value, true);
const word = (m: Machine, offset: number): number => m.state.getUint32(offset, true);

// ---- running

/**
 * Runs until `cycles` or `instructions` more are spent, or the processor stops for another reason. Exact: with
 * `instructions` 1 one instruction (or the delivery of one event) happens and nothing else. In a guest, 'budget' leaves
 * the guest loaded: call `run` again, or `leaveGuest` to have the VMCS saved as an exit does.
 */
export function run(m: Machine, cycles: bigint, instructions = ENDLESS): Stop {
  return m.tape?.look || (m.tape && m.tape.fence !== null) ? underTape(m, m.tape, cycles, instructions) : runFreely(m, cycles, instructions);
}

const ENDLESS = 0x7fffffffffffffffn;

/** How far the machine has come; only of use while somebody keeps count. */
export const progress = (m: Machine): number => Number(slot(m, at.INSTRUCTIONS)) + (m.tape?.emulated ?? 0);

function underTape(m: Machine, tape: Tape, cycles: bigint, instructions: bigint): Stop {
  const end = slot(m, at.CYCLES) + cycles;
  const last = instructions < 1_000_000_000_000n ? progress(m) + Number(instructions) : Number.POSITIVE_INFINITY;
  const stopAt = Math.min(last, tape.fence ?? Number.POSITIVE_INFINITY);
  for (;;) {
    const left = stopAt - progress(m);
    if (left <= 0) return { reason: 'budget', payload: [] };
    const stop = runFreely(m, end - slot(m, at.CYCLES), tape.look || instructions === 1n ? 1n : Number.isFinite(left) ? BigInt(left) : ENDLESS);
    if (stop.reason !== 'budget') return stop;
    tape.look?.(slot(m, at.RIP));
    if (instructions === 1n || slot(m, at.CYCLES) >= end) return stop;
  }
}

function runFreely(m: Machine, cycles: bigint, instructions: bigint): Stop {
  const reason = REASONS[m.cpu.run(cycles, instructions)] ?? 'failed-entry';
  return { reason, payload: payload(m) };
}

function payload(m: Machine): bigint[] {
  const out: bigint[] = [];
  for (let n = 0; n < 4; n++) out.push(slot(m, at.PAYLOAD + 8 * n));
  return out;
}

/** VMLAUNCH or VMRESUME by the launch state. Null: the guest is loaded, now `run`. Otherwise VMfail or exit 0x80000021. */
export function enterGuest(m: Machine): Stop | null {
  const reason = m.cpu.enter(word(m, at.LAUNCHED));
  return reason < 0 ? null : { reason: REASONS[reason] ?? 'failed-entry', payload: payload(m) };
}

/** Takes the guest out with an exit of the hypervisor's own making (1: the host's timer interrupt) and saves its state. */
export const leaveGuest = (m: Machine, reason: number, qualification = 0n): void => m.cpu.leave(reason, qualification);
export const inGuest = (m: Machine): boolean => word(m, at.VMX) === 1;

/** VMCLEAR and a new VMCS: every field zero, launch state clear. */
export function clearVmcs(m: Machine): void {
  new Uint8Array(m.cpu.memory.buffer, at.VMCS, at.VMCS_SIZE).fill(0);
  m.state.setUint32(at.LAUNCHED, 0, true);
}

/** Root operation: gives the value that an IN waits for (0 for an OUT) after STOP_IO. */
export const finishIo = (m: Machine, value: bigint): void => m.cpu.finishIo(value);

/**
 * Raises the external interrupt line with a vector, or lowers it (null). A guest with external-interrupt exiting leaves
 * with exit 1; otherwise it is taken when RFLAGS.IF allows, and then the line is low again (`interruptLine` is null). 'asks': there is
 * an interrupt and its vector is not known yet; the run ends ('budget') when it could be taken.
 */
export function setInterruptLine(m: Machine, vector: number | null | 'asks'): void {
  m.state.setUint32(at.LINE, vector === null ? 0 : vector === 'asks' ? at.LINE_ASKS : 0x100 | vector, true);
}
/** A vector is on the line and the processor has not taken it yet. */
export const interruptTaken = (m: Machine): boolean => (word(m, at.LINE) & 0x100) !== 0;
export function interruptLine(m: Machine): number | null {
  const line = word(m, at.LINE);
  return line === 0 || line === at.LINE_ASKS ? null : line & 255;
}
/** From now on the host's handlers stand behind every vector and behind SYSCALL in root operation: the run stops with 'trap'. */
export const setTraps = (m: Machine, on: boolean): void => m.state.setUint32(at.TRAPS, on ? 1 : 0, true);
export const raiseNmi = (m: Machine): void => m.state.setUint32(at.NMI_LINE, 1, true);

// ---- what the host must say after it changed memory by itself

/** Instructions decoded from these bytes are dropped. */
export const codeWritten = (m: Machine, hpa: number, length: number): void => m.cpu.dropCode(BigInt(hpa), BigInt(length));
/** INVEPT: single context, or all without an EPTP. */
export const invept = (m: Machine, eptp: bigint | null): void => (eptp === null ? m.cpu.flushTlb() : m.cpu.flushEpt(eptp));
/** INVLPG of the state that is loaded. */
export const invlpg = (m: Machine, address: bigint): void => m.cpu.invlpg(BigInt.asUintN(64, address));
/** INVVPID single context, or all. */
export const invvpid = (m: Machine, vpid: number | null): void => (vpid === null ? m.cpu.flushTlb() : m.cpu.flushVpid(vpid));

/** Copies an image into host-physical memory. */
export function load(m: Machine, hpa: number, bytes: Uint8Array): void {
  m.memory.set(bytes, hpa);
  codeWritten(m, hpa, bytes.length);
}

// ---- registers

export const REGISTER_NAMES = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi', 'r8', 'r9', 'r10', 'r11', 'r12', 'r13', 'r14', 'r15'] as const;
export const CONTROL_OFFSETS: Readonly<Record<string, number>> = {
  rip: at.RIP, rflags: at.RFLAGS, cr0: at.CR0, cr2: at.CR2, cr3: at.CR3, cr4: at.CR4, cr8: at.CR8, efer: at.EFER,
  dr0: at.DR0, dr1: at.DR0 + 8, dr2: at.DR0 + 16, dr3: at.DR0 + 24, dr6: at.DR6, dr7: at.DR7,
};
const offsetOf = (name: string): number => {
  const n = (REGISTER_NAMES as readonly string[]).indexOf(name);
  const offset = n >= 0 ? at.GPR + 8 * n : CONTROL_OFFSETS[name];
  if (offset === undefined) throw new Error(`no register ${name}`);
  return offset;
};

/** rax..r15, rip, rflags, cr0..cr8, efer, dr0..dr7. */
export const register = (m: Machine, name: string): bigint => slot(m, offsetOf(name));
export const general = (m: Machine, n: number): bigint => slot(m, at.GPR + 8 * n);
export const setGeneral = (m: Machine, n: number, value: bigint): void => setSlot(m, at.GPR + 8 * n, BigInt.asUintN(64, value));
/** The low `size` bytes of a general register; 4 clear the upper half, as an instruction's result does. */
export function setGeneralPart(m: Machine, n: number, size: number, value: bigint): void {
  const given = BigInt.asUintN(8 * size, value);
  setGeneral(m, n, size >= 4 ? given : (general(m, n) & ~((1n << BigInt(8 * size)) - 1n)) | given);
}

/** The time-stamp counter reads `value` now, and goes on with the cycles. */
export const setTimeStamp = (m: Machine, value: bigint): void => setSlot(m, at.TSC_BASE, BigInt.asUintN(64, value - slot(m, at.CYCLES)));

/** No checks: what a debugger or a reset writes. Translations and mode follow. */
export function setRegister(m: Machine, name: string, value: bigint): void {
  const masked = BigInt.asUintN(64, value);
  if (name === 'rflags') m.cpu.setFlags(masked);
  else setSlot(m, offsetOf(name), masked);
  if (/^cr[034]$|^efer$/.test(name)) m.cpu.modeChanged();
}

export interface Segment {
  selector: number;
  base: bigint;
  limit: number;
  /** VMCS format: 3:0 type, 4 S, 6:5 DPL, 7 P, 12 AVL, 13 L, 14 D, 15 G, 16 unusable. */
  rights: number;
}
export const SEGMENT_NAMES = ['es', 'cs', 'ss', 'ds', 'fs', 'gs', 'ldtr', 'tr', 'gdtr', 'idtr'] as const;
export type SegmentName = (typeof SEGMENT_NAMES)[number];
const segmentAt = (name: SegmentName): number => at.SEGMENTS + SEGMENT_NAMES.indexOf(name) * at.SEGMENT_SIZE;

export function segment(m: Machine, name: SegmentName): Segment {
  const p = segmentAt(name);
  return { selector: word(m, p + at.SEGMENT_SELECTOR), base: slot(m, p), limit: word(m, p + at.SEGMENT_LIMIT), rights: word(m, p + at.SEGMENT_RIGHTS) };
}

export function setSegment(m: Machine, name: SegmentName, value: Segment): void {
  const p = segmentAt(name);
  setSlot(m, p, value.base);
  m.state.setUint32(p + at.SEGMENT_LIMIT, value.limit, true);
  m.state.setUint32(p + at.SEGMENT_RIGHTS, value.rights, true);
  m.state.setUint32(p + at.SEGMENT_SELECTOR, value.selector, true);
  m.cpu.modeChanged();
}

/** Null: the processor has no such MSR (#GP in a guest). Works on the state that is loaded, with the processor's own checks. */
export function readMsr(m: Machine, index: number): bigint | null {
  return m.cpu.rdmsr(index) === 0 ? slot(m, at.PAYLOAD + 56) : null;
}
/** False: #GP. */
export const writeMsr = (m: Machine, index: number, value: bigint): boolean => m.cpu.wrmsr(index, BigInt.asUintN(64, value)) === 0;

/** What CPUID answers without a hypervisor. */
export function cpuid(m: Machine, leaf: number, subleaf: number): { eax: number; ebx: number; ecx: number; edx: number } {
  m.cpu.cpuid(leaf, subleaf);
  const [eax, ebx, ecx, edx] = payload(m).map(Number) as [number, number, number, number];
  return { eax, ebx, ecx, edx };
}

export const cycles = (m: Machine): bigint => slot(m, at.CYCLES);
export const addCycles = (m: Machine, n: bigint): void => setSlot(m, at.CYCLES, slot(m, at.CYCLES) + n);
export const instructions = (m: Machine): bigint => slot(m, at.INSTRUCTIONS);
export const privilege = (m: Machine): number => word(m, at.CPL);
/** Traces every instruction into the ring; off costs nothing. */
export const setTracing = (m: Machine, on: boolean): void => m.state.setUint32(at.TRACE_ON, on ? 1 : 0, true);

/** Cycles of what is no instruction: delivery of an event, a page walk besides its references, one reference of a walk. */
export interface EventCosts {
  event?: number;
  walk?: number;
  reference?: number;
  /** MOV to a control register, beside its row. */
  control?: number;
}

const COST_LIMIT = 32_767;
const EVENT_COSTS = [['event', at.COST_EVENT], ['walk', at.COST_WALK], ['reference', at.COST_REFERENCE], ['control', at.COST_CONTROL]] as const;

/**
 * What instructions and events cost from now on, in cycles (0 to 32,767); what is not named keeps its cost. A mnemonic is the
 * instruction table's and stands for all its encodings. A reset brings back the table's own. Throws for a mnemonic that the
 * processor has not, or a cost out of range, before anything is changed.
 */
export function setCosts(m: Machine, instructions: Readonly<Record<string, number>>, events: EventCosts = {}): void {
  const wanted: [offset: number, cost: number, wide: boolean][] = [];
  for (const [mnemonic, cost] of Object.entries(instructions)) {
    const before = wanted.length;
    COST_ROWS.forEach((row, n) => {
      if (row.mnemonic === mnemonic) wanted.push([at.COSTS + 2 * n, cost, false]);
    });
    if (wanted.length === before) throw new Error(`costs: no instruction ${mnemonic}`);
  }
  for (const [name, offset] of EVENT_COSTS) if (events[name] !== undefined) wanted.push([offset, events[name], true]);
  for (const [, cost] of wanted) if (!Number.isInteger(cost) || cost < 0 || cost > COST_LIMIT) throw new Error(`costs: ${cost} cycles: not 0 to ${COST_LIMIT}`);
  for (const [offset, cost, wide] of wanted) {
    if (wide) m.state.setUint32(offset, cost, true);
    else m.state.setUint16(offset, cost, true);
  }
  // blocks carry the costs that they were decoded with
  codeWritten(m, 0, m.memory.length);
}

/** The costs in force: by mnemonic (of several rows the first), and of events. */
export function costs(m: Machine): { instructions: Record<string, number>; events: Required<EventCosts> } {
  const instructions: Record<string, number> = {};
  COST_ROWS.forEach((row, n) => {
    instructions[row.mnemonic] ??= m.state.getUint16(at.COSTS + 2 * n, true);
  });
  return { instructions, events: { event: word(m, at.COST_EVENT), walk: word(m, at.COST_WALK), reference: word(m, at.COST_REFERENCE), control: word(m, at.COST_CONTROL) } };
}

/** Host-physical address that the loaded state translates a linear address to, without faults, A/D or TLB; null: none. */
export function translate(m: Machine, gva: bigint): bigint | null {
  const hpa = m.cpu.probe(BigInt.asUintN(64, gva), 0);
  return hpa === 0xffffffffffffffffn || hpa === -1n ? null : BigInt.asUintN(64, hpa);
}

// ---- the VMCS, by real encodings

const fieldSlot = (encoding: number): number => at.VMCS + ((((encoding >> 13) & 3) << 8) | (((encoding >> 10) & 3) << 6) | ((encoding >> 1) & 63)) * 8;
const WIDTH_BITS = [16, 64, 32, 64] as const;

export const vmread = (m: Machine, encoding: number): bigint => slot(m, fieldSlot(encoding));
export function vmwrite(m: Machine, encoding: number, value: bigint): void {
  setSlot(m, fieldSlot(encoding), BigInt.asUintN(WIDTH_BITS[(encoding >> 13) & 3]!, value));
}

// ---- the ring of walks and the TLB, for pictures

export interface Reference {
  table: 'guest' | 'ept';
  /** 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE. */
  level: number;
  /** Translation it belongs to: 0..3 the guest's tables from the top, 4 the page. */
  row: number;
  leaf: boolean;
  index: number;
  cycles: number;
  gpa: bigint;
  hpa: bigint;
  entry: bigint;
  after: bigint;
}

export interface Walk {
  number: bigint;
  gva: bigint;
  gpa: bigint;
  hpa: bigint;
  rip: bigint;
  cr3: bigint;
  eptp: bigint;
  at: bigint;
  cycles: number;
  access: 'read' | 'write' | 'fetch';
  result: 'ok' | 'page-fault' | 'violation' | 'misconfiguration';
  privilege: number;
  /** Page-fault error code or qualification of an EPT violation. */
  error: bigint;
  guestShift: number;
  hostShift: number;
  vpid: number;
  pcid: number;
  references: Reference[];
}

const ACCESSES = ['read', 'write', 'fetch'] as const;
const RESULTS = ['ok', 'page-fault', 'violation', 'misconfiguration'] as const;

/** The walk `back` walks ago (0: the newest), or null when the ring no longer holds it. */
export function walk(m: Machine, back = 0): Walk | null {
  const total = slot(m, at.WALKS);
  if (back >= at.WALK_COUNT || BigInt(back) >= total) return null;
  const p = at.WALK_RING + Number((total - 1n - BigInt(back)) % BigInt(at.WALK_COUNT)) * at.WALK_SIZE;
  const byte = (offset: number): number => m.state.getUint8(p + offset);
  const references: Reference[] = [];
  for (let n = 0; n < byte(at.WALK_REFERENCES); n++) references.push(reference(m, p + at.REFERENCE + n * at.REFERENCE_SIZE));
  return {
    number: slot(m, p + at.WALK_NUMBER), gva: slot(m, p + at.WALK_GVA), gpa: slot(m, p + at.WALK_GPA), hpa: slot(m, p + at.WALK_HPA),
    rip: slot(m, p + at.WALK_RIP), cr3: slot(m, p + at.WALK_CR3), eptp: slot(m, p + at.WALK_EPTP), at: slot(m, p + at.WALK_AT),
    cycles: word(m, p + at.WALK_COST), access: ACCESSES[byte(at.WALK_ACCESS)]!, result: RESULTS[byte(at.WALK_RESULT)]!,
    privilege: byte(at.WALK_RING_LEVEL), error: slot(m, p + at.WALK_ERROR), guestShift: byte(at.WALK_GUEST_SHIFT), hostShift: byte(at.WALK_HOST_SHIFT),
    vpid: m.state.getUint16(p + at.WALK_VPID, true), pcid: m.state.getUint16(p + at.WALK_PCID, true), references,
  };
}

function reference(m: Machine, p: number): Reference {
  return {
    table: m.state.getUint8(p + at.REFERENCE_TABLE) === 1 ? 'ept' : 'guest', level: m.state.getUint8(p + at.REFERENCE_LEVEL),
    row: m.state.getUint8(p + at.REFERENCE_ROW), leaf: m.state.getUint8(p + at.REFERENCE_LEAF) === 1,
    index: m.state.getUint16(p + at.REFERENCE_INDEX, true), cycles: m.state.getUint16(p + at.REFERENCE_CYCLES, true),
    gpa: slot(m, p + at.REFERENCE_GPA), hpa: slot(m, p + at.REFERENCE_HPA), entry: slot(m, p + at.REFERENCE_ENTRY), after: slot(m, p + at.REFERENCE_AFTER),
  };
}

/** Bits of `TlbEntry.rights`. */
export const { RIGHT_WRITE, RIGHT_USER, RIGHT_EXECUTE, RIGHT_GLOBAL, RIGHT_EPT_WRITE, RIGHT_EPT_EXECUTE } = at;

export interface TlbEntry {
  linear: bigint;
  host: bigint;
  guest: bigint;
  shift: number;
  rights: number;
  vpid: number;
  pcid: number;
  ept: bigint;
}

/** Valid entries, by set and way. */
export function tlbEntries(m: Machine): TlbEntry[] {
  const out: TlbEntry[] = [];
  for (let n = 0; n < word(m, at.TLB_SETS) * word(m, at.TLB_WAYS); n++) {
    const p = at.TLB + n * at.TLB_ENTRY_SIZE;
    const linear = slot(m, p + at.TLB_LINEAR);
    if ((linear & 1n) === 0n) continue;
    const tag = word(m, p + at.TLB_TAG);
    out.push({
      linear: linear - 1n, host: slot(m, p + at.TLB_HOST), guest: slot(m, p + at.TLB_GUEST), shift: m.state.getUint8(p + at.TLB_SHIFT),
      rights: m.state.getUint8(p + at.TLB_RIGHTS), vpid: tag >>> 16, pcid: tag & 0xffff, ept: slot(m, p + at.TLB_EPT),
    });
  }
  return out;
}

/** Paging-structure caches on or off from now on; they and the TLB are empty then. */
export function setWalkCaches(m: Machine, on: boolean): void {
  m.state.setUint32(at.WALK_CACHES, on ? 1 : 0, true);
  m.cpu.flushTlb();
}

export interface WalkCacheEntry {
  /** Entry whose place it takes in a walk; those with ept translate guest-physical addresses. */
  kind: 'PML4E' | 'PDPTE' | 'PDE' | 'EPT PML4E' | 'EPT PDPTE' | 'EPT PDE';
  /** First address that it covers. */
  address: bigint;
  /** Next table, as the entry says, and where the host has it. */
  table: bigint;
  host: bigint;
  rights: number;
  vpid: number;
  pcid: number;
  ept: bigint;
}

const CACHES = [['PML4E', at.CACHE_PML4E, at.CACHE_PML4E_COUNT], ['PDPTE', at.CACHE_PDPTE, at.CACHE_PDPTE_COUNT], ['PDE', at.CACHE_PDE, at.CACHE_PDE_COUNT]] as const;

/** Valid entries of the paging-structure caches, by kind and place. */
export function walkCaches(m: Machine): WalkCacheEntry[] {
  const out: WalkCacheEntry[] = [];
  for (const ept of [false, true]) {
    for (const [name, first, count] of CACHES) {
      for (let n = 0; n < count; n++) {
        const p = first + (ept ? at.CACHE_EPT_OFFSET : 0) + n * at.CACHE_ENTRY_SIZE;
        const key = slot(m, p + at.CACHE_KEY);
        if ((key & 1n) === 0n) continue;
        const tag = word(m, p + at.CACHE_TAG);
        out.push({
          kind: ept ? `EPT ${name}` : name, address: key - 1n, table: slot(m, p + at.CACHE_TABLE), host: slot(m, p + at.CACHE_HOST), rights: word(m, p + at.CACHE_RIGHTS), vpid: tag >>> 16,
          pcid: tag & 0xffff, ept: slot(m, p + at.CACHE_EPT),
        });
      }
    }
  }
  return out;
}
