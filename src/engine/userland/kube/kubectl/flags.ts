/**
 * kubectl's command line: flags as a row of text a command ("o/output= A/all-namespaces dry-run=?unchanged"), positional
 * arguments, what follows "--". `=` takes a value, `=?x` may (x when bare), `*` collects; the rest are switches.
 */
import { durationFault } from '../../lib/duration.ts';
export class UsageError extends Error {}

export interface Flags {
  /** "kubectl create role". */
  command: string;
  /** Objects printed so far: YAML documents are divided by "---". */
  printed: number;
  args: string[];
  /** After "--"; null when there was none. */
  rest: string[] | null;
  text: Map<string, string>;
  many: Map<string, string[]>;
}

interface Spec {
  name: string;
  short: string | null;
  value: boolean;
  bare: string | null;
  many: boolean;
}

const GLOBAL =
  'n/namespace= context= kubeconfig= s/server= cluster= user= request-timeout= v/v=?0 as= as-group=* as-uid= token= insecure-skip-tls-verify cache-dir= warnings-as-errors certificate-authority= client-certificate= client-key= disable-compression match-server-version tls-server-name= username= password= log-flush-frequency= vmodule= profile= profile-output= h/help';

function specs(row: string): Spec[] {
  return row.split(' ').filter((w) => w !== '').map((word) => {
    const m = /^(?:(\w)\/)?([\w-]+)(=)?(?:\?(\S*))?(\*)?$/.exec(word)!;
    return { short: m[1] ?? null, name: m[2]!, value: m[3] !== undefined, bare: m[4] ?? null, many: m[5] !== undefined };
  });
}

/** Where the words are that are no flags and no values of flags, up to "--". Flags that nobody knows take none. */
export function positions(argv: readonly string[], row: string): number[] {
  const known = specs(`${row} ${GLOBAL}`);
  const out: number[] = [];
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') break;
    const long = /^--([^=]+)$/.exec(arg);
    const short = /^-(\w)$/.exec(arg);
    const spec = long ? known.find((s) => s.name === long[1]) : short ? known.find((s) => s.short === short[1]) : undefined;
    if (spec?.value && spec.bare === null) i++;
    else if (!arg.startsWith('-') || arg === '-') out.push(i);
  }
  return out;
}

export function parseFlags(command: string, argv: readonly string[], row: string): Flags {
  const known = specs(`${row} ${GLOBAL}`);
  const out: Flags = { command, printed: 0, args: [], rest: null, text: new Map(), many: new Map() };
  const usage = (message: string): UsageError => new UsageError(`Error: ${message}\nSee '${command} --help' for usage.`);
  const set = (spec: Spec, value: string): void => {
    if (!spec.value && !BOOLEANS.test(value)) throw usage(`invalid argument ${JSON.stringify(value)} for "${spec.short ? `-${spec.short}, ` : ''}--${spec.name}" flag: strconv.ParseBool: parsing ${JSON.stringify(value)}: invalid syntax`);
    const refused = spec.value && value !== spec.bare ? fault(spec.name, value) : null;
    if (refused) throw usage(`invalid argument ${JSON.stringify(value)} for "${spec.short ? `-${spec.short}, ` : ''}--${spec.name}" flag: ${refused}`);
    if (spec.many) out.many.set(spec.name, [...(out.many.get(spec.name) ?? []), value]);
    out.text.set(spec.name, value);
  };
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') {
      out.rest = argv.slice(i + 1);
      break;
    }
    if (arg.startsWith('--')) {
      const [, name = '', , value] = /^--([^=]*)(=([\s\S]*))?$/.exec(arg)!;
      const spec = known.find((s) => s.name === name);
      if (!spec) throw usage(`unknown flag: --${name}`);
      if (value !== undefined) set(spec, value);
      else if (!spec.value) set(spec, 'true');
      else if (spec.bare !== null) set(spec, spec.bare);
      else if (i + 1 < argv.length) set(spec, argv[++i]!);
      else throw usage(`flag needs an argument: --${name}`);
    } else if (arg.startsWith('-') && arg.length > 1) {
      for (let j = 1; j < arg.length; j++) {
        const spec = known.find((s) => s.short === arg[j]);
        if (!spec) throw usage(`unknown shorthand flag: '${arg[j]}' in ${arg}`);
        if (!spec.value) {
          set(spec, 'true');
          continue;
        }
        const tail = arg.slice(j + 1).replace(/^=/, '');
        if (tail !== '') set(spec, tail);
        else if (spec.bare !== null) set(spec, spec.bare);
        else if (i + 1 < argv.length) set(spec, argv[++i]!);
        else throw usage(`flag needs an argument: '${arg[j]}' in ${arg}`);
        break;
      }
    } else out.args.push(arg);
  }
  return out;
}

const NUMBERS = new Set('replicas current-replicas revision to-revision tail limit-bytes grace-period min max cpu-percent chunk-size max-log-requests value node-port retries skip-wait-for-delete-timeout'.split(' '));
const DURATIONS = new Set(['timeout', 'since', 'pod-running-timeout', 'duration']);

/** Why Go's flag package would not take a value of this flag; null when it would. */
function fault(name: string, value: string): string | null {
  if (NUMBERS.has(name)) {
    if (!/^[-+]?\d+$/.test(value)) return `strconv.ParseInt: parsing ${JSON.stringify(value)}: invalid syntax`;
    return Math.abs(Number(value)) > 2 ** 31 && name !== 'limit-bytes' && name !== 'tail' ? `strconv.ParseInt: parsing ${JSON.stringify(value)}: value out of range` : null;
  }
  return DURATIONS.has(name) ? durationFault(value) : null;
}

const BOOLEANS = /^(?:1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/;

export const on = (flags: Flags, name: string): boolean => flags.text.has(name) && !/^(?:0|f|F|FALSE|false|False)$/.test(flags.text.get(name)!);
