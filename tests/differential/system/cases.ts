/**
 * Random cases of the 32-bit worlds, each a few instructions round one thing: a descriptor, a gate, a page-table entry, a control
 * register, a flag. A case never makes the stack of ring 0 bad by its own success, so that its end is always reached.
 */
import type { Random } from './random.ts';
import { DIRECTORY, DONE, descriptor, FRAMES, GDT, gate, IDT, LDT, SELECTOR, STACKS, TSS, VECTOR, WINDOW, type World } from './world.ts';

export interface Case {
  family: string;
  /** In ring 0, before. */
  setup: string[];
  ring: number;
  flags: number;
  body: string[];
  /** In ring 0, after the handler. */
  after: string[];
}

export const hex = (n: number | bigint): string => `0x${BigInt.asUintN(64, BigInt(n)).toString(16)}`;
export const dword = (at: number, value: number | bigint): string => `mov dword [${hex(at)}], ${hex(BigInt.asUintN(32, BigInt(value)))}`;
export const qword = (at: number, value: bigint): string[] => [dword(at, value & 0xffffffffn), dword(at + 4, value >> 32n)];

/** Where a case may keep a descriptor: selector without RPL, and address. */
function slot(r: Random): { selector: number; at: number } {
  if (r.once(3)) {
    const n = r.below(8);
    return { selector: n * 8 + 4, at: LDT + 8 * n };
  }
  const selector = r.pick(SELECTOR.slots);
  return { selector, at: GDT + selector };
}

/** A selector that names the descriptor, or sometimes nothing good. */
function selectorFor(r: Random, selector: number, rpl: number): number {
  if (r.once(24)) return r.pick([0, 1, 3, 0xfff8, 0xc0, 0x44, 0x48, 0x50, 0x4c]) | (r.once(2) ? rpl : 0);
  return selector | rpl;
}

const LIMITS = [0, 1, 0xfff, 0x1000, 0xffff, 0xfffff] as const;
/** Type, DPL, present, and size bits at random, with what is useful more often. `system`: may be no segment. */
export function rights(r: Random, dpl: number, system: number): number {
  const kind = r.once(system) ? r.below(16) : 0x10 | (r.once(2) ? 2 | (r.once(4) ? 4 : 0) : r.below(16));
  return kind | ((r.once(5) ? r.below(4) : dpl) << 5) | (r.once(12) ? 0 : 0x80) | (r.once(4) ? 0 : 0x4000) | (r.once(3) ? 0x8000 : 0) | (r.once(6) ? 0x1000 : 0);
}

const REGISTER = ['eax', 'ecx', 'edx', 'ebx', 'esi', 'edi'] as const;
const DATA = ['ds', 'es', 'fs', 'gs'] as const;

function loads(r: Random, ring: number, segment: string, selector: number, w: World): string[] {
  const scratch = w.alias + 0xb800;
  switch (r.below(5)) {
    case 0: return [`push dword ${hex(selector)}`, `pop ${segment}`];
    case 1: return [`mov dword [${hex(scratch)}], 0x12345678`, `mov word [${hex(scratch + 4)}], ${hex(selector)}`, `l${segment} ${r.pick(REGISTER)}, [${hex(scratch)}]`];
    case 2: return [`mov word [${hex(scratch)}], ${hex(selector)}`, `mov ${segment}, [${hex(scratch)}]`];
    default: return [`mov eax, ${hex(selector)}`, `mov ${segment}, ${r.pick(['eax', 'ax'])}`];
  }
}

export const SIZES = ['byte', 'word', 'dword'] as const;
/** One access through a segment near where its limit may be. */
function access(r: Random, segment: string, base: number, limit: number): string[] {
  const edge = (limit - 4 + r.below(8)) >>> 0;
  const inside = r.below(0x800);
  const offset = r.once(3) ? inside : edge > 0x9000 ? (r.once(2) ? 0xfffe + r.below(4) : inside) : edge;
  if (((base + offset) >>> 0) > 0x1ffff0 && r.below(4) > 0) return [];
  const size = r.pick(SIZES);
  const target = `${size} [${segment}:${hex(offset)}]`;
  switch (r.below(5)) {
    case 0: return [`mov ${{ byte: 'al', word: 'ax', dword: 'eax' }[size]}, [${segment}:${hex(offset)}]`];
    case 1: return [`add ${target}, 1`];
    case 2: return [`mov ebx, ${hex(offset)}`, `${segment} lodsd`.replace('lodsd', 'nop'), `cmp ${target}, 0`];
    case 3: return [`mov esi, ${hex(offset)}`, `mov ecx, ${1 + r.below(4)}`, `${segment === 'ds' ? '' : segment} rep lodsb`.trim()];
    default: return [`mov ${target}, 0x5a`];
  }
}

/** A descriptor is loaded into a data segment register or the stack's, and used. */
function segmentLoad(r: Random, w: World): Case {
  const ring = r.below(4);
  const place = slot(r);
  const limit = r.pick(LIMITS);
  const base = r.pick([0xb000, 0xb000, 0xb7f8, 0]);
  const kind = rights(r, ring, 8);
  const effective = (kind & 0x8000) !== 0 ? ((limit << 12) | 0xfff) >>> 0 : limit;
  const stack = r.once(3) && ring > 0;
  const segment = stack ? 'ss' : r.pick(DATA);
  const selector = selectorFor(r, place.selector, r.once(5) ? r.below(4) : ring);
  const user = w.alias !== 0 && ring === 3 ? 0x800000 : 0;
  const body = loads(r, ring, segment, selector, w);
  if (stack) {
    // an access over the top of 4 GiB may fault or not, by the manual (SDM 3A 5.3)
    body.push(`mov esp, ${hex(r.once(2) && effective < 0x90000 ? effective + 1 - 4 + r.below(8) : 0x100 + r.below(0x700))}`);
    body.push(r.pick(['push eax', 'pop eax', 'push word 7', 'pushad', 'call $+5', 'pushfd', 'mov eax, [esp]', 'mov ebp, esp\n mov [ebp+2], ax', 'enter 8, 0', 'enter 0, 1', 'leave']));
  } else body.push(...access(r, segment, base, effective), ...(r.once(2) ? access(r, segment, base, effective) : []));
  return { family: 'segment', setup: qword(place.at, descriptor((base + user) >>> 0, limit, kind)), ring, flags: 2, body, after: qword2(place.at) };
}
/** What the descriptor became: the accessed or busy bit. */
export const qword2 = (at: number): string[] => [`mov eax, [${hex(at)}]`, `mov edx, [${hex(at + 4)}]`];

function rightsQueries(r: Random): Case {
  const ring = r.below(4);
  const place = slot(r);
  const selector = selectorFor(r, place.selector, r.below(4));
  const body = [`mov eax, ${hex(selector)}`, 'mov ecx, 0x55555555'];
  for (let n = 0; n < 3; n++) body.push(r.pick(['lar ecx, eax', 'lsl edx, eax', 'lar cx, ax', 'lsl dx, ax', 'verr ax', 'verw ax', `mov ebx, ${r.below(4)}\n arpl ax, bx`]));
  return { family: 'query', setup: qword(place.at, descriptor(0x1000, r.pick(LIMITS), rights(r, r.below(4), 2))), ring, flags: 2, body, after: [] };
}

/** The system types that a far transfer may meet: no task switches. */
const GATES = [0, 2, 4, 6, 7, 8, 10, 12, 12, 12, 4, 13, 14, 15] as const;

function farTransfer(r: Random, w: World): Case {
  const ring = r.below(4);
  const target = slot(r);
  const low = r.once(3);
  const codeDpl = r.below(4) <= 1 ? r.below(4) : ring;
  const kind = 0x10 | (r.once(12) ? r.below(16) : 8 | r.below(8)) | (codeDpl << 5) | (r.once(12) ? 0 : 0x80) | (low ? 0 : 0x4000) | 0x8000;
  const way = r.below(4);
  const limit = r.once(6) && way > 1 ? r.pick([0, 0xb, 0xfffff]) : 0xfffff;
  const user = ring === 3 || codeDpl === 3 || (kind & 4) !== 0;
  // pads lie below 64 KiB, so that 16-bit code reaches them
  const offset = (user && ring === 3 && (kind & 4) !== 0) || codeDpl === 3 ? 0xbf00 : 0xbf00;
  const base = w.alias !== 0 && (codeDpl === 3 || (ring === 3 && (kind & 4) !== 0)) ? 0x800000 : 0;
  const setup = [...qword(target.at, descriptor(base, limit, kind)), dword(0xbf00, 0xffcd9090)];
  const code = selectorFor(r, target.selector, r.once(4) ? r.below(4) : ring);
  const body: string[] = [];
  if (way < 2) {
    const place = slot(r);
    const dpl = r.once(4) ? r.below(4) : 3;
    if (place.at !== target.at) setup.push(...qword(place.at, gate(code, r.once(10) ? 0x20ff00 : offset, r.pick(GATES) | (dpl << 5) | (r.once(12) ? 0 : 0x80), r.once(2) ? r.below(32) : 0)));
    if (place.selector !== SELECTOR.slots[7] && target.selector !== SELECTOR.slots[7]) setup.push(...innerStack(r, codeDpl));
    body.push(`${r.pick(['call', 'call', 'call', 'jmp'])} ${r.once(4) ? 'word ' : ''}${hex(selectorFor(r, place.selector, r.once(3) ? r.below(4) : ring))}:${hex(offset)}`);
  } else if (way === 2) body.push(`${r.pick(['call', 'jmp'])} ${r.once(4) ? 'word ' : ''}${hex(code)}:${hex(offset)}`);
  else body.push(...returns(r, code, offset, ring));
  return { family: 'far', setup, ring, flags: r.once(2) ? 0x3002 : 2, body, after: [...qword2(target.at), ...innerStackBack()] };
}

/** The TSS's stack of a ring, sometimes a bad one. */
function innerStack(r: Random, ring: number): string[] {
  if (ring === 0 || ring === 3 || r.once(2)) return [];
  const place = SELECTOR.slots[7];
  const selector = r.once(8) ? r.pick([0, 0xff0, 0x48, SELECTOR.data[ring]! | 3]) : place | (r.once(10) ? r.below(4) : ring);
  return [...qword(GDT + place, descriptor(0, r.pick([0xfff, 0xfffff]), rights(r, ring, 10) | 0x80)), dword(TSS + 8 + 8 * ring, selector), dword(TSS + 4 + 8 * ring, r.once(8) ? 8 : STACKS[ring]!)];
}
const innerStackBack = (): string[] => [1, 2].flatMap((ring) => [dword(TSS + 4 + 8 * ring, STACKS[ring]!), dword(TSS + 8 + 8 * ring, SELECTOR.data[ring]! | ring)]);

function returns(r: Random, code: number, offset: number, ring: number): string[] {
  const outer = code & 3;
  const stack = r.once(6) ? r.pick([0, SELECTOR.data[r.below(4)]! | r.below(4), 0x48]) : SELECTOR.data[outer]! | outer;
  const word = r.once(4);
  const size = word ? 'word' : 'dword';
  const flags = r.pick([2, 0x202, 0x3002, 0x3202, 0x40002, 0x200002, 0x46, 0xad7, 0x180002]);
  const full = [`push ${size} ${hex(stack)}`, `push ${size} 0xc700`];
  if (r.once(2)) return [...full, `push ${size} ${hex(flags & (word ? 0xffff : 0xffffffff))}`, `push ${size} ${hex(code)}`, `push ${size} ${hex(offset)}`, word ? 'iretw' : 'iretd'];
  const extra = r.once(3) ? r.below(3) * 4 : 0;
  return [...full, ...Array<string>(extra / 4).fill('push dword 0'), `push ${size} ${hex(code)}`, `push ${size} ${hex(offset)}`, `o${word ? 16 : 32} retf${extra > 0 ? ` ${extra}` : ''}`];
}

function interrupt(r: Random, w: World): Case {
  const ring = r.below(4);
  const target = slot(r);
  const dpl = r.once(2) ? r.below(4) : 0;
  const conforming = r.once(6) ? 4 : 0;
  const wide = r.once(4) ? 0 : 0x4000;
  const base = w.alias !== 0 && (dpl === 3 || (ring === 3 && conforming !== 0)) ? 0x800000 : 0;
  const setup = [
    ...qword(target.at, descriptor(base, r.once(8) ? 0 : 0xfffff, 0x8018 | conforming | 2 | (dpl << 5) | (r.once(12) ? 0 : 0x80) | wide | (r.once(20) ? r.below(16) : 0))), dword(0xbf00, 0xffcd9090),
    ...qword(IDT + 8 * VECTOR, gate(selectorFor(r, target.selector, r.below(4)), 0xbf00, r.pick([6, 7, 14, 14, 14, 15, 15, 12, 2, 0]) | ((r.once(3) ? r.below(4) : 3) << 5) | (r.once(12) ? 0 : 0x80))),
    ...innerStack(r, dpl),
  ];
  const body = r.pick([[`int ${VECTOR}`], [`int ${VECTOR}`], [`int ${VECTOR}`], ['int3'], ['int 0x21'], ['into'], ['mov eax, 0x7fffffff', 'add eax, 1', 'into'], ['ud2'], ['mov ecx, 0', 'div ecx'],
    ['mov eax, 5', `bound eax, [${hex(w.alias + 0xb800)}]`], ['db 0xf1']]);
  return { family: 'interrupt', setup, ring, flags: r.pick([2, 0x202, 0x3202, 0x4002, 0xad7]), body, after: [...qword2(target.at), ...innerStackBack()] };
}

const PORTS = [0x600, 0x601, 0x602, 0x607, 0x608, 0x6fe, 0x7f0] as const;
function flagsAndPorts(r: Random): Case {
  const ring = r.below(4);
  const iopl = r.below(4);
  const setup = [dword(TSS + 0x68 + 0xc0, r.word()), `mov word [${hex(TSS + 102)}], ${r.pick([0x68, 0x68, 0x68, 0x60, 0x1ff, 0xfffe])}`];
  const port = r.pick(PORTS);
  const body: string[] = [];
  for (let n = 0; n < 3; n++) {
    body.push(...r.pick([['cli'], ['sti'], ['pushfd', 'pop eax'], [`push dword ${hex(r.pick([0x202, 0x3002, 0x4002, 0x40ad7, 0x200002, 0x10002, 2, 0x180002]))}`, 'popfd'], ['push word 0x3202', 'popfw'], ['pushfw', 'pop ax'],
      [`mov edx, ${hex(port)}`, r.pick(['in al, dx', 'in ax, dx', 'in eax, dx', 'out dx, al', 'out dx, ax', 'out dx, eax'])], ['hlt'], ['lahf'], ['sahf'], ['clts'], ['smsw eax'], ['str eax'], ['sldt eax'], ['str ax'],
      ['cld'], ['std', 'cld']]));
  }
  const safe = body.filter((line) => line !== 'hlt' || ring > 0);
  return { family: 'flags', setup, ring, flags: 2 | (iopl << 12) | (r.once(2) ? 0x200 : 0), body: safe, after: [dword(TSS + 0x68 + 0xc0, 0), `mov word [${hex(TSS + 102)}], 0x68`, 'mov eax, cr0'] };
}

/** Entries of the window's table and directory with random bits; accesses of every kind from ring 0 and 3. */
function paging(r: Random, w: World): Case {
  const ring = r.once(2) ? 0 : 3;
  const page = r.below(7);
  const wide = w.entry === 8;
  const bits = (present: number): bigint => {
    let v = BigInt((r.once(present) ? 0 : 1) | (r.below(2) << 1) | (r.below(4) > 0 ? 4 : 0) | (r.once(4) ? 8 : 0) | (r.once(4) ? 0x10 : 0) | (r.once(3) ? 0x20 : 0) | (r.once(3) ? 0x40 : 0) | (r.once(4) ? 0x100 : 0));
    if (wide && r.once(4)) v |= 1n << 63n;
    if (wide && r.once(10)) v |= 1n << BigInt(40 + r.below(23));
    return v;
  };
  const write = (at: number, v: bigint): string[] => (wide ? qword(at, v) : [dword(at, v & 0xffffffffn)]);
  const setup: string[] = [];
  const nxe = wide && r.below(3) > 0;
  if (wide) setup.push('mov ecx, 0xc0000080', `mov eax, ${nxe ? 0x800 : 0}`, 'xor edx, edx', 'wrmsr');
  const large = r.once(5);
  const directory = large ? bits(8) | 0x80n | BigInt(FRAMES) | (r.once(5) ? BigInt(1 << (13 + r.below(8))) : 0n) | (!wide && r.once(8) ? 0x200000n : 0n) : r.once(2) ? BigInt(w.windowTable) | 7n : BigInt(w.windowTable) | bits(8);
  const at = (n: number): number => w.windowTable + w.entry * n;
  for (const n of [page, page + 1]) setup.push(...write(at(n), bits(6) | BigInt(FRAMES + 0x1000 * n)));
  setup.push(...write(w.windowDirectory, wide && large ? directory & ~0x1e000n : directory));
  const cr4 = (wide ? 0x20 : 0x10) | (r.once(3) ? 0x100000 : 0) | (r.once(3) ? 0x200000 : 0) | (r.once(3) ? 0x80 : 0);
  const cr0 = 0x80000031 | (r.below(3) > 0 ? 0x10000 : 0);
  setup.push(`mov eax, ${hex(cr4 & ~0x80)}`, 'mov cr4, eax', `mov eax, ${hex(cr4)}`, 'mov cr4, eax', `mov eax, ${hex(cr0)}`, 'mov cr0, eax', `mov eax, ${DIRECTORY}`, 'mov cr3, eax');
  const body = pageAccess(r, WINDOW + 0x1000 * page);
  if (r.once(3)) body.push(...pageAccess(r, WINDOW + 0x1000 * page));
  const read = [w.windowDirectory, at(page), at(page + 1)].flatMap((p, n) => [`mov ${['eax', 'ebx', 'ecx'][n]}, [${hex(p)}]`]);
  const after = [...read, 'mov ebp, cr2', `mov eax, ${hex(wide ? 0x20 : 0x10)}`, 'mov cr4, eax', 'mov eax, 0x80000031', 'mov cr0, eax', ...write(w.windowDirectory, BigInt(w.windowTable) | 7n), `mov eax, ${DIRECTORY}`, 'mov cr3, eax'];
  return { family: 'paging', setup, ring, flags: r.once(4) ? 0x40002 : 2, body, after };
}

export function pageAccess(r: Random, base: number): string[] {
  const crosses = r.once(3);
  const at = hex(base + (crosses ? 0xffe : r.below(0x100) * 2));
  return r.pick([
    [`mov eax, [${at}]`], [`mov [${at}], eax`], [`add dword [${at}], 1`], [`mov eax, ${at}`, 'jmp eax'], [`mov esi, ${at}`, 'mov ecx, 3', 'rep lodsb'], [`mov edi, ${at}`, 'mov ecx, 4', 'mov al, 0xcd', 'rep stosb'],
    [`mov byte [${at}], 0xcd`], [`push dword [${at}]`], [`pop dword [${at}]`], [`mov al, [${at}]`], [`xchg [${at}], eax`], [`cmpxchg [${at}], ecx`], [`mov esi, ${at}`, `mov edi, ${hex(base + 0x80)}`, 'movsd'],
    [`lock inc dword [${at}]`], [`bts dword [${at}], 3`], [`cmpxchg8b [${at}]`], [crosses ? `add word [${at}], 1` : `sgdt [${at}]`],
  ]).slice();
}

/** Without VME, PVI and MCE, which bochs has, and UMIP, which it has not. */
const CR4 = [0, 4, 8, 0x10, 0x20, 0x80, 0x100, 0x1000, 0x4000, 0x10000, 0x20000, 0x40000, 0x100000, 0x200000] as const;
function control(r: Random, w: World): Case {
  const ring = r.once(4) ? 3 : 0;
  const base = w.paging === 'none' ? 0x21 : 0x80000031;
  const cr0 = (base ^ r.pick([0, 2, 4, 8, 0x10, 0x20, 0x10000, 0x40000, 0x20000000, 0x40000000, 0x60000000, 0x80])) >>> 0;
  const own = w.paging === 'pae' ? 0x20 : w.paging === 'legacy' ? 0x10 : 0;
  const cr4 = r.pick(CR4) | own;
  const body = r.pick([
    [`mov eax, ${hex(cr0)}`, 'mov cr0, eax', 'mov ebx, cr0'], [`mov eax, ${hex(cr4)}`, 'mov cr4, eax', 'mov ebx, cr4'], ['mov eax, cr0', 'mov ebx, cr4'], [`mov eax, ${hex(r.word())}`, 'mov cr2, eax', 'mov ecx, cr2'],
    [`mov eax, ${hex(r.pick([1, 3, 8, 0xe, 0xf]))}`, 'lmsw ax', 'smsw ebx', 'mov ecx, cr0'], ['clts', 'mov eax, cr0'], [`mov ecx, ${hex(r.pick([0xc0000080, 0x174, 0x175, 0x176, 0xc0000081, 0xc0000084, 0xc0000100, 0xc0000102, 0x277]))}`, `mov eax, ${hex(r.pick([0, 1, 0x800, 0x801, 0x100, 0x2000, 0x7040607, 8]))}`, `mov edx, ${hex(r.pick([0, 0, 0, 0x8000, 0xffffffff]))}`, 'cmp ecx, 0xc0000084', 'jne $+4', 'xor edx, edx', 'wrmsr', 'rdmsr'],
    ['mov eax, 0x12345678', `mov dr${r.below(4)}, eax`, 'mov eax, dr7', 'mov ebx, dr6'], [`invlpg [${hex(WINDOW)}]`], [`sgdt [${hex(w.alias + 0xb800)}]`, `mov eax, [${hex(w.alias + 0xb800)}]`, `mov ebx, [${hex(w.alias + 0xb802)}]`],
    [`sidt [${hex(w.alias + 0xb800)}]`, `mov eax, [${hex(w.alias + 0xb800)}]`], [`o16 sgdt [${hex(w.alias + 0xb800)}]`, `mov ebx, [${hex(w.alias + 0xb802)}]`], ['wbinvd'], ['invd'], ['fwait'], ['rdpmc'],
  ]).slice();
  const after = [`mov eax, ${hex(own)}`, 'mov cr4, eax', `mov eax, ${hex(base)}`, 'mov cr0, eax', 'mov ecx, 0xc0000080', 'xor eax, eax', 'xor edx, edx', 'wrmsr'];
  return { family: 'control', setup: [], ring, flags: 2, body, after };
}

function systemSegments(r: Random): Case {
  const ring = r.once(5) ? r.below(4) : 0;
  const place = slot(r);
  const kind = r.pick([1, 2, 2, 3, 9, 9, 11, 0, 0x12, 0x1a]) | (r.below(4) << 5) | (r.once(8) ? 0 : 0x80);
  const selector = selectorFor(r, place.selector, r.below(4));
  const body = [`mov eax, ${hex(selector)}`, r.pick(['ltr ax', 'lldt ax', 'lldt ax', 'ltr ax']), 'str eax', 'sldt ebx'];
  const after = [...qword2(place.at), `mov byte [${hex(GDT + SELECTOR.tss + 5)}], 0x89`, `mov ax, ${SELECTOR.tss}`, 'ltr ax', `mov ax, ${SELECTOR.ldt}`, 'lldt ax'];
  return { family: 'system', setup: qword(place.at, descriptor(kind === 2 ? LDT : TSS, 0xff, kind)), ring, flags: 2, body, after };
}

export function makeCase(r: Random, w: World): Case {
  const n = r.below(100);
  if (n < 22) return segmentLoad(r, w);
  if (n < 30) return rightsQueries(r);
  if (n < 50) return farTransfer(r, w);
  if (n < 64) return interrupt(r, w);
  if (n < 74) return flagsAndPorts(r);
  if (n < 81) return systemSegments(r);
  if (n < 86 || w.paging === 'none') return control(r, w);
  return paging(r, w);
}

/** NASM source of one case, numbered. */
export function sourceOf(c: Case, n: number, w: World): string {
  const lines = [`case_${n}:`, `mov dword [next], after_${n}`, ...c.setup, 'mov eax, 0xa0a1a2a3', 'mov ebx, 0xb0b1b2b3', 'mov ecx, 0xc0c1c2c3', 'mov edx, 0xd0d1d2d3', 'mov esi, 0xb100', 'mov edi, 0xb200', 'mov ebp, 0xb300'];
  const alias = c.ring === 3 ? w.alias : 0;
  if (c.ring > 0) {
    lines.push(`push dword ${SELECTOR.data[c.ring]! | c.ring}`, `push dword ${hex(STACKS[c.ring]! + alias)}`, `push dword ${hex(c.flags)}`, `push dword ${SELECTOR.code[c.ring]! | c.ring}`, `push dword body_${n} + ${alias}`, 'iretd');
  } else lines.push(`push dword ${hex(c.flags & ~0x200)}`, 'popfd');
  lines.push(`body_${n}:`);
  if (c.ring > 0) lines.push(`mov ax, ${SELECTOR.data[c.ring]! | c.ring}`, 'mov ds, ax', 'mov es, ax');
  lines.push(...c.body, `int ${DONE}`, `after_${n}:`, ...c.after);
  return lines.map((line) => (line.endsWith(':') ? line : `  ${line}`)).join('\n');
}
