/** A rule of iptables as words: parsed from the command line, printed as -S and as -L do. Source: iptables(8), xshared.c of 1.8.11. */
import type { Rule, Test } from '../../../kernel/net/netfilter.ts';
import { ipNumber, networkText } from '../addresses.ts';
import { PROTOCOLS } from '../services.ts';
import { type Match, MATCHES } from './matches.ts';
import { TARGETS } from './targets.ts';
import { number, usage } from './words.ts';

/** A rule being read: sources and destinations may be several, each pair a rule of its own. */
export interface Draft {
  rule: Rule;
  sources: Test<string>[];
  destinations: Test<string>[];
  /** Options seen that may stand once. */
  seen: Set<string>;
}

export function draft(): Draft {
  return { rule: { target: '', packets: 0, bytes: 0 }, sources: [], destinations: [], seen: new Set() };
}

/** "10.0.0.0/8", "10.0.0.1", "10.0.0.0/255.0.0.0", "localhost". */
function network(word: string): string {
  const [address, mask] = word.split('/') as [string, string | undefined];
  const host = address === 'localhost' ? '127.0.0.1' : address === 'anywhere' || address === 'any' ? '0.0.0.0' : address;
  const short = /^\d{1,3}(\.\d{1,3}){0,2}$/.test(host) && mask !== undefined ? `${host}${'.0'.repeat(4 - host.split('.').length)}` : host;
  const prefix = mask === undefined ? 32 : maskLength(mask);
  if (ipNumber(short) === null) throw usage(`host/network \`${address}' not found`);
  return `${networkText(short, prefix)}/${prefix}`;
}

function maskLength(mask: string): number {
  const dotted = mask.includes('.') ? ipNumber(mask) : null;
  if (dotted !== null) {
    const zeros = Math.log2(2 ** 32 - dotted);
    if (Number.isInteger(zeros)) return 32 - zeros;
    throw usage(`not modelled: mask ${mask} with holes`);
  }
  if (!/^\d{1,2}$/.test(mask) || Number(mask) > 32) throw usage(`invalid mask \`${mask}' specified`);
  return Number(mask);
}

const BY_NUMBER = new Map(Object.entries(PROTOCOLS).map(([name, n]) => [n, name]));
/** Those that iptables knows without /etc/protocols. */
const KNOWN: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp', 'esp', 'ah', 'sctp', 'udplite', 'ipv6-icmp', 'dccp', 'all']);

function protocol(word: string): string {
  const name = word.toLowerCase();
  const n = number(word, 255);
  if (name === 'all' || n === 0) return 'all';
  if (n !== null) return BY_NUMBER.get(n) ?? String(n);
  if (PROTOCOLS[name] === undefined) throw usage(`unknown protocol "${word}" specified`);
  return name;
}

/** A protocol in a list: with -n only those that need no look-up have names. */
export function protocolText(name: string, numeric: boolean): string {
  return numeric && !KNOWN.has(name) ? String(PROTOCOLS[name] ?? name) : name;
}

function interfaceName(word: string): string {
  if (word.length > 15) throw usage(`interface name \`${word}' must be shorter than IFNAMSIZ (15)`);
  if (word === '') throw usage('Empty interface is likely to be undesired');
  return word;
}

const GENERIC: Readonly<Record<string, (draft: Draft, value: string, not: boolean) => void>> = {
  '-p': ({ rule }, value, not) => {
    const name = protocol(value);
    if (name === 'all' && not) throw usage('rule would never match protocol');
    if (name !== 'all') rule.proto = { is: name, not };
  },
  '-s': ({ sources }, value, not) => addresses(sources, value, not),
  '-d': ({ destinations }, value, not) => addresses(destinations, value, not),
  '-i': ({ rule }, value, not) => void (rule.in = { is: interfaceName(value), not }),
  '-o': ({ rule }, value, not) => void (rule.out = { is: interfaceName(value), not }),
  '-j': ({ rule }, value) => void (rule.target = value),
  '-g': ({ rule }, value) => {
    rule.target = value;
    rule.goto = true;
  },
  '-c': ({ rule }, value) => void (rule.packets = Number(value)),
};

function addresses(into: Test<string>[], value: string, not: boolean): void {
  const words = value.split(',');
  if (not && words.length > 1) throw usage('! not allowed with multiple source or destination IP addresses');
  for (const word of words) into.push({ is: network(word), not });
}

const LONG: Readonly<Record<string, string>> = {
  '--protocol': '-p', '--proto': '-p', '--source': '-s', '--src': '-s', '--destination': '-d', '--dst': '-d', '--in-interface': '-i', '--out-interface': '-o',
  '--jump': '-j', '--goto': '-g', '--match': '-m', '--fragment': '-f', '--fragments': '-f', '--set-counters': '-c',
};
const FULL: Readonly<Record<string, string>> = {
  '-p': '--protocol', '-s': '--source', '-d': '--destination', '-i': '--in-interface', '-o': '--out-interface', '-j': '--jump', '-f': '--fragments',
};
const ONCE: ReadonlySet<string> = new Set(Object.keys(FULL));
const FLAG_WORDS = ['--table', '--verbose', '--numeric', '--exact', '--line-numbers', '--wait', '--modprobe', '--ipv4', '--ipv6', '--version', '--help'];

/** The one long option that `given` begins, of those that are known at this place; null when it is none or several. Source: getopt_long(3). */
export function longOption({ rule }: Draft, given: string, commands: readonly string[]): string | null {
  const [, name, rest = ''] = /^(--[^=]*)(=.*)?$/s.exec(given) ?? [];
  if (name === undefined || name === '--') return null;
  const extensions = [...(rule.modules ?? []), rule.proto?.is ?? ''].flatMap((module) => Object.keys(MATCHES[module]?.options ?? {}));
  const known = [...FLAG_WORDS, ...commands, ...Object.keys(LONG), ...extensions, ...Object.keys(TARGETS[rule.target]?.options ?? {})];
  if (known.includes(name)) return null;
  const meant = new Set(known.filter((one) => one.startsWith(name)));
  return meant.size === 1 ? `${[...meant][0]}${rest}` : null;
}

/** Matches that the real one has and this one has not. */
const LACKING: ReadonlySet<string> = new Set('ah bpf cgroup cluster connbytes connlabel cpu dccp devgroup dscp ecn esp hashlimit helper ipcomp ipvs nfacct osf physdev policy quota rateest realm rpfilter sctp set socket string tcpmss time tos u32 udplite unclean'.split(' '));

function load(rule: Rule, module: string): Match {
  const match = MATCHES[module];
  if (!match && LACKING.has(module)) throw usage(`not modelled: match ${module}`);
  if (!match) throw usage(`Couldn't load match \`${module}':No such file or directory\n`);
  rule.modules ??= [];
  if (!rule.modules.includes(module)) rule.modules.push(module);
  return match;
}

/** What understands an option: a match that is loaded, the target, or the protocol's match, which is loaded then. */
function understands(rule: Rule, word: string): Match['options'][string] | null {
  for (const module of rule.modules ?? []) {
    const found = MATCHES[module]!.options[word];
    if (found) return found;
  }
  const target = TARGETS[rule.target]?.options[word];
  if (target) return target;
  const proto = rule.proto && !rule.proto.not ? rule.proto.is : '';
  if (!MATCHES[proto]?.options[word]) return null;
  return load(rule, proto).options[word]!;
}

/** Reads one option of a rule at `at`; how many words it took, 0 when it is none. */
export function ruleOption(draft: Draft, argv: readonly string[], at: number): number {
  const { rule, seen } = draft;
  let i = at;
  const not = argv[i] === '!';
  if (not) i++;
  const given = argv[i];
  if (given === undefined) return 0;
  const equals = /^(--[\w-]+)=(.*)$/s.exec(given);
  const word = LONG[equals?.[1] ?? given] ?? equals?.[1] ?? given;
  i++;
  const value = (): string => {
    const next = equals ? equals[2]! : argv[i++];
    if (next === undefined) throw usage(`option "${given}" requires an argument`);
    return next;
  };
  if (ONCE.has(word)) {
    if (seen.has(word)) throw usage(`multiple ${FULL[word]} options not allowed`);
    seen.add(word);
  }
  if (word === '-f') rule.fragment = { is: true, not };
  else if (word === '-m') load(rule, value());
  else if (word === '-c') {
    rule.packets = Number(value());
    if (/^\d+$/.test(argv[i] ?? '')) rule.bytes = Number(argv[i++]);
  } else if (GENERIC[word]) GENERIC[word](draft, value(), not);
  else {
    const found = understands(rule, word);
    if (!found) return 0;
    const first = found.values > 0 ? value() : '';
    if (found.values === 2 && (argv[i] === undefined || /^[-!]/.test(argv[i]!))) throw usage(`${word} requires two args.`);
    found.set(rule, first, not, found.values === 2 ? argv[i++]! : '');
  }
  return i - at;
}

/** The rules of a draft, checked. */
export function rulesOf({ rule, sources, destinations }: Draft): Rule[] {
  for (const module of rule.modules ?? []) MATCHES[module]!.check?.(rule);
  TARGETS[rule.target]?.check?.(rule);
  const each = (tests: readonly Test<string>[]): (Test<string> | null)[] => (tests.length === 0 ? [null] : tests.map((test) => (test.is === '0.0.0.0/0' && !test.not ? null : test)));
  return each(sources).flatMap((src) => each(destinations).map((dst) => ({ ...rule, ...(src ? { src } : {}), ...(dst ? { dst } : {}) })));
}

/** "-A CHAIN …". `counters` puts them after the addresses, as -S -v does. */
export function ruleWords(chain: string, rule: Rule, counters = false): string {
  const part = (option: string, test: Test<string> | undefined): string => (test ? `${test.not ? ' !' : ''} ${option} ${test.is}` : '');
  const fragment = rule.fragment ? `${rule.fragment.not ? ' !' : ''} -f` : '';
  const head = `-A ${chain}${part('-s', rule.src)}${part('-d', rule.dst)}${part('-i', rule.in)}${part('-o', rule.out)}${part('-p', rule.proto)}${fragment}`;
  const matches = (rule.modules ?? []).map((module) => ` -m ${module}${MATCHES[module]?.save(rule) ?? ''}`).join('');
  const counts = counters ? ` -c ${rule.packets} ${rule.bytes}` : '';
  const target = rule.target ? ` ${rule.goto ? '-g' : '-j'} ${rule.target}${TARGETS[rule.target]?.save(rule) ?? ''}` : '';
  return `${head}${matches}${counts}${target}`;
}

/** What stands after the addresses in a list. */
export function extensionText(rule: Rule, numeric: boolean): string {
  const matches = (rule.modules ?? []).map((module) => MATCHES[module]?.list(rule, numeric) ?? '').join('');
  return `${rule.goto ? '[goto] ' : ''}${matches}${TARGETS[rule.target]?.list(rule, numeric) ?? ''}`;
}
