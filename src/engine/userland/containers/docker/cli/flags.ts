/**
 * Flags of a command as its help prints them, one line a flag: the help text is the table that the parser reads. Errors
 * are pflag's. A type's name after the flag says what values it takes; a word without one is a switch.
 * Source: github.com/spf13/pflag, docker's opts package.
 */
import { isAddress } from './ports.ts';
import { sizeBytes } from './values.ts';
import { durationFault } from '../../../lib/duration.ts';

export interface Flag {
  short: string;
  long: string;
  /** "string", "list", "int", …; empty for a switch. */
  type: string;
}

export interface Flags {
  on: ReadonlyMap<string, string[]>;
  args: string[];
  has(name: string): boolean;
  /** The last value given. */
  get(name: string): string | undefined;
  all(name: string): string[];
}

/** A wrong flag; docker exits with 125. */
export class BadFlag extends Error {}

const HELP = '      --help                           Print usage\n';
/** Older names of flags of run and create, which their help does not tell of. */
const OLDER = '      --net network                    \n      --net-alias list                 \n      --dns-opt list                   \n';

/** Of update: taken, without effect on a kernel that has no such limit. */
const OLD_UPDATE = '      --kernel-memory bytes            \n';

const known = new Map<string, readonly Flag[]>();

/** Reads the lines of an options block, once; lines that only continue a text are passed over. */
export function readFlags(help: string): readonly Flag[] {
  let flags = known.get(help);
  if (!flags) known.set(help, (flags = flagsIn(help)));
  return flags;
}

function flagsIn(help: string): Flag[] {
  const flags: Flag[] = [];
  for (const line of `${help}\n${HELP}${help.includes('--network-alias') ? OLDER : help.includes('--memory-reservation') ? OLD_UPDATE : ''}`.split('\n')) {
    const m = /^ {2}(?:-(\w), | {4})--([\w-]+)(?: (\S+))?(?: {2,}.*)?$/.exec(line);
    if (m && !flags.some((f) => f.long === m[2])) flags.push({ short: m[1] ?? '', long: m[2]!, type: m[3] ?? '' });
  }
  return flags;
}

const label = (flag: Flag): string => (flag.short ? `-${flag.short}, --${flag.long}` : `--${flag.long}`);

/** Parses; in-order stops at the first word, as run and exec do. Throws BadFlag. */
export function parseFlags(flags: readonly Flag[], argv: readonly string[], order: 'in-order' | 'permute'): Flags {
  const on = new Map<string, string[]>();
  const args: string[] = [];
  const note = (flag: Flag, value: string): void => {
    check(flag, value);
    const list = on.get(flag.long);
    if (list) list.push(value);
    else on.set(flag.long, [value]);
  };
  const byLong = (name: string): Flag | undefined => flags.find((f) => f.long === name);
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (arg === '--') {
      args.push(...argv.slice(i + 1));
      break;
    }
    if (arg.startsWith('--')) {
      const cut = arg.indexOf('=');
      const name = cut < 0 ? arg.slice(2) : arg.slice(2, cut);
      if (name === '' || name.startsWith('-')) throw new BadFlag(`bad flag syntax: ${arg}`);
      const flag = byLong(name);
      if (!flag) throw new BadFlag(`unknown flag: --${name}`);
      if (cut >= 0) note(flag, arg.slice(cut + 1));
      else if (flag.type === '') note(flag, 'true');
      else if (i + 1 < argv.length) note(flag, argv[++i]!);
      else throw new BadFlag(`flag needs an argument: --${name}`);
    } else if (arg.startsWith('-') && arg !== '-') {
      i = shorthands(flags, argv, i, note);
    } else {
      args.push(arg);
      if (order === 'in-order') {
        args.push(...argv.slice(i + 1));
        break;
      }
    }
  }
  return { on, args, has: (n) => on.has(n) && on.get(n)!.at(-1) !== 'false', get: (n) => on.get(n)?.at(-1), all: (n) => on.get(n) ?? [] };
}

/** "-it", "-m64m", "-m=64m", "-m 64m"; returns the index of the last argument used. */
function shorthands(flags: readonly Flag[], argv: readonly string[], i: number, note: (flag: Flag, value: string) => void): number {
  const letters = argv[i]!.slice(1);
  for (let at = 0; at < letters.length; at++) {
    const letter = letters[at]!;
    const flag = flags.find((f) => f.short === letter);
    if (!flag && letter === 'h' && flags.some((f) => f.long === 'help')) {
      note({ short: '', long: 'help', type: '' }, 'true');
      continue;
    }
    if (!flag) throw new BadFlag(`unknown shorthand flag: '${letter}' in -${letters.slice(at)}`);
    const rest = letters.slice(at + 1);
    if (flag.type === '') {
      if (rest.startsWith('=')) {
        note(flag, rest.slice(1));
        return i;
      }
      note(flag, 'true');
      continue;
    }
    if (rest !== '') note(flag, rest.startsWith('=') ? rest.slice(1) : rest);
    else if (i + 1 < argv.length) note(flag, argv[++i]!);
    else throw new BadFlag(`flag needs an argument: '${letter}' in -${letters.slice(at)}`);
    return i;
  }
  return i;
}

/** What a value of each type must be; the error is the text after the flag's name. */
const CHECKS: Readonly<Record<string, (value: string, flag: Flag) => string | null>> = {
  '': (v) =>
    /^(1|t|T|TRUE|true|True|0|f|F|FALSE|false|False)$/.test(v) ? null : `strconv.ParseBool: parsing ${JSON.stringify(v)}: invalid syntax`,
  int: (v) => (/^[-+]?\d+$/.test(v) ? null : `strconv.ParseInt: parsing ${JSON.stringify(v)}: invalid syntax`),
  uint: (v) => (/^\d+$/.test(v) ? null : `strconv.ParseUint: parsing ${JSON.stringify(v)}: invalid syntax`),
  uint16: (v) => (/^\d+$/.test(v) ? null : `strconv.ParseUint: parsing ${JSON.stringify(v)}: invalid syntax`),
  duration: (v) => durationFault(v),
  bytes: (v, flag) => (sizeBytes(v) !== null || (v === '-1' && flag.long === 'memory-swap') ? null : `invalid size: '${v}'`),
  decimal: (v) => (/^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(v) ? null : `failed to parse ${v} as a rational number`),
};

const NAMED: Readonly<Record<string, (value: string) => string | null>> = {
  env: (v) => (v.startsWith('=') || v === '' ? `invalid environment variable: ${v}` : null),
  label: (v) => (v.startsWith('=') ? `invalid label '${v}': empty name` : null),
  'add-host': (v) => {
    const m = /^([^:=]+)[:=](.+)$/.exec(v);
    if (!m) return `bad format for add-host: ${JSON.stringify(v)}`;
    return m[2] === 'host-gateway' || isAddress(m[2]!.replace(/^\[(.*)\]$/, '$1')) ? null : `invalid IP address in add-host: ${JSON.stringify(m[2])}`;
  },
  dns: (v) => (isAddress(v.trim()) ? null : `IP address is not correctly formatted: ${v}`),
  'dns-search': (v) => (v.trim() === '.' || /^[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?(?:\.[a-z0-9](?:[-_a-z0-9]*[a-z0-9])?)*\.?$/i.test(v.trim()) ? null : `invalid domain: ${v}`),
  sysctl: (v) => (SYSCTL.test(v) ? null : `sysctl '${v}' is not allowed`),
  'device-cgroup-rule': (v) => (/^[acb] (?:\d+|\*):(?:\d+|\*) [rwm]{1,3}$/.test(v) ? null : `invalid device cgroup format '${v}'`),
  'blkio-weight-device': (v) => weightFault(v),
  'device-read-bps': (v) => rateFault(v, true), 'device-write-bps': (v) => rateFault(v, true),
  'device-read-iops': (v) => rateFault(v, false), 'device-write-iops': (v) => rateFault(v, false),
  'storage-opt': () => null,
  ulimit: (v) => ulimitFault(v),
  gpus: (v) => (v === 'all' || /^\d+$/.test(v) ? null : 'count must be an integer'),
  network: (v) => networkFault(v),
  filter: (v) => (v.includes('=') || v === '' ? null : 'bad format of filter (expected name=value)'),
  attach: (v) => (/^(stdin|stdout|stderr)$/i.test(v) ? null : 'valid streams are STDIN, STDOUT and STDERR'),
};

const SYSCTL = /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|(?:net|fs\.mqueue)\.[^=]*)=/;

/** "/dev/NAME:RATE"; bytes may have units. */
function rateFault(v: string, bytes: boolean): string | null {
  const cut = v.indexOf(':');
  if (cut < 1) return `bad format: ${v}`;
  if (!v.startsWith('/dev/')) return `bad format for device path: ${v}`;
  const rate = v.slice(cut + 1);
  if (bytes ? sizeBytes(rate) !== null : /^\d+$/.test(rate)) return null;
  return `invalid rate for device: ${v}. The correct format is <device-path>:<number>${bytes ? '[<unit>]. Number must be a positive integer. Unit is optional and can be kb, mb, or gb' : '. Number must be a positive integer'}`;
}

function weightFault(v: string): string | null {
  const cut = v.indexOf(':');
  if (cut < 1) return `bad format: ${v}`;
  if (!v.startsWith('/dev/')) return `bad format for device path: ${v}`;
  const weight = Number(v.slice(cut + 1));
  return /^\d+$/.test(v.slice(cut + 1)) && (weight === 0 || (weight >= 10 && weight <= 1000)) ? null : `invalid weight for device: ${v}`;
}

function check(flag: Flag, value: string): void {
  const fault = CHECKS[flag.type]?.(value, flag) ?? (flag.type === '' || (flag.long === 'attach' && flag.type === 'stringArray') ? undefined : NAMED[flag.long]?.(value)) ?? null;
  if (fault !== null)
    throw new BadFlag(
      `invalid argument ${JSON.stringify(value)} for ${JSON.stringify(label(flag))} flag: ${fault}`,
    );
}

const NETWORK_KEYS = ['name', 'alias', 'ip', 'ip6', 'driver-opt', 'mac-address', 'link-local-ip'];

function networkFault(v: string): string | null {
  if (!v.includes('=')) return null;
  for (const field of v.split(',')) {
    const [key, value] = field.split('=');
    if (value === undefined) return `invalid field ${field}`;
    if (!NETWORK_KEYS.includes(key!.toLowerCase())) return `invalid field key ${key}`;
  }
  return null;
}

const ULIMITS = 'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

function ulimitFault(v: string): string | null {
  const [name, limits, ...more] = v.split('=');
  if (limits === undefined || more.length > 0) return `invalid ulimit argument: ${v}`;
  if (!ULIMITS.includes(name!)) return `invalid ulimit type: ${name}`;
  const parts = limits.split(':');
  if (parts.length > 2) return `too many limit value arguments - ${limits}, can only have up to two, \`soft[:hard]\``;
  const bad = parts.find((p) => !/^-?\d+$/.test(p));
  if (bad !== undefined) return `strconv.ParseInt: parsing ${JSON.stringify(bad)}: invalid syntax`;
  const [soft, hard] = parts.map(Number);
  return hard !== undefined && hard !== -1 && soft! > hard
    ? `ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`
    : null;
}
