/**
 * as: GNU's assembler for x86-64, AT&T's syntax in, ELF64 relocatable objects out.
 * Source: as(1) 2.40. Left out: --32, listings, .intel_syntax, macros, debugging sections.
 */
import { SysError } from '../../kernel/abi.ts';
import { text } from '../../sim/text.ts';
import { drain, readBytes, writeFile } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import type { Body, Program } from '../../kernel/sys.ts';
import { writeElf } from './elf-write.ts';
import { layOut } from './gas-layout.ts';
import { type Mistake, readSource } from './gas-source.ts';

/** The object file of a source, or its mistakes; line 0: of no line in particular. */
export function assembleGas(source: string): { object: Uint8Array; mistakes: Mistake[] } {
  const { sections, symbols, mistakes } = layOut(readSource(source));
  return { object: mistakes.some((one) => !one.warning) ? new Uint8Array(0) : writeElf(sections, symbols, null), mistakes };
}

export const as: Program = function* (argv): Body {
  let output = 'a.out';
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
    else if (arg === '--32' || arg === '--x32' || arg.startsWith('-a') || arg.startsWith('-I') || arg.startsWith('--defsym')) return yield* failed(`not modelled: ${arg}`);
    else if (/^(--64|-g.*|--g.*|-W|--warn|--no-warn|--noexecstack|--fatal-warnings|-Qy|-march=.*|-mtune=.*)$/.test(arg)) continue;
    else if (arg.startsWith('-') && arg !== '-' && arg !== '--') return yield* failed(`unrecognized option '${arg}'`);
    else inputs.push(arg);
  }
  return yield* run(inputs.filter((one) => one !== '-' && one !== '--'), output);
};

function* failed(message: string): Call<number> {
  yield* complain(`as: ${message}\n`);
  return 1;
}

function* run(inputs: readonly string[], output: string): Call<number> {
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
  const { object, mistakes } = assembleGas(source);
  if (mistakes.length > 0) {
    yield* complain(`${name}: Assembler messages:\n${mistakes.map((one) => `${name}:${one.line > 0 ? `${one.line}:` : ''} ${one.warning ? 'Warning' : 'Error'}: ${one.text}\n`).join('')}`);
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
