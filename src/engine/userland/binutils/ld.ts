/**
 * ld: objects into a flat image or a static executable of x86-64 or i386, by the default layout or a script. Source: ld(1) 2.40.
 * Left out: libraries, shared objects, other emulations.
 */
import { SysError } from '../../kernel/abi.ts';
import { text } from '../../sim/text.ts';
import { readBytes, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';
import { readElf, SHF, SHT } from './elf.ts';
import { writeElf, type WrittenSegment } from './elf-write.ts';
import { readScript, type Script, ScriptError } from './ldscript.ts';
import { applyRelocations, type Input, link, type Linked, type Placed } from './link.ts';
import { linkByScript } from './link-script.ts';

interface Job {
  output: string;
  /** Null: where the emulation has it. */
  text: bigint | null;
  wide: boolean;
  script: string | null;
  binary: boolean;
  entry: string | null;
  pages: boolean;
  strip: boolean;
  inputs: string[];
}

const VALUED: Readonly<Record<string, (job: Job, value: string) => string | null>> = {
  '-o': (job, value) => {
    job.output = value;
    return null;
  },
  '-e': (job, value) => {
    job.entry = value;
    return null;
  },
  '-Ttext': (job, value) => {
    if (!/^(0[xX])?[0-9a-fA-F]+$/.test(value)) return `invalid hex number \`${value}'`;
    job.text = BigInt(`0x${value.replace(/^0[xX]/, '')}`);
    return null;
  },
  '--oformat': (job, value) => {
    return formatted(job, value);
  },
  '-m': (job, value) => {
    job.wide = value !== 'elf_i386';
    return value === 'elf_x86_64' || value === 'elf_i386' ? null : `unrecognised emulation mode: ${value}\nSupported emulations: elf_x86_64 elf_i386`;
  },
  '-T': (job, value) => {
    job.script = value;
    return null;
  },
  '-z': () => null,
};
const NAMES: Readonly<Record<string, string>> = { '--output': '-o', '--entry': '-e', '-oformat': '--oformat', '--Ttext': '-Ttext', '--script': '-T' };

function formatted(job: Job, value: string): string | null {
  job.binary = value === 'binary';
  if (/^elf(32-i386|64-x86-64)$/.test(value)) job.wide = value.startsWith('elf64');
  else if (!job.binary) return `not modelled: output format ${value}`;
  return null;
}

/** An option's message of failure, or null. */
function options(job: Job, argv: readonly string[]): string | null {
  for (let at = 1; at < argv.length; at++) {
    const arg = argv[at]!;
    const cut = arg.startsWith('-') ? arg.indexOf('=') : -1;
    const name = cut < 0 ? arg : arg.slice(0, cut);
    const known = VALUED[NAMES[name] ?? name] ? (NAMES[name] ?? name) : /^-([oemz]|T(?!text|data|bss|rodata|ldata))./.test(arg) && !/^-(entry|oformat)/.test(arg) ? arg.slice(0, 2) : null;
    if (known !== null) {
      const value = name === known || NAMES[name] ? (cut >= 0 ? arg.slice(cut + 1) : argv[++at]) : arg.slice(2);
      if (value === undefined) return `option requires an argument -- '${known.replace(/^-+/, '')}'`;
      const error = VALUED[known]!(job, value);
      if (error !== null) return error;
    } else if (arg === '-N' || arg === '-n' || arg === '--omagic' || arg === '--nmagic') job.pages = false;
    else if (arg === '-s' || arg === '--strip-all') job.strip = true;
    else if (/^(-static|-nostdlib|--no-warn.*|--build-id=none|-g|-S|-no-pie|--warn-.*|-O\d?)$/.test(arg)) continue;
    else if (/^(-l|-L|-r|-shared|-pie|-Bstatic|--gc-sections|-Map|-M|-Tdata|-Tbss|--defsym|--section-start|-Ttext-segment|--build-id|-i|-u)/.test(arg)) return `not modelled: ${arg}`;
    else if (arg.startsWith('-')) return `unrecognized option '${arg}'`;
    else job.inputs.push(arg);
  }
  return null;
}

export const ld: Program = function* (argv): Body {
  if (argv.includes('--version') || argv.includes('-v')) {
    yield* print('GNU ld (GNU Binutils for Debian) 2.40\n');
    return 0;
  }
  const job: Job = { output: 'a.out', text: null, wide: true, script: null, binary: false, entry: null, pages: true, strip: false, inputs: [] };
  const error = options(job, argv) ?? (job.inputs.length === 0 ? 'no input files' : null);
  if (error !== null) return yield* failed([error]);
  const inputs: Input[] = [];
  for (const name of job.inputs) {
    const one = yield* opened(name);
    if (typeof one === 'string') return yield* failed([one]);
    inputs.push(one);
  }
  const linked = yield* joined(job, inputs);
  if (typeof linked === 'string') return yield* scripted(linked);
  const first = (job.script === null ? undefined : linked.sections.find(({ name }) => name === '.text')?.address) ?? linked.sections[0]?.address ?? 0n;
  const start = job.entry === null && job.script !== null ? (linked.globals.get('start')?.value ?? first) : linked.globals.get(job.entry ?? '_start')?.value ?? (/^(0[xX][0-9a-fA-F]+|\d+)$/.test(job.entry ?? '') ? BigInt(job.entry!) : null);
  const twice = linked.errors.filter((one) => one.includes(': multiple definition of '));
  if (twice.length > 0) yield* failed(twice);
  if (start === null) yield* complain(`ld: warning: cannot find entry symbol ${job.entry ?? '_start'}; defaulting to ${first.toString(16).padStart(job.wide ? 16 : 8, '0')}\n`);
  if (linked.errors.length > 0) return yield* failed(linked.errors.filter((one) => !twice.includes(one)));
  try {
    const made = job.binary ? { data: flat(linked.sections), rwx: false } : executable(linked, start ?? first, job);
    if (made.rwx) yield* complain(`ld: warning: ${job.output} has a LOAD segment with RWX permissions\n`);
    yield* writeFile(job.output, made.data, 0o755);
  } catch (problem) {
    if (!(problem instanceof SysError)) throw problem;
    return yield* failed([`cannot open output file ${job.output}: ${strerror(problem)}`]);
  }
  return 0;
};

/** A message as ld writes those of scripts. */
function* scripted(message: string): Call<number> {
  yield* complain(/^\S+:\d+: /.test(message) ? `ld:${message}\n` : `ld: ${message}\n`);
  return 1;
}

/** What the inputs are together, or why they are nothing. */
function* joined(job: Job, inputs: readonly Input[]): Call<Linked | string> {
  let script: Script | null = null;
  try {
    if (job.script !== null) script = readScript(text(yield* readBytes(job.script)), job.script);
  } catch (error) {
    if (error instanceof ScriptError) return error.message;
    if (!(error instanceof SysError)) throw error;
    return `cannot open linker script file ${job.script}: ${strerror(error)}`;
  }
  if (script?.format) {
    const problem = formatted(job, script.format);
    if (problem !== null) return problem;
  }
  job.entry ??= script?.entry ?? null;
  const strange = inputs.filter(({ elf }) => elf.wide !== job.wide);
  if (strange.length > 0) return strange.map(({ name, elf }) => `${elf.wide ? 'i386:x86-64' : 'i386'} architecture of input file \`${name}' is incompatible with ${job.wide ? 'i386:x86-64' : 'i386'} output`).join('\nld: ');
  if (!script) return link(inputs, job.text ?? (job.wide ? 0x401000n : 0x8049000n), job.pages);
  try {
    const linked = linkByScript(inputs, script, job.script!);
    applyRelocations(linked);
    return linked;
  } catch (error) {
    if (error instanceof ScriptError) return error.message;
    throw error;
  }
}

function* failed(lines: readonly string[]): Call<number> {
  for (const line of lines) yield* complain(`ld: ${line}\n`);
  return 1;
}

function* opened(name: string): Call<Input | string> {
  try {
    const elf = readElf(yield* readBytes(name));
    if (!elf) return `${name}: file format not recognized; treating as linker script\nld:${name}:1: syntax error`;
    if (!(elf.wide ? elf.machine === 62 : elf.machine === 3) || elf.type !== 1) return `not modelled: ${name} is no relocatable object of x86-64 or i386`;
    return { name, elf };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return `cannot find ${name}: ${strerror(error)}`;
  }
}

const loadOf = (one: Placed): bigint => one.load ?? one.address;
const held = (one: Placed): boolean => (one.flags & SHF.ALLOC) !== 0;

/** From the lowest address to the last byte that the file must hold. */
function flat(all: readonly Placed[]): Uint8Array {
  const sections = all.filter((one) => held(one) && one.type !== SHT.NOBITS && one.size > 0).sort((a, b) => (loadOf(a) < loadOf(b) ? -1 : 1));
  const from = sections[0] ? loadOf(sections[0]) : 0n;
  const end = sections.reduce((to, one) => (loadOf(one) + BigInt(one.size) > to ? loadOf(one) + BigInt(one.size) : to), from);
  const out = new Uint8Array(Number(end - from));
  for (const one of sections) out.set(one.data, Number(loadOf(one) - from));
  return out;
}

const PAGE = 0x1000n;

/** Whether a section begins another segment: elsewhere in memory, or of other rights and on another page. */
function apart(last: WrittenSegment, before: Placed, one: Placed): boolean {
  if (last.fileSize !== last.memorySize && one.type !== SHT.NOBITS) return true;
  if (loadOf(one) - one.address !== (last.physical ?? last.address) - last.address) return true;
  if (one.address < before.address || up(one.address, PAGE) - up(before.address + BigInt(before.size), PAGE) > PAGE) return true;
  const rights = ((one.flags ^ before.flags) & SHF.EXEC) !== 0 || ((one.flags & SHF.WRITE) !== 0 && (last.flags & 2) === 0);
  const end = before.size === 0 ? before.address : before.address + BigInt(before.size) - 1n;
  return rights && one.address / PAGE !== end / PAGE;
}

const up = (n: bigint, to: bigint): bigint => ((n + to - 1n) / to) * to;

function executable(linked: Linked, entry: bigint, job: Job): { data: Uint8Array; rwx: boolean } {
  const segments: WrittenSegment[] = [];
  const offsets = new Map<string, number>();
  let at = 0x1000;
  let before: Placed | null = null;
  for (const one of linked.sections) {
    if (!held(one)) continue;
    const bare = one.type === SHT.NOBITS;
    const last = segments.at(-1);
    const flags = 4 | (one.flags & 4 ? 1 : 0) | (one.flags & 1 ? 2 : 0);
    if (last && before && !apart(last, before, one)) {
      at = last.offset + Number(one.address - last.address);
      offsets.set(one.name, bare ? last.offset + last.fileSize : at);
      last.flags |= flags;
      last.memorySize = Number(one.address - last.address) + one.size;
      if (!bare) last.fileSize = last.memorySize;
    } else {
      if (last) at = Math.max(at, last.offset + last.fileSize);
      at += Number((one.address - BigInt(at)) & 0xfffn);
      offsets.set(one.name, at);
      segments.push({ flags, offset: at, address: one.address, fileSize: bare ? 0 : one.size, memorySize: one.size, ...(one.load !== undefined && one.load !== one.address ? { physical: one.load } : {}) });
    }
    if (!bare) at += one.size;
    before = one;
  }
  const symbols = job.strip ? [] : [...linked.locals, ...linked.globals.values()];
  return { data: writeElf(linked.sections, symbols, { entry, segments, offsets }, job.wide), rwx: segments.some(({ flags }) => flags === 7) };
}
