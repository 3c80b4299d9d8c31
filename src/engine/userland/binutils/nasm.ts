/**
 * nasm -f bin: the lab's assembler (machine/isa/assemble.ts) behind NASM's command line and in the words of its errors.
 * Source: nasm(1) 2.16. Left out: object formats, listing files, dependencies.
 */
import { SysError } from '../../kernel/abi.ts';
import { type AssembledError, assemble } from '../../machine/isa/assemble.ts';
import { text } from '../../sim/text.ts';
import { readBytes, readText, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';

interface Job {
  input: string | null;
  output: string | null;
  format: string;
  defines: string[];
  /** Folders of included files, as written: what is named is put behind them. */
  folders: string[];
  /** Classes of warnings that are not printed; `all` is every one, `error` turns them into errors. */
  silent: Set<string>;
  strict: boolean;
}

const HELP = `Usage: nasm [-@ response_file] [options...] [--] filename
       nasm -v (or --v)

Options (values in brackets indicate defaults):

    -h            show this text and exit (also --help)
    -v (or --v)   print the NASM version number and exit
    -o outfile    write output to outfile
    -f format     select output file format: bin (the only one that is modelled)
    -d macro[=str] pre-define a macro (-D macro[=str])
    -i path       add a pathname to the include file search path (also -I)
    -w-x          disable warning x (also -Wno-x), -w-all disables every one
    -Werror       treat all warnings as errors
`;

export const nasm: Program = function* (argv): Body {
  const job: Job = { input: null, output: null, format: 'bin', defines: [], folders: [], silent: new Set(), strict: false };
  for (let at = 1; at < argv.length; at++) {
    const arg = argv[at]!;
    const value = (): string | undefined => (arg.length > 2 ? arg.slice(2) : argv[++at]);
    if (arg === '-v' || arg === '--v' || arg === '--version') return yield* said('NASM version 2.16.01\n');
    if (arg === '-h' || arg === '--help') return yield* said(HELP);
    if (arg.startsWith('-o')) job.output = value() ?? null;
    else if (arg.startsWith('-f')) job.format = value() ?? '';
    else if (/^-[dD]/.test(arg)) job.defines.push(value() ?? '');
    else if (/^-[iI]/.test(arg)) job.folders.push(value() ?? '');
    else if (/^-[wW]/.test(arg)) warnings(job, arg);
    else if (/^-(O|g|F|X|Z|s|E?$)/.test(arg) && arg !== '-') {
      if (/^-[FXZ]$/.test(arg)) at++;
    } else if (arg === '-l' || /^-[pPuUM]/.test(arg)) return yield* fatal(`not modelled: ${arg}`);
    else if (arg.startsWith('-') && arg !== '-') {
      yield* complain(`nasm: error: unrecognised option \`${arg}'\n`);
      return 1;
    }
    else if (job.input !== null) return yield* fatal('more than one input file specified');
    else job.input = arg;
  }
  if (job.input === null) return yield* fatal('no input file specified');
  return yield* run(job, job.input);
};

function warnings(job: Job, arg: string): void {
  const name = arg.slice(2).replace(/^[+]/, '');
  const off = /^(-|no-)/.test(name);
  const of = name.replace(/^(-|no-)/, '');
  if (of === 'error') job.strict = !off;
  else if (off) job.silent.add(of);
  else job.silent.delete(of);
}

function* said(text: string): Call<number> {
  yield* print(text);
  return 0;
}

function* fatal(message: string): Call<number> {
  yield* complain(`nasm: fatal: ${message}${/^(no input|unrecognised output)/.test(message) ? '\nType nasm -h for help.' : ''}\n`);
  return 1;
}

function* run(job: Job, input: string): Call<number> {
  if (job.format !== 'bin') {
    return yield* fatal(/^(elf|elf32|elf64|elfx32|win32|win64|macho64|obj|coff|as86|aout|ith|srec|dbg)$/.test(job.format) ? `not modelled: output format \`${job.format}': only bin` : `unrecognised output format \`${job.format}' - use -hf for a list`);
  }
  let source: string;
  try {
    source = yield* readText(input);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fatal(`unable to open input file \`${input}' ${strerror(error)}`);
  }
  const defines = job.defines.map((one) => `%define ${one.replace('=', ' ')}\n`).join('');
  const named = yield* included(job, source);
  const found = assemble(defines + source, input, (name) => named.texts.get(name) ?? null, { bits: 16, binary: (name) => named.binaries.get(name) ?? null });
  const shift = job.defines.length;
  const told = (one: AssembledError): string => (shift > 0 && one.file === input ? one.text.replace(`:${one.line}:`, `:${one.line - shift}:`) : one.text);
  const shown = found.warnings.filter(({ text }) => !job.silent.has('all') && !job.silent.has(/\[-w\+([\w-]+)\]$/.exec(text)?.[1] ?? ''));
  for (const one of [...found.errors, ...shown].sort((a, b) => (a.file === b.file ? a.line - b.line : 0))) yield* complain(`${job.strict ? told(one).replace(': warning: ', ': error: ').replace('[-w+', '[-w+error=') : told(one)}\n`);
  if (found.errors.length > 0 || (job.strict && shown.length > 0)) return 1;
  const output = job.output ?? input.replace(/\.[^./]*$/, '').replace(/^.*\//, '');
  try {
    yield* writeFile(output === input ? `${output}.out` : output, found.bytes);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fatal(`unable to open output file \`${output}': ${strerror(error)}`);
  }
  return 0;
}

const INCLUDES = /^[ \t]*(?:%include|(?:[\w.$?@]+:?[ \t]+)?(incbin))[ \t]+(["'`])(.+?)\2/gim;

/** The files that a source names, and those that they name: read before, as the assembler itself reads nothing. */
function* included(job: Job, source: string): Call<{ texts: Map<string, string>; binaries: Map<string, Uint8Array> }> {
  const texts = new Map<string, string>();
  const binaries = new Map<string, Uint8Array>();
  const waiting = [source];
  for (let now = waiting.pop(); now !== undefined; now = waiting.pop()) {
    for (const [, binary, , name] of now.matchAll(INCLUDES)) {
      if (texts.has(name!) || binaries.has(name!)) continue;
      const bytes = yield* anywhere(job, name!);
      if (!bytes) continue;
      if (binary) binaries.set(name!, bytes);
      else {
        texts.set(name!, text(bytes));
        waiting.push(texts.get(name!)!);
      }
    }
  }
  return { texts, binaries };
}

function* anywhere(job: Job, name: string): Call<Uint8Array | null> {
  for (const folder of ['', ...job.folders]) {
    try {
      return yield* readBytes(folder === '' || folder.endsWith('/') ? folder + name : `${folder}/${name}`);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
  return null;
}
