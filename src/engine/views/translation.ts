/** Binary translation as it stands: the units of the translation cache, and one of them instruction by instruction beside its source. */
import type { TranslatedRow, TranslationRow } from '../../bridge/rows.ts';
import { own } from '../hypervisor/cpu/deprivilege-state.ts';
import { type Cache, linearAt, stepAt, type Unit } from '../hypervisor/cpu/translate-cache.ts';
import { CALLOUT } from '../hypervisor/cpu/translate-emit.ts';
import type { Vm } from '../hypervisor/vm.ts';
import { disassemble } from '../machine/isa/disassemble.ts';
import { columns, type View } from './view.ts';
import { hex, machineIn } from './vmfiles.ts';

/** Units shown at most, the newest. */
const SHOWN = 400;

const cacheIn = (vm: Vm): Cache | null => (vm.technique === 'binary-translation' ? (own(vm).cache as Cache) : null);
const text = (bytes: Uint8Array): string => [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');

export const translation: View = {
  doc: 'Translation units in the cache, in order of their making: what of the guest they stand for, where they lie, where they go on.',
  arg: 'host?, vm or id',
  columns: columns(`
    unit [count]: number of the unit, from 0
    rip [hex]: guest address of its first instruction
    source [bytes]: length of the guest's code
    instructions [count]: of the guest, 12 at most
    ident [count]: of them, those that went over as they were
    place [hex]: linear address in the cache
    length [bytes]: there
    chained [count]: exits that lead straight on to another unit
    exits [count]: exits with a known target
    to: guest addresses of its exits; those without a successor yet in brackets
    callouts [count]: places that call the monitor, besides exits
    adaptive [count]: instructions translated again to call out for their store
    dead: its source was written, or its address leads elsewhere
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    const cache = found ? cacheIn(found.vm) : null;
    if (!cache) return [];
    return cache.all.slice(-SHOWN).map((unit): TranslationRow => ({
      key: String(unit.id), unit: unit.id, rip: hex(unit.rip), source: unit.source, instructions: unit.instructions.length, ident: unit.instructions.filter((one) => one.kind === 'IDENT').length,
      place: hex(linearAt(cache, unit.at)), length: unit.length, chained: unit.chains.filter((chain) => chain.to && !chain.to.dead).length, exits: unit.chains.length,
      to: unit.chains.map((chain) => (chain.to && !chain.to.dead ? hex(chain.exit.target) : `(${hex(chain.exit.target)})`)).join(' '),
      callouts: unit.callouts, adaptive: unit.instructions.filter((one) => cache.adaptive.has(one.rip)).length, dead: unit.dead,
    }));
  },
};

export const translated: View = {
  doc: 'One unit: each instruction of the cache, with the guest instruction that it begins. Without a unit: the newest.',
  arg: 'host?, vm or id, unit?',
  columns: columns(`
    unit [count]: number of the unit
    rip [hex]: guest instruction, on the first row of what became of it
    bytes: of the guest instruction
    text: the guest instruction
    kind: IDENT, RELATIVE, SEQUENCE, CALLOUT or CHAIN
    place [hex]: linear address in the cache
    cached: bytes there, as they are now
    does: what they are
    calls: what the monitor is called for; empty: nothing
  `),
  rows(world, arg) {
    const found = machineIn(world, arg);
    const cache = found ? cacheIn(found.vm) : null;
    if (!found || !cache) return [];
    const wanted = typeof arg.unit === 'number' || typeof arg.unit === 'string' ? Number(arg.unit) : null;
    const unit = wanted === null ? cache.newest : cache.all.find((one) => one.id === wanted);
    return unit ? unitRows(found.vm, cache, unit) : [];
  },
};

function unitRows(vm: Vm, cache: Cache, unit: Unit): TranslatedRow[] {
  const rows: TranslatedRow[] = [];
  for (let at = unit.at; at < unit.at + unit.length; ) {
    const callout = cache.callouts.get(at);
    const code = vm.machine.memory.subarray(own(vm).area.cache + at, own(vm).area.cache + Math.min(at + 15, unit.at + unit.length));
    const one = disassemble(code, linearAt(cache, at), cache.encoder.bits);
    const length = callout && code[0] === CALLOUT ? 1 : Math.max(1, one.length);
    const source = unit.instructions.find((instruction) => instruction.at === at - unit.at && instruction.length > 0);
    const owner = unit.instructions.findLast((instruction) => instruction.at <= at - unit.at);
    const tail = unit.chains.find((chain) => chain.exit.form === 'tail' && chain.at === at);
    const over = tail?.to && tail.to.at === at ? tail.to : null;
    rows.push({
      key: `${unit.id}:${at}`, unit: unit.id, rip: source ? hex(source.rip) : '', bytes: source ? text(source.d.bytes) : '', text: source ? disassemble(source.d.bytes, source.rip, source.d.bits).text : '',
      kind: tail ? 'CHAIN' : (owner?.kind ?? ''), place: hex(linearAt(cache, at)), cached: over ? '' : text(code.subarray(0, length)),
      does: over ? `goes on in unit ${over.id}, which follows` : one.text + towards(cache, one.target), calls: callout && code[0] === CALLOUT && !over ? callout.kind : '',
    });
    if (tail) break;
    at += length;
  }
  return withoutBytes(unit, rows);
}

/** " (unit 7)": where a jump in the cache leads. */
function towards(cache: Cache, target: bigint | null): string {
  if (target === null) return '';
  const at = Number(target - linearAt(cache, 0));
  const found = at >= 0 ? stepAt(cache, at) : null;
  return found && found.step.at === 0 ? ` (unit ${found.unit.id})` : '';
}

/** Direct jumps of the guest's leave nothing in the cache but their exit: they are told beside it. */
function withoutBytes(unit: Unit, rows: TranslatedRow[]): TranslatedRow[] {
  const gone = unit.instructions.filter((one) => one.length === 0 || one.kind === 'CHAIN').at(-1);
  const last = rows.at(-1);
  if (gone && last && last.rip === '' && !rows.some((row) => row.rip === hex(gone.rip))) {
    Object.assign(last, { rip: hex(gone.rip), bytes: text(gone.d.bytes), text: disassemble(gone.d.bytes, gone.rip, gone.d.bits).text });
  }
  return rows;
}
