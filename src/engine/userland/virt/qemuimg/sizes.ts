/** Sizes as QEMU reads and prints them, and the words of a command line as its getopt_long cuts them. Source: util/cutils.c's manual. */
import { BadOption, type Options, parseOptions } from '../../lib/args.ts';

const SUFFIX = 'bkmgtpe';

/** Bytes of "10M" (the default unit is bytes); NaN when it is not a size, Infinity beyond 64 bits. */
export function sizeOf(word: string): number {
  const match = /^\s*(\d+(?:\.\d+)?|0x[0-9a-f]+)([bkmgtpe]?)$/i.exec(word);
  if (!match) return Number.NaN;
  const power = Math.max(0, SUFFIX.indexOf((match[2] || 'b').toLowerCase()));
  const value = Number(match[1]) * 1024 ** power;
  if (match[1]!.includes('.') && power === 0) return Number.NaN;
  return value >= 2 ** 64 ? Number.POSITIVE_INFINITY : Math.floor(value);
}

/** "64 MiB", "1.25 MiB": three significant digits. */
export function human(bytes: number): string {
  let power = 0;
  while (bytes / 1024 ** power >= 1000 && power < 6) power++;
  return `${significant(bytes / 1024 ** power)} ${power === 0 ? '' : `${' KMGTPE'[power]}i`}B`;
}

/** %.3g: three digits, a tie to the even one (toPrecision takes the larger). */
export function significant(value: number, digits = 3): string {
  if (value === 0) return '0';
  const unit = 10 ** (Math.floor(Math.log10(value)) - digits + 1);
  const down = Math.floor(value / unit);
  return value / unit - down === 0.5 && down % 2 === 0 ? String(Number((down * unit).toPrecision(digits))) : String(Number(value.toPrecision(digits)));
}

/** A complaint about the command line itself: the tool points at its help. */
export class Usage extends Error {}

export function optionsOf(spec: string, argv: readonly string[]): Options {
  try {
    return parseOptions(spec, argv);
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    const letter = /^invalid option -- '(.)'$/.exec(error.message);
    const missing = /^option requires an argument -- '(.)'$/.exec(error.message);
    if (missing) throw new Usage(`missing argument for option '-${missing[1]}'`);
    const long = /^option '(--\S+)' requires an argument$/.exec(error.message);
    if (long) throw new Usage(`missing argument for option '${long[1]}'`);
    throw new Usage(letter ? `unrecognized option '-${letter[1]}'` : error.message);
  }
}
