/**
 * ld: objects into a flat image or a static ELF64 executable. Source: ld(1) 2.40.
 * Left out: linker scripts, libraries, shared objects, emulations other than elf_x86_64.
 */
import { SysError } from '../../kernel/abi.ts';
import { readBytes, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';
import { readElf, SHT } from './elf.ts';
import { writeElf, type WrittenSegment } from './elf-write.ts';
import { type Input, link, type Linked, type Placed } from './link.ts';

interface Job {
  output: string;
  text: bigint;
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
    job.binary = value === 'binary';
    return value === 'binary' || value === 'elf64-x86-64' ? null : `not modelled: output format ${value}`;
  },
  '-m': (_job, value) => (value === 'elf_x86_64' ? null : `not modelled: emulation ${value}`),
  '-z': () => null,
};
const NAMES: Readonly<Record<string, string>> = { '--output': '-o', '--entry': '-e', '-oformat': '--oformat', '--Ttext': '-Ttext' };

/** An option's message of failure, or null. */
function options(job: Job, argv: readonly string[]): string | null {
  for (let at = 1; at < argv.length; at++) {
    const arg = argv[at]!;
    const cut = arg.startsWith('-') ? arg.indexOf('=') : -1;
    const name = cut < 0 ? arg : arg.slice(0, cut);
    const known = VALUED[NAMES[name] ?? name] ? (NAMES[name] ?? name) : /^-[oemz]./.test(arg) && !/^-(entry|oformat)/.test(arg) ? arg.slice(0, 2) : null;
    if (known !== null) {
      const value = name === known || NAMES[name] ? (cut >= 0 ? arg.slice(cut + 1) : argv[++at]) : arg.slice(2);
      if (value === undefined) return `option requires an argument -- '${known.replace(/^-+/, '')}'`;
      const error = VALUED[known]!(job, value);
      if (error !== null) return error;
    } else if (arg === '-N' || arg === '-n' || arg === '--omagic' || arg === '--nmagic') job.pages = false;
    else if (arg === '-s' || arg === '--strip-all') job.strip = true;
    else if (/^(-static|-nostdlib|--no-warn.*|--build-id=none|-g|-S|-no-pie|--warn-.*|-O\d?)$/.test(arg)) continue;
    else if (/^(-T|-l|-L|-r|-shared|-pie|-Bstatic|--gc-sections|-Map|-M|-Tdata|-Tbss|--script|--defsym|--section-start|-Ttext-segment|--build-id|-i|-u)/.test(arg)) return `not modelled: ${arg}`;
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
  const job: Job = { output: 'a.out', text: 0x401000n, binary: false, entry: null, pages: true, strip: false, inputs: [] };
  const error = options(job, argv) ?? (job.inputs.length === 0 ? 'no input files' : null);
  if (error !== null) return yield* failed([error]);
  const inputs: Input[] = [];
  for (const name of job.inputs) {
    const one = yield* opened(name);
    if (typeof one === 'string') return yield* failed([one]);
    inputs.push(one);
  }
  const linked = link(inputs, job.text, job.pages);
  const start = linked.globals.get(job.entry ?? '_start')?.value ?? (/^(0[xX][0-9a-fA-F]+|\d+)$/.test(job.entry ?? '') ? BigInt(job.entry!) : null);
  const first = linked.sections[0]?.address ?? 0n;
  const twice = linked.errors.filter((one) => one.includes(': multiple definition of '));
  if (twice.length > 0) yield* failed(twice);
  if (start === null) yield* complain(`ld: warning: cannot find entry symbol ${job.entry ?? '_start'}; defaulting to ${first.toString(16).padStart(16, '0')}\n`);
  if (linked.errors.length > 0) return yield* failed(linked.errors.filter((one) => !twice.includes(one)));
  try {
    yield* writeFile(job.output, job.binary ? flat(linked.sections) : executable(linked, start ?? first, job), 0o755);
  } catch (problem) {
    if (!(problem instanceof SysError)) throw problem;
    return yield* failed([`cannot open output file ${job.output}: ${strerror(problem)}`]);
  }
  return 0;
};

function* failed(lines: readonly string[]): Call<number> {
  for (const line of lines) yield* complain(`ld: ${line}\n`);
  return 1;
}

function* opened(name: string): Call<Input | string> {
  try {
    const elf = readElf(yield* readBytes(name));
    if (!elf) return `${name}: file format not recognized; treating as linker script: not modelled`;
    if (!elf.wide || elf.machine !== 62 || elf.type !== 1) return `not modelled: ${name} is no relocatable object of x86-64`;
    return { name, elf };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return `cannot find ${name}: ${strerror(error)}`;
  }
}

/** From the lowest address to the last byte that the file must hold. */
function flat(sections: readonly Placed[]): Uint8Array {
  const held = sections.filter((one) => one.type !== SHT.NOBITS);
  const from = held[0]?.address ?? 0n;
  const end = held.reduce((to, one) => (one.address + BigInt(one.size) > to ? one.address + BigInt(one.size) : to), from);
  const out = new Uint8Array(Number(end - from));
  for (const one of held) out.set(one.data, Number(one.address - from));
  return out;
}

function executable(linked: Linked, entry: bigint, job: Job): Uint8Array {
  const segments: WrittenSegment[] = [];
  const offsets = new Map<string, number>();
  let at = 0x1000;
  for (const one of linked.sections) {
    at += Number((one.address - BigInt(at)) & 0xfffn);
    offsets.set(one.name, at);
    const flags = 4 | (one.flags & 4 ? 1 : 0) | (one.flags & 1 ? 2 : 0);
    const last = segments.at(-1);
    const bare = one.type === SHT.NOBITS;
    if (last && last.flags === flags && last.fileSize === last.memorySize && BigInt(at - last.offset) === one.address - last.address) {
      last.memorySize = Number(one.address - last.address) + one.size;
      if (!bare) last.fileSize = last.memorySize;
    } else segments.push({ flags, offset: at, address: one.address, fileSize: bare ? 0 : one.size, memorySize: one.size });
    if (!bare) at += one.size;
  }
  const symbols = job.strip ? [] : [...linked.locals, ...linked.globals.values()];
  return writeElf(linked.sections, symbols, { entry, segments, offsets });
}
