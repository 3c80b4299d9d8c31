/** iptables, iptables-save, iptables-restore, conntrack: the tables of this network namespace. Source: iptables(8) 1.8.11, conntrack(8). */
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import type { Conn } from '../../../kernel/net/conntrack.ts';
import type { Chain, Rule } from '../../../kernel/net/netfilter.ts';
import { type Body, type NetlinkRequest, type Program, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { ansiTime, nowNs } from '../../lib/clock.ts';
import { attempt, drain } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { emptyRule, extensionText, IptablesError, ruleOption, ruleWords, TARGETS, usage, VERSION } from './rule.ts';

const NO_CHAIN = 'iptables: No chain/target/match by that name.';

interface Command {
  table: string;
  /** The letter of what to do: A I D C R L S F Z N X P E. */
  does: string;
  chain?: string;
  at?: number;
  policy?: string;
  rule: Rule;
  verbose: boolean;
  numeric: boolean;
  exact: boolean;
  numbers: boolean;
}

const COMMANDS: Record<string, string> = {
  '--append': 'A', '--insert': 'I', '--delete': 'D', '--check': 'C', '--replace': 'R', '--list': 'L', '--list-rules': 'S', '--flush': 'F', '--zero': 'Z',
  '--new-chain': 'N', '--new': 'N', '--delete-chain': 'X', '--policy': 'P', '--rename-chain': 'E',
};

function parse(argv: readonly string[]): Command {
  const out: Command = { table: 'filter', does: '', rule: emptyRule(), verbose: false, numeric: false, exact: false, numbers: false };
  for (let i = 0; i < argv.length; ) {
    const word = argv[i]!;
    if (word === '-t' || word === '--table') {
      out.table = argv[i + 1] ?? '';
      i += 2;
      continue;
    }
    const letter = COMMANDS[word] ?? (/^-[AIDCRLSFZNXPE]$/.test(word) ? word[1]! : '');
    if (letter !== '') {
      i = command(out, argv, i + 1, letter);
      continue;
    }
    const took = flag(out, word) ? 1 : ruleOption(out.rule, argv, i);
    if (took === 0) throw word.startsWith('-') ? usage(`unknown option "${word}"`) : new IptablesError(`Bad argument \`${word}'\nTry \`iptables -h' or 'iptables --help' for more information.`, 2);
    i += took;
  }
  if (out.does === '') throw usage('no command specified');
  return out;
}

/** The chain, position or policy that follows a command; where to go on reading. */
function command(out: Command, argv: readonly string[], from: number, letter: string): number {
  if (out.does !== '' && out.does !== letter) throw usage(`cannot use -${out.does} with -${letter}`);
  out.does = letter;
  let i = from;
  const next = argv[i];
  if (next !== undefined && !next.startsWith('-') && next !== '!') {
    out.chain = next;
    i++;
  } else if (!'LSFZX'.includes(letter)) throw usage(`option "-${letter}" requires an argument`);
  const after = argv[i];
  if ((letter === 'I' || letter === 'D' || letter === 'R' || letter === 'L' || letter === 'S') && after !== undefined && /^\d+$/.test(after)) {
    out.at = Number(after);
    i++;
  }
  if (letter === 'P' || letter === 'E') {
    if (after === undefined) throw usage(`-${letter} requires a chain and a policy`);
    out.policy = after;
    i++;
  }
  return i;
}

function flag(out: Command, word: string): boolean {
  if (/^-[vnxw]+$/.test(word)) {
    if (word.includes('v')) out.verbose = true;
    if (word.includes('n')) out.numeric = true;
    if (word.includes('x')) out.exact = true;
    return true;
  }
  if (word === '--line-numbers' || word === '--line-number') out.numbers = true;
  else if (word === '--verbose') out.verbose = true;
  else if (word === '--numeric') out.numeric = true;
  else if (word === '--exact') out.exact = true;
  else if (word !== '--wait') return false;
  return true;
}

function* chainsOf(table: string): Call<Chain[]> {
  try {
    return (yield* sys('netlink', { type: 'nf.list', table })) as Chain[];
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    if (error.errno === 'EPERM') throw new IptablesError(`${VERSION}: Could not fetch rule set generation id: Permission denied (you must be root)`, 4);
    throw new IptablesError(`${VERSION}: table '${table}' does not exist\nPerhaps iptables or your kernel needs to be upgraded.`, 3);
  }
}

function chosen(chains: readonly Chain[], name: string | undefined): readonly Chain[] {
  if (name === undefined) return chains;
  const found = chains.filter((one) => one.name === name);
  if (found.length === 0) throw new IptablesError(NO_CHAIN, 1);
  return found;
}

function counter(n: number, exact: boolean): string {
  if (exact) return String(n).padStart(8);
  if (n <= 99999) return String(n).padStart(5);
  for (const unit of ['K', 'M', 'G']) {
    n = Math.round(n / 1000);
    if (n <= 9999) return `${n}${unit}`.padStart(5);
  }
  return `${n}T`.padStart(5);
}

function ruleLine(rule: Rule, one: Command, number: number): string {
  const place = (test: Rule['src']): string => `${test?.not ? '!' : ' '}${(test ? test.is.replace(/\/32$/, '') : one.numeric ? '0.0.0.0/0' : 'anywhere').padEnd(19)} `;
  const link = (test: Rule['in']): string => `${test?.not ? '!' : ''}${test?.is ?? (one.numeric ? '*' : 'any')}`.padEnd(6);
  const counts = one.verbose ? `${counter(rule.packets, one.exact)} ${counter(rule.bytes, one.exact)} ` : '';
  const links = one.verbose ? `${link(rule.in)} ${link(rule.out)} ` : '';
  const proto = `${rule.proto?.not ? '!' : ' '}${(rule.proto?.is ?? 'all').padEnd(4)} `;
  const opt = one.verbose ? '--  ' : '-- ';
  return `${one.numbers ? `${String(number).padEnd(4)} ` : ''}${counts}${rule.target.padEnd(9)} ${proto}${opt}${links}${place(rule.src)}${place(rule.dst)}${extensionText(rule)}\n`;
}

function* list(one: Command): Call<void> {
  const all = yield* chainsOf(one.table);
  const head = `${one.numbers ? 'num  ' : ''}${one.verbose ? ' pkts bytes target     prot opt in     out    ' : 'target     prot opt'} source               destination         \n`;
  let first = true;
  for (const chain of chosen(all, one.chain)) {
    const counts = one.verbose ? ` ${chain.packets} packets, ${chain.bytes} bytes` : '';
    const references = all.reduce((n, other) => n + other.rules.filter((rule) => rule.target === chain.name).length, 0);
    const about = chain.policy ? `policy ${chain.policy}${counts}` : `${references} references`;
    yield* print(`${first ? '' : '\n'}Chain ${chain.name} (${about})\n${head}`);
    first = false;
    for (const [i, rule] of chain.rules.entries()) if (one.at === undefined || one.at === i + 1) yield* print(ruleLine(rule, one, i + 1));
  }
}

function* listRules(one: Command): Call<void> {
  const chains = chosen(yield* chainsOf(one.table), one.chain);
  for (const chain of chains) yield* print(chain.policy ? `-P ${chain.name} ${chain.policy}\n` : `-N ${chain.name}\n`);
  for (const chain of chains) for (const rule of chain.rules) yield* print(`${ruleWords(chain.name, rule)}\n`);
}

/** What the kernel's refusal of each command means. */
function refusal(one: Command, errno: string): IptablesError {
  if (errno === 'EPERM') return new IptablesError(`${VERSION}: Could not fetch rule set generation id: Permission denied (you must be root)`, 4);
  if (one.does === 'N' && errno === 'EEXIST') return new IptablesError('iptables: Chain already exists.', 1);
  if (one.does === 'X' && errno === 'EBUSY') return new IptablesError(`${VERSION}:  CHAIN_DEL failed (Device or resource busy): chain ${one.chain}`, 4);
  if (one.does === 'D' && errno === 'ENOENT') return new IptablesError(one.at === undefined ? 'iptables: Bad rule (does a matching rule exist in that chain?).' : 'iptables: Index of deletion too big.', 1);
  if (one.does === 'I' && errno === 'ERANGE') return new IptablesError('iptables: Index of insertion too big.', 1);
  if (errno === 'EINVAL') return new IptablesError(`${VERSION}:  RULE_APPEND failed (Invalid argument): rule in chain ${one.chain}`, 4);
  return new IptablesError(NO_CHAIN, 1);
}

const REQUESTS: Record<string, string> = { A: 'nf.append', I: 'nf.insert', D: 'nf.delete', F: 'nf.flush', Z: 'nf.zero', N: 'nf.newchain', X: 'nf.delchain', P: 'nf.policy' };

function* change(one: Command): Call<void> {
  const chains = yield* chainsOf(one.table);
  if (one.does === 'P' && one.policy !== 'ACCEPT' && one.policy !== 'DROP') throw new IptablesError('iptables: Bad policy name. Run `dmesg\' for more information.', 1);
  if ('AID'.includes(one.does)) {
    if (!chains.some((chain) => chain.name === one.chain)) throw new IptablesError(NO_CHAIN, 1);
    const { target } = one.rule;
    if (target !== '' && !TARGETS.has(target) && !chains.some((chain) => chain.name === target)) throw usage(`Chain '${target}' does not exist`);
    if ((target === 'DNAT' || target === 'SNAT') && !one.rule.to) throw usage(`${target}: option "--to-${target === 'DNAT' ? 'destination' : 'source'}" must be specified`);
  }
  const request: NetlinkRequest = {
    type: REQUESTS[one.does]!, table: one.table, ...(one.chain === undefined ? {} : { chain: one.chain }), ...(one.at === undefined ? {} : { at: one.at }),
    ...('AI'.includes(one.does) || (one.does === 'D' && one.at === undefined) ? { rule: one.rule } : {}), ...(one.policy === undefined ? {} : { policy: one.policy }),
  };
  try {
    yield* sys('netlink', request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw refusal(one, error.errno);
  }
}

/** -C: is there such a rule? */
function* check(one: Command): Call<void> {
  const [chain] = chosen(yield* chainsOf(one.table), one.chain);
  const wanted = ruleWords(chain!.name, one.rule);
  if (!chain!.rules.some((rule) => ruleWords(chain!.name, rule) === wanted)) throw new IptablesError('iptables: Bad rule (does a matching rule exist in that chain?).', 1);
}

function* run(argv: readonly string[]): Call<void> {
  if (argv[0] === '-V' || argv[0] === '--version') {
    yield* print(`${VERSION}\n`);
    return;
  }
  const one = parse(argv);
  if (one.does === 'L') yield* list(one);
  else if (one.does === 'S') yield* listRules(one);
  else if (one.does === 'C') yield* check(one);
  else if (REQUESTS[one.does]) yield* change(one);
  else throw usage(`not modelled: -${one.does}`);
}

function complaining(body: (argv: readonly string[]) => Call<void>): Program {
  return function* (argv): Body {
    try {
      yield* body(argv.slice(1));
      return 0;
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error;
      yield* complain(`${error.message}\n`);
      return error.status;
    }
  };
}

export const iptables: Program = complaining(run);

export const iptablesSave: Program = complaining(function* (argv) {
  const only = argv.indexOf('-t') >= 0 ? argv[argv.indexOf('-t') + 1] : undefined;
  const counters = argv.includes('-c');
  for (const table of ['filter', 'nat']) {
    if (only !== undefined && only !== table) continue;
    const chains = yield* chainsOf(table);
    if (!chains.some((chain) => chain.hooked)) continue;
    const when = ansiTime(yield* nowNs());
    yield* print(`# Generated by iptables-save v1.8.11 (nf_tables) on ${when}\n*${table}\n`);
    for (const chain of chains) yield* print(`:${chain.name} ${chain.policy ?? '-'} [${chain.packets}:${chain.bytes}]\n`);
    for (const chain of chains) for (const rule of chain.rules) yield* print(`${counters ? `[${rule.packets}:${rule.bytes}] ` : ''}${ruleWords(chain.name, rule)}\n`);
    yield* print(`COMMIT\n# Completed on ${when}\n`);
  }
});

/** Words of a line of iptables-save, quotes taken off. */
function wordsOf(line: string): string[] {
  return [...line.matchAll(/"([^"]*)"|(\S+)/g)].map((m) => m[1] ?? m[2]!);
}

export const iptablesRestore: Program = complaining(function* (argv) {
  const keep = argv.includes('-n') || argv.includes('--noflush');
  let table = 'filter';
  for (const [i, raw] of text(yield* drain(0)).split('\n').entries()) {
    const line = raw.replace(/^\[\d+:\d+\] /, '').trim();
    if (line === '' || line.startsWith('#') || line === 'COMMIT') continue;
    if (line.startsWith('*')) {
      table = line.slice(1);
      yield* chainsOf(table);
      if (!keep) for (const type of ['nf.flush', 'nf.delchain']) yield* sys('netlink', { type, table });
    } else if (line.startsWith(':')) {
      const [name, policy] = line.slice(1).split(' ') as [string, string];
      const known = (yield* chainsOf(table)).some((chain) => chain.name === name);
      if (policy !== '-') yield* run(['-t', table, '-P', name, policy]);
      else if (!known) yield* run(['-t', table, '-N', name]);
      else yield* run(['-t', table, '-F', name]);
    } else {
      try {
        yield* run(['-t', table, ...wordsOf(line)]);
      } catch (error) {
        if (!(error instanceof IptablesError)) throw error;
        throw new IptablesError(`iptables-restore: line ${i + 1} failed`, 1);
      }
    }
  }
});

const NUMBERS: Record<string, number> = { tcp: 6, udp: 17, icmp: 1 };

function connText(conn: Conn, now: number): string {
  const { orig, reply } = conn;
  const left = Math.max(0, Math.floor((conn.until - now) / 1e9));
  const ends = (t: typeof orig, type: number): string =>
    `src=${t.src} dst=${t.dst} ${t.proto === 'icmp' ? `type=${type} code=0 id=${t.sport}` : `sport=${t.sport} dport=${t.dport}`} `;
  const state = orig.proto === 'tcp' ? `${conn.state} ` : '';
  const unreplied = conn.replied ? '' : '[UNREPLIED] ';
  const assured = conn.replied && orig.proto === 'tcp' ? '[ASSURED] ' : '';
  return `${orig.proto.padEnd(8)} ${NUMBERS[orig.proto]} ${left} ${state}${ends(orig, 8)}${unreplied}${ends(reply, 0)}${assured}mark=0 use=1\n`;
}

export const conntrack: Program = complaining(function* (argv) {
  const flush = argv.includes('-F') || argv.includes('--flush');
  if (!flush && !argv.includes('-L') && !argv.includes('--dump')) throw new IptablesError('conntrack v1.4.8 (conntrack-tools): not modelled: anything but -L and -F', 2);
  try {
    if (flush) {
      yield* sys('netlink', { type: 'ct.flush' });
      yield* complain('conntrack v1.4.8 (conntrack-tools): connection tracking table has been emptied.\n');
      return;
    }
    const rows = (yield* sys('netlink', { type: 'ct.list' })) as Conn[];
    const now = yield* sys('clock_gettime', 'monotonic');
    const shown = rows.map((conn) => connText(conn, now)).join('');
    const count = `conntrack v1.4.8 (conntrack-tools): ${rows.length} flow entries have been shown.\n`;
    // Standard output is written line by line to a terminal, at the end to anything else.
    const terminal = (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null;
    if (terminal) yield* print(shown);
    yield* complain(count);
    if (!terminal) yield* print(shown);
  } catch (error) {
    if (error instanceof SysError) throw new IptablesError('conntrack v1.4.8 (conntrack-tools): Operation failed: Operation not permitted', 1);
    throw error;
  }
});
