/**
 * nasm -f bin: the lab's assembler (machine/isa/assemble.ts) behind NASM's command line and in the words of its errors.
 * Source: nasm(1) 2.16. Left out: object formats, include files, listing files; other sizes of code than the assembler has.
 */
import { SysError } from '../../kernel/abi.ts';
import { assemble } from '../../machine/isa/assemble.ts';
import { readText, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';

interface Job {
  input: string | null;
  output: string | null;
  format: string;
  defines: string[];
}

const HELP = `Usage: nasm [-@ response_file] [options...] [--] filename
       nasm -v (or --v)

Options (values in brackets indicate defaults):

    -h            show this text and exit (also --help)
    -v (or --v)   print the NASM version number and exit
    -o outfile    write output to outfile
    -f format     select output file format: bin (the only one that is modelled)
    -d macro[=str] pre-define a macro (-D macro[=str])
    -w...         warnings: accepted, none is given
`;

export const nasm: Program = function* (argv): Body {
  const job: Job = { input: null, output: null, format: 'bin', defines: [] };
  for (let at = 1; at < argv.length; at++) {
    const arg = argv[at]!;
    const value = (): string | undefined => (arg.length > 2 ? arg.slice(2) : argv[++at]);
    if (arg === '-v' || arg === '--v' || arg === '--version') return yield* said('NASM version 2.16.01\n');
    if (arg === '-h' || arg === '--help') return yield* said(HELP);
    if (arg.startsWith('-o')) job.output = value() ?? null;
    else if (arg.startsWith('-f')) job.format = value() ?? '';
    else if (/^-[dD]/.test(arg)) job.defines.push(value() ?? '');
    else if (/^-(w|W|O|g|F|X|Z|s|E?$)/.test(arg) && arg !== '-') {
      if (/^-[FXZ]$/.test(arg)) at++;
    } else if (arg === '-l' || /^-[iIpPuUM]/.test(arg)) return yield* fatal(`not modelled: ${arg}`);
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
  const assembled = assemble(defines + source, input);
  const shift = job.defines.length;
  if (assembled.errors.length > 0) {
    for (const { text, line } of assembled.errors) yield* complain(`${shift > 0 ? text.replace(`:${line}:`, `:${line - shift}:`) : text}\n`);
    return 1;
  }
  const output = job.output ?? input.replace(/\.[^./]*$/, '').replace(/^.*\//, '');
  try {
    yield* writeFile(output === input ? `${output}.out` : output, assembled.bytes);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return yield* fatal(`unable to open output file \`${output}': ${strerror(error)}`);
  }
  return 0;
}
