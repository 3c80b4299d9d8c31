/** A rule of iptables as words: parsed from the command line, printed as -S and as -L do. Source: iptables(8), iptables-extensions(8). */
import type { Rule, Test } from '../../../kernel/net/netfilter.ts';
import { ipNumber, networkText, parseAddress } from '../addresses.ts';

export const VERSION = 'iptables v1.8.11 (nf_tables)';
export const TRY = "Try `iptables -h' or 'iptables --help' for more information.";

/** A complaint of iptables, with its exit status. */
export class IptablesError extends Error {
  readonly status: number;
  constructor(message: string, status: number) {
    super(message);
    this.status = status;
  }
}

export function usage(message: string): IptablesError {
  return new IptablesError(`${VERSION}: ${message}\n${TRY}`, 2);
}

/** Targets that are not chains. */
export const TARGETS: ReadonlySet<string> = new Set(['ACCEPT', 'DROP', 'REJECT', 'RETURN', 'MASQUERADE', 'DNAT', 'SNAT', 'REDIRECT']);
const PROTOCOLS: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp']);
const NUMBERS: Record<string, string> = { '1': 'icmp', '6': 'tcp', '17': 'udp' };
const MATCHES: ReadonlySet<string> = new Set(['tcp', 'udp', 'icmp', 'conntrack', 'state', 'addrtype', 'comment', 'multiport', 'statistic']);

/** "10.0.0.0/8", "10.0.0.1/32", "10.0.0.0/255.0.0.0". */
function network(word: string): string {
  const [address, mask] = word.split('/') as [string, string | undefined];
  const wide = mask?.includes('.') ? String(32 - Math.log2(4294967296 - ipNumber(mask)!)) : mask;
  const found = parseAddress(wide === undefined ? address : `${address}/${wide}`);
  if (!found) throw usage(`host/network \`${word}' not found`);
  return `${networkText(found.address, found.prefix)}/${found.prefix}`;
}

function protocol(word: string): string | null {
  const name = NUMBERS[word] ?? word.toLowerCase();
  if (name === 'all' || name === '0') return null;
  if (!PROTOCOLS.has(name)) throw usage(`not modelled: protocol ${word}`);
  return name;
}

/** Options of rules that take a value, by the name they set. */
type Setter = (rule: Rule, value: string, not: boolean) => void;

function tested<T>(is: T, not: boolean): Test<T> {
  return { is, not };
}

function ports(key: 'sport' | 'dport', module: 'proto' | 'multiport'): Setter {
  return (rule, value, not) => {
    if (!rule.proto || rule.proto.is === 'icmp') throw usage(`unknown option "--${key}${module === 'multiport' ? 's' : ''}"`);
    if (!/^\d*(:\d*)?(,\d+(:\d+)?)*$/.test(value) || value === '') throw usage(`invalid port/service \`${value}' specified`);
    rule[key] = tested(value, not);
    uses(rule, module === 'multiport' ? 'multiport' : rule.proto.is);
  };
}

function uses(rule: Rule, module: string): void {
  rule.modules ??= [];
  if (!rule.modules.includes(module)) rule.modules.push(module);
}

const OPTIONS: Readonly<Record<string, Setter>> = {
  '-p': (rule, value, not) => {
    const name = protocol(value);
    if (name) rule.proto = tested(name, not);
  },
  '-s': (rule, value, not) => {
    if (network(value) !== '0.0.0.0/0') rule.src = tested(network(value), not);
  },
  '-d': (rule, value, not) => {
    if (network(value) !== '0.0.0.0/0') rule.dst = tested(network(value), not);
  },
  '-i': (rule, value, not) => {
    rule.in = tested(value, not);
  },
  '-o': (rule, value, not) => {
    rule.out = tested(value, not);
  },
  '-j': (rule, value) => {
    rule.target = value;
  },
  '-m': (rule, value) => {
    if (!MATCHES.has(value)) throw usage(`Couldn't load match \`${value}':No such file or directory\n`);
    uses(rule, value === 'state' ? 'state' : value);
  },
  '--sport': ports('sport', 'proto'), '--dport': ports('dport', 'proto'), '--sports': ports('sport', 'multiport'), '--dports': ports('dport', 'multiport'),
  '--ctstate': (rule, value, not) => {
    rule.ctstate = tested(value.toUpperCase().split(','), not);
  },
  '--state': (rule, value, not) => {
    rule.ctstate = tested(value.toUpperCase().split(','), not);
  },
  '--dst-type': (rule, value, not) => {
    rule.dsttype = tested(value, not);
  },
  '--src-type': (rule, value, not) => {
    rule.srctype = tested(value, not);
  },
  '--mode': (_rule, value) => {
    if (value !== 'random') throw usage(`not modelled: --mode ${value}`);
  },
  '--probability': (rule, value) => {
    if (!(Number(value) >= 0 && Number(value) <= 1)) throw usage(`statistic: "--probability": must be between 0.000000 and 1.000000`);
    rule.probability = Number(value);
  },
  '--comment': (rule, value) => {
    rule.comment = value;
  },
  '--to-destination': (rule, value) => {
    rule.to = value;
  },
  '--to-source': (rule, value) => {
    rule.to = value;
  },
  '--to-ports': (rule, value) => {
    rule.to = value;
  },
  '--reject-with': (_rule, value) => {
    if (value !== 'icmp-port-unreachable') throw usage(`not modelled: --reject-with ${value}`);
  },
};

const LONG: Record<string, string> = {
  '--protocol': '-p', '--proto': '-p', '--source': '-s', '--src': '-s', '--destination': '-d', '--dst': '-d', '--in-interface': '-i', '--out-interface': '-o',
  '--jump': '-j', '--goto': '-j', '-g': '-j', '--match': '-m', '--source-port': '--sport', '--destination-port': '--dport', '--source-ports': '--sports', '--destination-ports': '--dports',
};

/** Reads one option of a rule at `at`; how many words it took, 0 when it is none. */
export function ruleOption(rule: Rule, argv: readonly string[], at: number): number {
  let i = at;
  let not = false;
  if (argv[i] === '!') {
    not = true;
    i++;
  }
  const word = argv[i];
  const set = word === undefined ? undefined : OPTIONS[LONG[word] ?? word];
  if (!set) return 0;
  i++;
  if (argv[i] === '!') {
    not = true;
    i++;
  }
  const value = argv[i];
  if (value === undefined) throw usage(`option "${word}" requires an argument`);
  set(rule, value, not);
  return i + 1 - at;
}

export function emptyRule(): Rule {
  return { target: '', packets: 0, bytes: 0 };
}

function moduleWords(rule: Rule, module: string): string {
  const part = (option: string, test: Test<string> | undefined): string => (test ? `${test.not ? ' !' : ''} ${option} ${test.is}` : '');
  switch (module) {
    case 'tcp': case 'udp':
      return rule.modules?.includes('multiport') ? '' : ` -m ${module}${part('--sport', rule.sport)}${part('--dport', rule.dport)}`;
    case 'multiport':
      return ` -m multiport${part('--sports', rule.sport)}${part('--dports', rule.dport)}`;
    case 'conntrack':
      return rule.ctstate ? ` -m conntrack${rule.ctstate.not ? ' !' : ''} --ctstate ${rule.ctstate.is.join(',')}` : ' -m conntrack';
    case 'state':
      return rule.ctstate ? ` -m state${rule.ctstate.not ? ' !' : ''} --state ${rule.ctstate.is.join(',')}` : ' -m state';
    case 'addrtype':
      return ` -m addrtype${part('--src-type', rule.srctype)}${part('--dst-type', rule.dsttype)}`;
    case 'statistic':
      return ` -m statistic --mode random --probability ${fixed31(rule.probability ?? 0)}`;
    case 'comment':
      return ` -m comment --comment ${/[\s"']/.test(rule.comment ?? '') ? `"${rule.comment}"` : rule.comment}`;
    default:
      return ` -m ${module}`;
  }
}

/** The kernel keeps 31 bits of a probability. */
const fixed31 = (p: number): string => (Math.round(p * 2 ** 31) / 2 ** 31).toFixed(11);

const TO: Record<string, string> = { DNAT: '--to-destination', SNAT: '--to-source', REDIRECT: '--to-ports', MASQUERADE: '--to-ports' };

/** "-A CHAIN …". */
export function ruleWords(chain: string, rule: Rule): string {
  const part = (option: string, test: Test<string> | undefined): string => (test ? `${test.not ? ' !' : ''} ${option} ${test.is}` : '');
  const head = `-A ${chain}${part('-s', rule.src)}${part('-d', rule.dst)}${part('-i', rule.in)}${part('-o', rule.out)}${part('-p', rule.proto)}`;
  const matches = (rule.modules ?? []).map((module) => moduleWords(rule, module)).join('');
  const to = rule.to ? ` ${TO[rule.target] ?? '--to'} ${rule.to}` : '';
  const reject = rule.target === 'REJECT' ? ' --reject-with icmp-port-unreachable' : '';
  return `${head}${matches}${rule.target ? ` -j ${rule.target}${reject}${to}` : ''}`;
}

function portsText(rule: Rule): string {
  const many = rule.modules?.includes('multiport');
  const one = (name: string, test: Test<string> | undefined): string => (test ? ` ${name}${test.not ? '!' : ''}:${test.is}` : '');
  if (many) return ` multiport ${rule.sport ? `sports ${rule.sport.is}` : ''}${rule.dport ? `dports ${rule.dport.is}` : ''}`;
  const range = (key: string, test: Test<string> | undefined): string => one(test?.is.includes(':') ? `${key}ts` : `${key}t`, test);
  return rule.sport || rule.dport ? ` ${rule.proto?.is}${range('sp', rule.sport)}${range('dp', rule.dport)}` : '';
}

/** What stands after the addresses in a list. */
export function extensionText(rule: Rule): string {
  let text = '';
  for (const module of rule.modules ?? []) {
    if (module === 'tcp' || module === 'udp') text += rule.modules?.includes('multiport') ? '' : portsText(rule) || ` ${module}`;
    else if (module === 'multiport') text += portsText(rule);
    else if (module === 'conntrack' && rule.ctstate) text += ` ${rule.ctstate.not ? '! ' : ''}ctstate ${rule.ctstate.is.join(',')}`;
    else if (module === 'state' && rule.ctstate) text += ` ${rule.ctstate.not ? '! ' : ''}state ${rule.ctstate.is.join(',')}`;
    else if (module === 'addrtype') text += ` ADDRTYPE match${rule.srctype ? ` src-type ${rule.srctype.is}` : ''}${rule.dsttype ? ` dst-type ${rule.dsttype.is}` : ''}`;
    else if (module === 'statistic') text += ` statistic mode random probability ${fixed31(rule.probability ?? 0)}`;
    else if (module === 'comment') text += ` /* ${rule.comment} */`;
  }
  if (rule.target === 'REJECT') text += ' reject-with icmp-port-unreachable';
  if (rule.to) text += rule.target === 'REDIRECT' ? ` redir ports ${rule.to}` : ` to:${rule.to}`;
  return text;
}
