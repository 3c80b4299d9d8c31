/**
 * Options of GNU-style commands as data: one line an option, read by one parser, so that every tool says the same things
 * about bad ones. Source: getopt_long(3).
 */

/** Thrown for a bad command line; `message` is what getopt_long prints after "NAME: ". */
export class BadOption extends Error {}

export interface Options {
  /** Flags given, by long name (or the letter where there is none), with how often. */
  on: Map<string, number>;
  /** Values given, by the same name, in order. */
  values: Map<string, string[]>;
  /** What is not an option. */
  words: string[];
}

interface Table {
  byLetter: ReadonlyMap<string, Spec>;
  byLong: ReadonlyMap<string, Spec>;
}

const tables = new Map<string, Table>();

function tableOf(spec: string): Table {
  const known = tables.get(spec);
  if (known) return known;
  const byLetter = new Map<string, Spec>();
  const byLong = new Map<string, Spec>();
  for (const word of spec.split(/\s+/).filter(Boolean)) {
    const takes = word.endsWith('=') ? 'value' : word.endsWith('?') ? 'maybe' : 'none';
    const [first, second] = word.replace(/[=?]$/, '').split('/') as [string, string | undefined];
    const one: Spec = { name: second ?? first, takes };
    if (first.length === 1) byLetter.set(first, one);
    else byLong.set(first, one);
    if (second) byLong.set(second, one);
  }
  const table = { byLetter, byLong };
  tables.set(spec, table);
  return table;
}

/**
 * `spec` is words such as "a all l I/ignore= sort= color?": letter, letter/long or long; "=" takes a value, "?" may take
 * one with "=". With `inOrder` the first word ends the options, as POSIXLY_CORRECT and "+" do.
 */
export function parseOptions(spec: string, argv: readonly string[], inOrder: 'in-order' | 'permute' = 'permute'): Options {
  const { byLetter, byLong } = tableOf(spec);
  const out: Options = { on: new Map(), values: new Map(), words: [] };
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') {
      out.words.push(...argv.slice(i + 1));
      break;
    }
    if (arg.startsWith('--')) {
      const cut = arg.indexOf('=');
      const name = cut < 0 ? arg.slice(2) : arg.slice(2, cut);
      const one = byLong.get(name) ?? abbreviated(byLong, name, arg);
      if (one.takes === 'none' && cut >= 0) throw new BadOption(`option '--${one.name}' doesn't allow an argument`);
      if (one.takes === 'value' && cut < 0 && i + 1 >= argv.length) throw new BadOption(`option '--${one.name}' requires an argument`);
      note(out, one, cut >= 0 ? arg.slice(cut + 1) : one.takes === 'value' ? argv[++i]! : null);
    } else if (arg.startsWith('-') && arg !== '-') {
      for (let at = 1; at < arg.length; at++) {
        const letter = arg[at]!;
        const one = byLetter.get(letter);
        if (!one) throw new BadOption(`invalid option -- '${letter}'`);
        if (one.takes !== 'value') {
          note(out, one, null);
          continue;
        }
        const rest = arg.slice(at + 1);
        if (rest === '' && i + 1 >= argv.length) throw new BadOption(`option requires an argument -- '${letter}'`);
        note(out, one, rest !== '' ? rest : argv[++i]!);
        break;
      }
    } else {
      out.words.push(arg);
      if (inOrder === 'in-order') {
        out.words.push(...argv.slice(i + 1));
        break;
      }
    }
  }
  return out;
}

interface Spec {
  name: string;
  takes: 'none' | 'value' | 'maybe';
}

function abbreviated(byLong: ReadonlyMap<string, Spec>, name: string, arg: string): Spec {
  const near = [...byLong.keys()].filter((long) => long.startsWith(name));
  if (near.length === 1 && name !== '') return byLong.get(near[0]!)!;
  if (near.length > 1 && name !== '') throw new BadOption(`option '${arg}' is ambiguous; possibilities: ${near.map((n) => `'--${n}'`).join(' ')}`);
  throw new BadOption(`unrecognized option '${arg}'`);
}

function note(out: Options, one: Spec, value: string | null): void {
  out.on.set(one.name, (out.on.get(one.name) ?? 0) + 1);
  if (value === null) return;
  const list = out.values.get(one.name);
  if (list) list.push(value);
  else out.values.set(one.name, [value]);
}

/** The last value given for an option, or undefined. */
export function lastValue(options: Options, name: string): string | undefined {
  return options.values.get(name)?.at(-1);
}
