/**
 * as: GNU's assembler for x86-64 and i386, AT&T's or Intel's syntax in, ELF64 or ELF32 relocatable objects out.
 * Source: as(1) 2.40. Left out: --x32, listings, debugging sections.
 */
import { SysError } from '../../kernel/abi.ts';
import { text } from '../../sim/text.ts';
import { drain, readBytes, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';
import { END } from './gas-blocks.ts';
import { writeElf } from './elf-write.ts';
import { layOut } from './gas-layout.ts';
import { type Mistake, readSource } from './gas-source.ts';

/** The object file of a source, or its mistakes; line 0: of no line in particular. */
export function assembleGas(source: string, wide = true): { object: Uint8Array; mistakes: Mistake[] } {
  const { sections, symbols, mistakes } = layOut(readSource(source, wide ? 64 : 32), wide);
  return { object: mistakes.some((one) => !one.warning) ? new Uint8Array(0) : writeElf(sections, symbols, null, wide), mistakes };
}

export const as: Program = function* (argv): Body {
  let output = 'a.out';
  let wide = true;
  let symbols = '';
  const inputs: string[] = [];
  for (let at = 1; at < argv.length; at++) {
    const arg = argv[at]!;
    if (arg === '--version') {
      yield* print('GNU assembler (GNU Binutils for Debian) 2.40\nThis assembler was configured for a target of `x86_64-linux-gnu\'.\n');
      return 0;
    }
    if (arg === '-o') {
      const value = argv[++at];
      if (value === undefined) return yield* failed("option requires an argument -- 'o'");
      output = value;
    } else if (arg.startsWith('-o')) output = arg.slice(2);
    else if (arg === '--32' || arg === '--64') wide = arg === '--64';
    else if (arg === '--defsym' || arg.startsWith('--defsym=')) symbols += `.set ${(arg.slice(9) || (argv[++at] ?? '')).replace('=', ',')};`;
    else if (arg === '--x32' || arg.startsWith('-a') || arg.startsWith('-I')) return yield* failed(`not modelled: ${arg}`);
    else if (/^(-g.*|--g.*|-W|--warn|--no-warn|--noexecstack|--fatal-warnings|-Qy|-march=.*|-mtune=.*)$/.test(arg)) continue;
    else if (arg.startsWith('-') && arg !== '-' && arg !== '--') return yield* failed(`unrecognized option '${arg}'`);
    else inputs.push(arg);
  }
  return yield* run(inputs.filter((one) => one !== '-' && one !== '--'), output, wide, symbols);
};

function told(name: string, { line, text: message, warning, from }: Mistake): string {
  const calls = (from ?? []).map((at, n) => `${name}:${at}: ${' '.repeat(n + 1)}Info: macro invoked from here\n`).join('');
  return `${name}:${line > 0 && line !== END ? `${line > END ? line - END : line}:` : ''} ${warning ? 'Warning' : 'Error'}: ${message}\n${calls}`;
}

function* failed(message: string): Call<number> {
  yield* complain(`as: ${message}\n`);
  return 1;
}

function* run(inputs: readonly string[], output: string, wide: boolean, symbols: string): Call<number> {
  let source = '';
  const name = inputs[0] ?? '{standard input}';
  if (inputs.length > 1) return yield* failed('not modelled: several input files');
  try {
    source = text(inputs[0] === undefined ? yield* drain(0) : yield* readBytes(inputs[0]));
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Assembler messages:\nError: can't open ${name} for reading: ${strerror(error)}\n`);
    return 1;
  }
  const { object, mistakes } = assembleGas(symbols + source, wide);
  if (mistakes.length > 0) {
    yield* complain(`${name}: Assembler messages:\n${mistakes.map((one) => told(name, one)).join('')}`);
    if (object.length === 0) return 1;
  }
  try {
    yield* writeFile(output, object);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`Assembler messages:\nFatal error: can't create ${output}: ${strerror(error)}\n`);
    return 1;
  }
  return 0;
}
