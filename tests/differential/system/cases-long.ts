/** Random cases of IA-32e mode: 64-bit and compatibility code in every ring. */
import { type Case, dword, hex, pageAccess, qword, qword2, rights, SIZES } from './cases.ts';
import type { Random } from './random.ts';
import { descriptor, DONE, FRAMES, GDT, LDT, STACKS, VECTOR, WINDOW } from './world.ts';
import { GIANT, LONG, LONG_IDT, LONG_TSS, ROOT, WINDOW_TABLE, wideGate } from './world-long.ts';

const ALIAS = 0x800000;
const PAD = 0xbf00;
export interface LongCase extends Case { compat: boolean }

function slot(r: Random): { selector: number; at: number } {
  if (r.once(3)) {
    const n = r.below(4) * 2;
    return { selector: n * 8 + 4, at: LDT + 8 * n };
  }
  const selector = r.pick(LONG.slots);
  return { selector, at: GDT + selector };
}
const selectorFor = (r: Random, selector: number, rpl: number): number => (r.once(24) ? r.pick([0, 1, 2, 3, 0xfff8, 0xc0, 0x44, 0x48, 0x60, 0x50]) | (r.once(2) ? rpl : 0) : selector | rpl);
const pair = (at: number, [low, high]: readonly [bigint, bigint]): string[] => [...qword(at, low), ...qword(at + 8, high)];

function ringAndMode(r: Random): { ring: number; compat: boolean } {
  const ring = r.below(4);
  return { ring, compat: (ring === 0 || ring === 3) && r.once(3) };
}

function segment(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const place = slot(r);
  const limit = r.pick([0, 0xfff, 0xffff, 0xfffff]);
  const user = ring === 3 ? ALIAS : 0;
  const base = r.pick([0xb000, 0xb7f8, 0]) + user;
  const stack = ring > 0 && r.once(3);
  const name = stack ? 'ss' : r.pick(['ds', 'es', 'fs', 'gs']);
  const selector = r.once(5) ? r.below(4) : selectorFor(r, place.selector, r.once(5) ? r.below(4) : ring);
  const body = r.pick([[`mov eax, ${hex(selector)}`, `mov ${name}, eax`], name === 'fs' || name === 'gs' ? [`push ${hex(selector)}`, `pop ${name}`] : [`mov eax, ${hex(selector)}`, `mov ${name}, ax`],
    name === 'fs' || name === 'gs' || name === 'ss' ? [`mov dword [${hex(user + 0xb800)}], 0x12345678`, `mov word [${hex(user + 0xb804)}], ${hex(selector)}`, `l${name} ecx, [${hex(user + 0xb800)}]`] : [`mov eax, ${hex(selector)}`, `mov ${name}, ax`]]).slice();
  const offset = r.once(2) ? r.below(0x700) : limit - 2 + r.below(4);
  const size = r.pick(SIZES);
  if (stack) body.push(`mov esp, ${hex((compat ? 0x500 : user + 0xb500) + r.below(16))}`, r.pick(compat ? ['push eax', 'pop ecx', 'pushad', 'pushfd'] : ['push rax', 'pop rcx', 'push word 3', 'pushfq']));
  else if (offset < 0x1000) body.push(r.pick([`mov al, [${name}:${hex(offset)}]`, `add ${size} [${name}:${hex(offset + (compat || name[0]! >= 'f' ? 0 : user + 0xb000))}], 1`]));
  return { family: 'segment', setup: qword(place.at, descriptor(base, limit, rights(r, ring, 8))), ring, compat, flags: 2, body, after: qword2(place.at) };
}

function query(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const place = slot(r);
  const body = [`mov eax, ${hex(selectorFor(r, place.selector, r.below(4)))}`, 'mov ecx, 0x55555555'];
  for (let n = 0; n < 3; n++) body.push(r.pick(['lar ecx, eax', 'lsl edx, eax', 'lar cx, ax', 'lsl dx, ax', 'verr ax', 'verw ax', ...(compat ? [] : ['lar rcx, rax', 'lsl rdx, rax'])]));
  const low = descriptor(0x1000, r.pick([0, 0xfff, 0xfffff]), rights(r, r.below(4), 2));
  return { family: 'query', setup: [...qword(place.at, low), ...qword(place.at + 8, r.once(3) ? BigInt(r.word()) << 32n : 0n)], ring, compat, flags: 2, body, after: [] };
}

/** A code segment of 64 or 32 bits, or something like it. */
function codeSegment(r: Random, dpl: number): bigint {
  const width = r.below(8) < 5 ? 0x2000 : r.once(6) ? 0x6000 : r.once(4) ? 0 : 0x4000;
  return descriptor(0, r.once(8) ? 0xb : 0xfffff, 0x8010 | (r.once(14) ? r.below(16) : 8 | r.below(8)) | (dpl << 5) | (r.once(12) ? 0 : 0x80) | width);
}

function far(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const target = slot(r);
  const dpl = r.once(2) ? r.below(4) : ring;
  const setup = [...qword(target.at, codeSegment(r, dpl)), dword(PAD, 0xffcd9090)];
  const code = selectorFor(r, target.selector, r.once(4) ? r.below(4) : ring);
  const offset = BigInt(PAD + (dpl === 3 || ring === 3 ? ALIAS : 0)) | (r.once(12) ? 0x800000000000n : 0n);
  const scratch = (ring === 3 ? ALIAS : 0) + 0xb800;
  const body: string[] = [];
  const way = r.below(4);
  if (way < 3) {
    let selector = code;
    if (way < 2) {
      const place = slot(r);
      if (place.at !== target.at) setup.push(...pair(place.at, wideGate(code, offset, r.pick([12, 12, 12, 12, 4, 5, 2, 14, 15]) | ((r.once(4) ? r.below(4) : 3) << 5) | (r.once(12) ? 0 : 0x80), r.once(10) ? 3 : 0)));
      if (r.once(10)) setup.push(dword(place.at + 12, 0x0c00));
      selector = selectorFor(r, place.selector, r.once(3) ? r.below(4) : ring);
      if (dpl < 3 && dpl > 0 && r.once(8)) setup.push(...qword(LONG_TSS + 4 + 8 * dpl, r.pick([0x800000000000n, 0x10n, 0x5000_0000n])));
    }
    const size = compat ? r.pick(['word', 'dword']) : r.pick(['word', 'dword', 'dword', 'qword']);
    const bytes = size === 'word' ? 2 : size === 'dword' ? 4 : 8;
    body.push(...(bytes === 8 ? [dword(scratch, offset & 0xffffffffn), dword(scratch + 4, offset >> 32n)] : [dword(scratch, offset & 0xffffffffn)]), `mov word [${hex(scratch + bytes)}], ${hex(selector)}`);
    const prefix = size === 'word' ? '0x66, ' : size === 'qword' ? '0x48, ' : '';
    body.push(`db ${prefix}0xff, ${r.pick([3, 3, 5]) * 8 + (compat ? 5 : 4)}${compat ? '' : ', 0x25'}`, `dd ${hex(scratch)}`);
  } else body.push(...returns(r, code, offset, ring, compat));
  return { family: 'far', setup, ring, compat, flags: r.once(2) ? 0x3002 : 2, body, after: [...qword2(target.at), ...stacksBack()] };
}
const stacksBack = (): string[] => [0, 1, 2].flatMap((ring) => qword(LONG_TSS + 4 + 8 * ring, BigInt(STACKS[ring]!)));

function returns(r: Random, code: number, offset: bigint, ring: number, compat: boolean): string[] {
  const outer = code & 3;
  const stack = r.once(5) ? r.pick([0, 1, 2, 3, LONG.data[r.below(4)]! | r.below(4), 0x48]) : LONG.data[outer]! | outer;
  const flags = r.pick([2, 0x202, 0x3002, 0x3202, 0x40002, 0x200002, 0x46, 0xad7, 0x180002, 0x20002, 0x4002]);
  const top = 0xc700 + (outer === 3 ? ALIAS : 0);
  const interrupts = r.once(2);
  // 64-bit code takes SS:RSP from the frame of any size, as a real processor does and bochs 2.7 does not within a ring
  const size = compat ? r.pick([2, 4]) : interrupts && outer === ring ? 8 : r.pick([2, 4, 8, 8]);
  const push = (v: bigint | number): string[] => (compat ? [`push ${size === 2 ? 'word' : 'dword'} ${hex(BigInt(v) & 0xffffffffn)}`] : size === 2 ? [`push word ${hex(BigInt(v) & 0xffffn)}`]
    : [`mov rax, ${hex(BigInt.asUintN(64, (BigInt(v) << 16n)) >> 16n)}`, ...(size === 8 ? ['push rax'] : ['sub rsp, 4', 'mov [rsp], eax'])]);
  const prefix = size === 2 ? 'o16 ' : size === 8 ? 'o64 ' : '';
  if (interrupts) return [...push(stack), ...push(top), ...push(flags), ...push(code), ...push(offset), size === 2 ? 'iretw' : size === 8 ? 'iretq' : 'iretd'];
  const extra = r.once(3) ? 8 : 0;
  return [...push(stack), ...push(top), ...(extra > 0 ? (size === 8 ? push(0) : size === 4 ? [...push(0), ...push(0)] : [...push(0), ...push(0), ...push(0), ...push(0)]) : []), ...push(code), ...push(offset), `${prefix}retf${extra > 0 ? ` ${extra}` : ''}`];
}

function interrupt(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const target = slot(r);
  const dpl = r.once(2) ? r.below(4) : 0;
  const code = codeSegment(r, dpl);
  // bochs pushes with the rights of the segment's DPL, not of the ring that stays, on an interrupt stack behind conforming code
  const conforming = ((code >> 42n) & 1n) !== 0n;
  const stack = r.once(2) && (ring < 3 || !conforming) ? r.below(8) : 0;
  // targets are canonical: bochs has pushed by the time it looks, which shows on a stack that nobody has used yet
  const setup = [...qword(target.at, code), dword(PAD, 0xffcd9090),
    ...pair(LONG_IDT + 16 * VECTOR, wideGate(selectorFor(r, target.selector, r.below(4)), BigInt(PAD + (dpl === 3 || ring === 3 ? ALIAS : 0)), r.pick([14, 14, 14, 15, 15, 6, 7, 12, 5, 0]) | ((r.once(3) ? r.below(4) : 3) << 5) | (r.once(12) ? 0 : 0x80), stack))];
  if (r.once(8)) setup.push(...qword(LONG_TSS + 36 + 8 * r.below(3), r.pick([0x10n, 0x3n, 0xdff3n, 0x5000_0000n])));
  if (dpl < 3 && dpl > 0 && r.once(8)) setup.push(...qword(LONG_TSS + 4 + 8 * dpl, r.pick([0x10n, 0xe003n, 0x5000_0000n])));
  const body = r.pick([[`int ${VECTOR}`], [`int ${VECTOR}`], [`int ${VECTOR}`], ['int3'], ['int 0x21'], ['ud2'], ['xor ecx, ecx', 'div ecx'], ['db 0xf1'], compat ? ['mov eax, 0x7fffffff', 'inc eax', 'into'] : ['syscall'],
    [`mov eax, ${hex(0x3000)}`, 'mov eax, [eax + 0x70000000]']]).slice();
  const back = [...stacksBack(), ...[1, 2, 3].flatMap((n) => qword(LONG_TSS + 28 + 8 * n, BigInt(0xdff8 - 0x10 * n)))];
  return { family: 'interrupt', setup: [...msr(0xc0000082, 0x7000n), ...msr(0xc0000081, 0x001b000800000000n), ...setup], ring, compat, flags: r.pick([2, 0x202, 0x3202, 0x4002, 0xad7, 0x40202]), body, after: [...qword2(target.at), ...back] };
}

const msr = (n: number, v: bigint): string[] => [`mov ecx, ${hex(n)}`, `mov eax, ${hex(v & 0xffffffffn)}`, `mov edx, ${hex((v >> 32n) & 0xffffffffn)}`, 'wrmsr'];

/** SYSCALL, SYSRET, SYSENTER, SYSEXIT, SWAPGS with the MSRs as they may be. */
function fast(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const setup = [dword(PAD, 0xffcd9090), ...msr(0xc0000081, BigInt(r.pick([0x001b0008, 0x002b0008, 0x00330018, 0x00e00010])) << 32n), ...msr(0xc0000082, BigInt(PAD)), ...msr(0xc0000084, BigInt(r.pick([0, 0x200, 0x40700, 0x4000]))),
    ...msr(0x174, BigInt(r.pick([8, 8, 8, 0, 3, 0x18, 0x10008]))), ...msr(0x175, BigInt(0xe800)), ...msr(0x176, BigInt(PAD)), ...msr(0xc0000102, 0x1234_5678_9abcn), ...msr(0xc0000080, BigInt(r.once(6) ? 0x900 : 0x901))];
  const wide = (v: bigint): string => hex(r.once(8) ? v | 0x900000000000n : v);
  const body = (compat ? r.pick([['sysenter'], [`mov edx, ${hex(PAD + ALIAS)}`, `mov ecx, ${hex(0xc700 + ALIAS)}`, 'sysexit']]) : r.pick([
    ['syscall'], ['sysenter'], [`mov rcx, ${wide(BigInt(PAD + ALIAS))}`, `mov r11, ${hex(r.pick([2, 0x202, 0x3202, 0x30002, 0x244ad7]))}`, r.pick(['o64 sysret', 'sysret'])],
    [`mov rdx, ${wide(BigInt(PAD + ALIAS))}`, `mov rcx, ${wide(BigInt(0xc700 + ALIAS))}`, r.pick(['o64 sysexit', 'sysexit'])], ['swapgs', ...(r.once(2) ? ['swapgs'] : [])], ['mov ecx, 0xc0000101', 'rdmsr'], ['swapgs', 'mov ecx, 0xc0000101', 'rdmsr', 'mov ecx, 0xc0000102', 'rdmsr'],
  ])).slice();
  return { family: 'fast', setup, ring, compat, flags: r.pick([2, 0x202, 0x3202, 0x4002, 0x40ad7]), body, after: [...msr(0xc0000080, 0x901n), ...msr(0xc0000102, 0n)] };
}

function flags(r: Random): LongCase {
  const { ring, compat } = ringAndMode(r);
  const iopl = r.below(4);
  const setup = [dword(LONG_TSS + 0x68 + 0xc0, r.word()), `mov word [${hex(LONG_TSS + 102)}], ${r.pick([0x68, 0x68, 0x68, 0x60, 0x15f, 0xfffe])}`];
  const push = compat ? 'push dword' : 'push';
  const body: string[] = [];
  for (let n = 0; n < 3; n++) {
    body.push(...r.pick([['cli'], ['sti'], compat ? ['pushfd', 'pop eax'] : ['pushfq', 'pop rax'], [`${push} ${hex(r.pick([0x202, 0x3002, 0x4002, 0x40ad7, 0x200002, 0x10002, 2, 0x180002, 0x20002]))}`, compat ? 'popfd' : 'popfq'], ['push word 0x3202', 'popfw'],
      [`mov edx, ${hex(r.pick([0x600, 0x601, 0x607, 0x6fe, 0x7f0]))}`, r.pick(['in al, dx', 'in ax, dx', 'in eax, dx', 'out dx, al', 'out dx, eax'])], ['lahf'], ['clts'], ['smsw eax'], ['str eax'], ['sldt eax'], ['str ax'], ...(compat ? [] : [['smsw rax'], ['sldt rax'], ['str rcx']]), ['cld']]));
  }
  return { family: 'flags', setup, ring, compat, flags: 2 | (iopl << 12) | (r.once(2) ? 0x200 : 0), body, after: [dword(LONG_TSS + 0x68 + 0xc0, 0), `mov word [${hex(LONG_TSS + 102)}], 0x68`, 'mov rax, cr0'] };
}

function entryBits(r: Random, absent: number): bigint {
  let v = BigInt((r.once(absent) ? 0 : 1) | (r.below(3) > 0 ? 2 : 0) | (r.below(4) > 0 ? 4 : 0) | (r.once(4) ? 8 : 0) | (r.once(4) ? 0x10 : 0) | (r.once(3) ? 0x20 : 0) | (r.once(3) ? 0x40 : 0) | (r.once(4) ? 0x100 : 0) | (r.once(4) ? 0x200 : 0));
  if (r.once(4)) v |= 1n << 63n;
  if (r.once(12)) v |= 1n << BigInt(40 + r.below(23));
  return v;
}

/** 4K, 2M and 1G pages with random bits at every level. */
function paging(r: Random): LongCase {
  const ring = r.once(2) ? 0 : 3;
  const page = r.below(7);
  const shape = r.below(6);
  const setup = [...msr(0xc0000080, r.below(3) > 0 ? 0xd01n : 0x501n)];
  const at = (n: number): number => WINDOW_TABLE + 8 * n;
  const directory = ROOT + 0x2000 + 16;
  let base = WINDOW + 0x1000 * page;
  for (const n of [page, page + 1]) setup.push(...qword(at(n), entryBits(r, 6) | BigInt(FRAMES + 0x1000 * n)));
  if (shape === 0) setup.push(...qword(directory, entryBits(r, 8) | 0x80n | BigInt(FRAMES) | (r.once(5) ? BigInt(1 << (13 + r.below(8))) : 0n)));
  else setup.push(...qword(directory, shape < 3 ? entryBits(r, 10) | BigInt(WINDOW_TABLE) : BigInt(WINDOW_TABLE) | 7n));
  if (shape === 5) {
    setup.push(...qword(ROOT + 0x1008, entryBits(r, 8) | 0x80n | (r.once(5) ? BigInt(1 << (13 + r.below(17))) : 0n)));
    base = GIANT + FRAMES + 0x1000 * page;
  } else if (r.once(8)) setup.push(...qword(ROOT + 8, entryBits(r, 2) | (r.once(2) ? 0x80n : 0n) | BigInt(ROOT + 0x1000)));
  const cr4 = 0x20 | (r.once(3) ? 0x100000 : 0) | (r.once(3) ? 0x200000 : 0) | (r.once(3) ? 0x80 : 0);
  setup.push('mov eax, 0x20', 'mov cr4, rax', `mov eax, ${hex(cr4)}`, 'mov cr4, rax', `mov eax, ${hex(0x80000031 | (r.below(3) > 0 ? 0x10000 : 0))}`, 'mov cr0, rax', `mov eax, ${ROOT}`, 'mov cr3, rax');
  const body = (shape !== 5 && r.once(8) ? [`mov rbx, ${hex(0x8000000000n + BigInt(base))}`, 'mov eax, [rbx]'] : pageAccess(r, base)).map((line) => line.replace('jmp eax', 'jmp rax').replace('push dword', 'push qword').replace('pop dword', 'pop qword'));
  const after = [`mov rax, [${hex(directory)}]`, `mov rbx, [${hex(at(page))}]`, `mov rcx, [${hex(at(page + 1))}]`, `mov rdx, [${hex(ROOT + 0x1008)}]`, `mov rsi, [${hex(ROOT + 8)}]`, 'mov eax, 0x20', 'mov cr4, rax', 'mov eax, 0x80000031', 'mov cr0, rax',
    ...qword(directory, BigInt(WINDOW_TABLE) | 7n), ...qword(ROOT + 0x1008, 0n), ...qword(ROOT + 8, 0n), `mov eax, ${ROOT}`, 'mov cr3, rax', ...msr(0xc0000080, 0x901n)];
  return { family: 'paging', setup, ring, compat: false, flags: r.once(4) ? 0x40002 : 2, body, after };
}

const ODD = [0x800000000000n, 0x7fffffffffffn, 0xffff7fffffffffffn, 0xffff800000000000n, 0x8000000000000000n, 0x7ffffffffffcn, 0xfffffffffffffffen] as const;
function control(r: Random): LongCase {
  const ring = r.once(4) ? 3 : 0;
  const odd = hex(r.pick(ODD));
  const cr4 = 0x20 | r.pick([0, 4, 8, 0x10, 0x80, 0x100, 0x1000, 0x4000, 0x10000, 0x20000, 0x40000, 0x100000, 0x200000]);
  const cr0 = (0x80000031 ^ r.pick([0, 1, 2, 4, 8, 0x20, 0x10000, 0x40000, 0x20000000, 0x40000000, 0x60000000, 0x80000000])) >>> 0;
  const body = r.pick([
    [`mov rbx, ${odd}`, r.pick(['mov eax, [rbx]', 'mov [rbx], rax', 'add byte [rbx], 1', 'lock inc word [rbx]', 'mov rdi, rbx\n stosd', 'invlpg [rbx]', 'jmp rbx', 'call rbx', 'fs lodsb', 'mov rax, [gs:rbx]'])], [`mov rsp, ${ring === 3 ? odd : hex(STACKS[0])}`, r.pick(['push rax', 'pop rax', 'call $+5', 'ret', 'mov rax, [rsp]', 'mov rbp, rsp\n mov eax, [rbp]', 'enter 8, 0', 'leave'])],
    [`mov eax, ${hex(cr0)}`, 'mov cr0, rax', 'mov rbx, cr0'], [`mov eax, ${hex(cr4 & (r.once(6) ? ~0x20 : ~0))}`, 'mov cr4, rax', 'mov rbx, cr4'], [`mov rax, ${hex(r.pick([0x100000021n, 0x8000000080000031n]))}`, r.pick(['mov cr0, rax', 'mov cr4, rax'])],
    [`mov rax, ${hex(BigInt(ROOT) | r.pick([0n, 0x18n, 0xfffn, 1n << 40n, 1n << 63n, 1n << 52n, 1n << 39n & 0n]))}`, 'mov cr3, rax', 'mov rbx, cr3'], [`mov eax, ${r.below(20)}`, 'mov cr8, rax', 'mov rbx, cr8'], [`mov rax, ${odd}`, 'mov cr2, rax', 'mov rbx, cr2'],
    [`mov ecx, ${hex(r.pick([0xc0000100, 0xc0000101, 0xc0000102, 0xc0000082, 0xc0000083, 0x175, 0x176, 0x174, 0xc0000081, 0xc0000084, 0xc0000080, 0x277]))}`, `mov eax, ${hex(r.pick([0, 0x901, 0xd01, 0x1901, 0x501, 0x801, 0x12345678, 0x7040600]))}`, `mov edx, ${hex(r.pick([0, 0, 0x8000, 0x7fff, 0xffff8000, 0xffffffff]))}`, 'cmp ecx, 0xc0000084', 'jne $+4', 'xor edx, edx', 'wrmsr', 'rdmsr'],
    // hardware breakpoints are not modelled: DR7 enables none
    [`mov rax, ${hex(r.pick([0n, 1n << 32n, 0x400n]))}`, `mov dr${r.pick([0, 6, 7])}, rax`, 'mov rbx, dr6', 'mov rcx, dr7'], ['mov eax, 1', 'lmsw ax', 'mov rbx, cr0'], [`lea rbx, [${hex((ring === 3 ? ALIAS : 0) + 0xb800)}]`, 'sgdt [rbx]', 'mov rax, [rbx]', 'sidt [rbx]', 'mov rcx, [rbx+2]'],
    [`mov rbx, ${hex((ring === 3 ? ALIAS : 0) + 0xb800)}`, `mov word [rbx], 0xbf`, `mov rcx, ${r.once(2) ? '0x800000000000' : hex(GDT)}`, 'mov [rbx+2], rcx', 'lgdt [rbx]'],
    [`mov eax, ${hex(0x20020)}`, 'mov cr4, rax', `mov rax, ${hex(BigInt(ROOT) | r.pick([1n, 0xfffn, 1n << 63n]))}`, 'mov cr3, rax', 'mov rbx, cr3', `mov eax, ${ROOT}`, 'mov cr3, rax'],
  ]).slice();
  const after = [`mov eax, ${ROOT}`, 'mov cr3, rax', 'mov eax, 0x20', 'mov cr4, rax', 'mov eax, 0x80000031', 'mov cr0, rax', ...msr(0xc0000080, 0x901n), 'xor eax, eax', 'mov cr8, rax', ...msr(0xc0000101, 0n), ...msr(0xc0000102, 0n)];
  return { family: 'control', setup: [], ring, compat: false, flags: 2, body, after };
}

function system(r: Random): LongCase {
  const { ring, compat } = r.once(5) ? ringAndMode(r) : { ring: 0, compat: r.once(3) };
  const place = slot(r);
  const kind = r.pick([1, 2, 2, 3, 9, 9, 11, 0, 0x12, 0x1a]) | (r.below(4) << 5) | (r.once(8) ? 0 : 0x80);
  const body = [`mov eax, ${hex(selectorFor(r, place.selector, r.below(4)))}`, r.pick(['ltr ax', 'lldt ax']), 'str eax', 'sldt ebx'];
  const after = [...qword2(place.at), `mov byte [${hex(GDT + LONG.tss + 5)}], 0x89`, `mov ax, ${LONG.tss}`, 'ltr ax', `mov ax, ${LONG.ldt}`, 'lldt ax'];
  return { family: 'system', setup: [...qword(place.at, descriptor(kind === 2 ? LDT : LONG_TSS, 0x15f, kind)), ...qword(place.at + 8, r.once(6) ? BigInt(r.word()) | (r.once(3) ? BigInt(r.word()) << 32n : 0n) : 0n)], ring, compat, flags: 2, body, after };
}

export function makeLongCase(r: Random): LongCase {
  const n = r.below(100);
  if (n < 14) return segment(r);
  if (n < 21) return query(r);
  if (n < 43) return far(r);
  if (n < 57) return interrupt(r);
  if (n < 64) return fast(r);
  if (n < 71) return flags(r);
  if (n < 84) return paging(r);
  return n < 94 ? control(r) : system(r);
}

export function longSource(c: LongCase, n: number): string {
  const lines = ['bits 64', `case_${n}:`, `mov eax, after_${n}`, 'mov [next], rax', ...c.setup, 'mov eax, 0xa0a1a2a3', 'mov ebx, 0xb0b1b2b3', 'mov ecx, 0xc0c1c2c3', 'mov edx, 0xd0d1d2d3', 'mov esi, 0xb100', 'mov edi, 0xb200', 'mov ebp, 0xb300'];
  const alias = c.ring === 3 ? ALIAS : 0;
  const code = c.compat ? LONG.compat[c.ring === 3 ? 1 : 0]! : LONG.code[c.ring]!;
  if (c.ring > 0 || c.compat) lines.push(`push ${LONG.data[c.ring]! | c.ring}`, `push ${hex(STACKS[c.ring]! + alias)}`, `push ${hex(c.flags & (c.ring > 0 ? ~0 : ~0x200))}`, `push ${code | c.ring}`, `push body_${n} + ${alias}`, 'iretq');
  else lines.push(`push ${hex(c.flags & ~0x200)}`, 'popfq');
  lines.push(...(c.compat ? ['bits 32'] : []), `body_${n}:`);
  if (c.ring > 0) lines.push(`mov ax, ${LONG.data[c.ring]! | c.ring}`, 'mov ds, ax', 'mov es, ax');
  lines.push(...c.body, `int ${DONE}`, 'bits 64', `after_${n}:`, ...c.after);
  return lines.map((line) => (line.endsWith(':') || line.startsWith('bits') ? line : `  ${line}`)).join('\n');
}
