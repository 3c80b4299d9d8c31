/**
 * Output sections laid out as a linker script says: its commands carried out in order with the location counter, twice, so that
 * sizes and addresses may be named before they are known. Source: ld info manual, chapter 3.
 */
import { contents as bytesOf, type Section, SHF, SHT, symbols } from './elf.ts';
import { type Assignment, type Expression, type Pattern, type Script, ScriptError, type SectionCommand } from './ldscript.ts';
import { commons, define, group, type Input, type Linked, outputName, type Placed } from './link.ts';

interface State {
  script: Script;
  file: string;
  inputs: readonly Input[];
  linked: Linked;
  dot: bigint;
  /** Difference of the load address from the address, of the section before. */
  shift: bigint;
  /** By name: values that the script gave, and what was named but is not known. */
  values: Map<string, { value: bigint; section: string | 'abs' }>;
  taken: Set<Section>;
  sizes: Map<string, Placed>;
  last: boolean;
}

/** Throws ScriptError: an undefined symbol, an assertion. */
export function linkByScript(inputs: readonly Input[], script: Script, file: string): Linked {
  let state: State | null = null;
  for (const last of [false, true]) {
    const linked: Linked = { sections: [], globals: new Map(), locals: [], errors: [] };
    if (state) for (const input of inputs) define(state.linked, input);
    const next: State = { script, file, inputs, linked, dot: 0n, shift: 0n, values: new Map(state?.values ?? []), taken: new Set(), sizes: state?.sizes ?? new Map(), last };
    if (state) linked.globals = new Map(state.linked.globals);
    layOut(next);
    linked.globals = new Map();
    state = next;
  }
  const { linked, values } = state!;
  for (const input of inputs) define(linked, input);
  for (const [name, { value, section }] of values) linked.globals.set(name, { name, section, value, size: 0, bind: 1, type: 0, from: null, origin: '' });
  for (const one of linked.sections) fill(one);
  return linked;
}

function layOut(state: State): void {
  const { linked, script } = state;
  for (const command of script.commands) {
    if (command.kind === 'assign') assign(state, command, linked.sections.at(-1)?.name ?? 'abs', null);
    else if (command.kind === 'assert') {
      if (state.last && evaluate(state, command.value) === 0n) throw new ScriptError(command.message);
    } else if (command.name === '/DISCARD/') {
      for (const one of command.contents) if (one.kind === 'input') for (const { section } of chosen(state, one)) state.taken.add(section);
    } else section(state, command);
  }
  orphans(state);
}

const up = (n: bigint, to: bigint): bigint => (to <= 1n ? n : ((n + to - 1n) / to) * to);

function placed(name: string, address: bigint): Placed {
  return { name, flags: 0, type: SHT.NOBITS, align: 1, address, size: 0, data: new Uint8Array(0), parts: [], constants: [] };
}

function section(state: State, command: SectionCommand): void {
  const first = command.contents.flatMap((one) => (one.kind === 'input' ? chosen(state, one) : [])).reduce((most, { section: { align } }) => Math.max(most, align), 1);
  const least = command.align ? evaluate(state, command.align) : 1n;
  const wanted = command.address ? evaluate(state, command.address) : up(state.dot, BigInt(first));
  const out = placed(command.name, up(wanted, least));
  out.align = Math.max(first, Number(least));
  const before = state.dot;
  state.dot = out.address;
  for (const one of command.contents) {
    if (one.kind === 'input') input(state, out, one);
    else if (one.kind === 'assign') assign(state, one, out.name, out);
    else if (one.kind === 'data') {
      out.constants!.push({ at: Number(state.dot - out.address), size: one.size, value: evaluate(state, one.value) });
      out.type = SHT.PROGBITS;
      out.flags |= SHF.ALLOC | SHF.WRITE;
      state.dot += BigInt(one.size);
    }
  }
  out.size = Number(state.dot - out.address);
  if (command.noload) out.type = SHT.NOBITS;
  state.sizes.set(out.name, out);
  if (out.size === 0 && out.parts.length === 0) {
    state.dot = before > out.address ? before : out.address;
    return;
  }
  if (command.load) state.shift = evaluate({ ...state, dot: out.address }, command.load) - out.address;
  out.load = out.address + state.shift;
  state.linked.sections.push(out);
}

function globbed(pattern: string, name: string): boolean {
  return pattern === '*' || (pattern.includes('*') || pattern.includes('?') || pattern.includes('[') ? new RegExp(`^${pattern.replace(/[.+^${}()|\\]/g, '\\$&').replace(/\*/g, '.*').replace(/\?/g, '.')}$`).test(name) : pattern === name);
}

/** Input sections that a pattern names and no other has taken, in the order of the files. */
function chosen(state: State, one: Pattern): { input: Input; section: Section }[] {
  const out: { input: Input; section: Section }[] = [];
  for (const input of state.inputs) {
    const base = input.name.replace(/^.*\//, '');
    if (!(globbed(one.file, input.name) || globbed(one.file, base)) || one.excluded.some((other) => globbed(other, input.name) || globbed(other, base))) continue;
    for (const section of input.elf.sections) {
      if ((section.type === SHT.PROGBITS || section.type === SHT.NOBITS || section.type === 7 || section.type >= 14) && !state.taken.has(section) && one.sections.some((pattern) => globbed(pattern, section.name))) out.push({ input, section });
    }
  }
  return one.sorted ? out.sort((a, b) => (a.section.name < b.section.name ? -1 : a.section.name > b.section.name ? 1 : 0)) : out;
}

function input(state: State, out: Placed, one: Pattern): void {
  for (const { input: from, section: given } of chosen(state, one)) {
    state.taken.add(given);
    add(state, out, from, given);
  }
  if (!one.sections.includes('COMMON')) return;
  for (const [name, { size, align }] of commons(state.inputs)) {
    if (state.linked.commons?.has(name)) continue;
    state.dot = up(state.dot, BigInt(align));
    (state.linked.commons ??= new Map()).set(name, { section: out.name, at: Number(state.dot - out.address), size });
    state.dot += BigInt(size);
    out.flags |= SHF.ALLOC | SHF.WRITE;
    out.align = Math.max(out.align, align);
    out.size = Number(state.dot - out.address);
  }
}

function add(state: State, out: Placed, from: Input, given: Section): void {
  state.dot = up(state.dot, BigInt(Math.max(1, given.align)));
  out.parts.push({ input: from, section: given, at: Number(state.dot - out.address) });
  if (given.size > 0 || out.parts.length === 1) out.flags |= given.flags & (out.flags & SHF.EXEC ? 6 : 7);
  if (given.type !== SHT.NOBITS && given.size > 0) out.type = SHT.PROGBITS;
  out.align = Math.max(out.align, given.align);
  state.dot += BigInt(given.size);
  out.size = Number(state.dot - out.address);
}

/** Sections that no pattern names stand behind the last of their kind. */
function orphans(state: State): void {
  const left = new Map<string, Placed>();
  for (const input of state.inputs) {
    for (const one of input.elf.sections) {
      if (!(one.flags & SHF.ALLOC) || state.taken.has(one) || one.size === 0) continue;
      const name = outputName(one.name);
      let out = left.get(name);
      if (!out) {
        const kin = state.linked.sections.filter((other) => group(other) === group(one)).at(-1);
        const address = up(kin ? kin.address + BigInt(kin.size) : state.dot, BigInt(Math.max(1, one.align)));
        left.set(name, out = placed(name, address));
        state.linked.sections.push(out);
      }
      state.dot = out.address + BigInt(out.size);
      state.taken.add(one);
      add(state, out, input, one);
      out.load = out.address + state.shift;
    }
  }
  orphanCommons(state);
  state.linked.sections.sort((a, b) => Number(!(a.flags & SHF.ALLOC)) - Number(!(b.flags & SHF.ALLOC)) || (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
}

/** Symbols that only have room and no COMMON takes: at the end of .bss. */
function orphanCommons(state: State): void {
  const left = [...commons(state.inputs).keys()].some((name) => !state.linked.commons?.has(name));
  if (!left) return;
  let bss = state.linked.sections.find(({ name }) => name === '.bss');
  const most = Math.max(...[...commons(state.inputs).values()].map(({ align }) => align));
  if (!bss) state.linked.sections.push(bss = placed('.bss', up(state.dot, BigInt(most))));
  state.dot = bss.address + BigInt(bss.size);
  input(state, bss, { kind: 'input', file: '*', excluded: [], sections: ['COMMON'], sorted: false });
  bss.load = bss.address + state.shift;
}

function assign(state: State, { name, value, provide }: Assignment, section: string, within: Placed | null): void {
  const n = evaluate(state, value);
  if (name === '.') {
    state.dot = within && !moves(value) ? within.address + n : n;
    return;
  }
  if (provide && !wanted(state, name)) return;
  state.values.set(name, { value: n, section: moves(value) ? section : 'abs' });
}

/** Whether the value follows from the location counter. */
function moves(value: Expression): boolean {
  if (value.op === 'name') return true;
  if (value.op === 'call') return value.name !== 'ABSOLUTE' && value.name !== 'SIZEOF' && value.name !== 'CONSTANT';
  return value.op !== 'number' && value.parts.some(moves);
}

function wanted({ inputs }: State, name: string): boolean {
  let asked = false;
  for (const { elf } of inputs) {
    for (const one of symbols(elf)) {
      if (one.name !== name || one.bind === 0) continue;
      if (one.section !== 0) return false;
      asked = true;
    }
  }
  return asked;
}

function evaluate(state: State, value: Expression): bigint {
  switch (value.op) {
    case 'number': return value.n;
    case 'name': return named(state, value.name, value.line);
    case 'call': return called(state, value.name, value.of);
    case 'three': return evaluate(state, evaluate(state, value.parts[0]!) !== 0n ? value.parts[1]! : value.parts[2]!);
    case 'one': {
      const n = evaluate(state, value.parts[0]!);
      return value.of === '-' ? -n : value.of === '~' ? ~n : value.of === '!' ? (n === 0n ? 1n : 0n) : n;
    }
    default: return BigInt.asUintN(64, computed(value.of, evaluate(state, value.parts[0]!), evaluate(state, value.parts[1]!)));
  }
}

function named(state: State, name: string, line: number): bigint {
  if (name === '.') return state.dot;
  if (name === 'SIZEOF_HEADERS') return 0n;
  const found = state.values.get(name)?.value ?? state.linked.globals.get(name)?.value;
  if (found === undefined && state.last) throw new ScriptError(`${state.file}:${line}: undefined symbol \`${name}' referenced in expression`);
  return found ?? 0n;
}

function called(state: State, name: string, of: readonly Expression[]): bigint {
  const section = of[0]?.op === 'name' ? state.sizes.get(of[0].name) : undefined;
  const first = (): bigint => evaluate(state, of[0]!);
  switch (name) {
    case 'ALIGN': case 'BLOCK': return of.length === 2 ? up(first(), evaluate(state, of[1]!)) : up(state.dot, first());
    case 'ABSOLUTE': return first();
    case 'SIZEOF': return BigInt(section?.size ?? 0);
    case 'ADDR': return section?.address ?? 0n;
    case 'LOADADDR': return section?.load ?? section?.address ?? 0n;
    case 'ALIGNOF': return BigInt(section?.align ?? 1);
    case 'MAX': case 'MIN': {
      const second = evaluate(state, of[1]!);
      return (first() > second) === (name === 'MAX') ? first() : second;
    }
    case 'DEFINED': return of[0]?.op === 'name' && (state.values.has(of[0].name) || state.linked.globals.has(of[0].name)) ? 1n : 0n;
    case 'CONSTANT': return 0x1000n;
  }
  throw new ScriptError(`${state.file}: not modelled: ${name}() in linker scripts`);
}

function computed(of: string, a: bigint, b: bigint): bigint {
  switch (of) {
    case '+': return a + b;
    case '-': return a - b;
    case '*': return a * b;
    case '<<': return a << b;
    case '>>': return a >> b;
    case '&': return a & b;
    case '|': return a | b;
    case '^': return a ^ b;
    case '&&': return a !== 0n && b !== 0n ? 1n : 0n;
    case '||': return a !== 0n || b !== 0n ? 1n : 0n;
    case '==': return a === b ? 1n : 0n;
    case '!=': return a !== b ? 1n : 0n;
    case '<': return a < b ? 1n : 0n;
    case '>': return a > b ? 1n : 0n;
    case '<=': return a <= b ? 1n : 0n;
    case '>=': return a >= b ? 1n : 0n;
  }
  if (b === 0n) throw new ScriptError(of === '/' ? '/ by zero' : '% by zero');
  return of === '/' ? a / b : a % b;
}

function fill(one: Placed): void {
  if (one.type === SHT.NOBITS) return;
  one.data = new Uint8Array(one.size);
  if (one.flags & SHF.EXEC) one.data.fill(0x90);
  for (const { input: from, section: given, at } of one.parts) if (given.type !== SHT.NOBITS) one.data.set(bytesOf(from.elf, given), at);
  else one.data.fill(0, at, at + given.size);
  for (const { at, size, value } of one.constants ?? []) for (let k = 0; k < size; k++) one.data[at + k] = Number((BigInt.asUintN(64, value) >> BigInt(8 * k)) & 255n);
}
