/** iptables: reading and changing the tables of this network namespace. Source: iptables(8) 1.8.11 (nf_tables): xshared.c, nft-shared.c. */
import { SysError } from '../../../kernel/abi.ts';
import type { Chain, Rule } from '../../../kernel/net/netfilter.ts';
import { type Body, type NetlinkRequest, type Program, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { HELP } from './help.ts';
import { type Draft, draft, extensionText, longOption, protocolText, ruleOption, rulesOf, ruleWords } from './rule.ts';
import { TARGETS } from './targets.ts';
import { IptablesError, TRY, usage, VERSION } from './words.ts';

const NO_CHAIN = 'iptables: No chain/target/match by that name.';
const BAD_RULE = 'iptables: Bad rule (does a matching rule exist in that chain?).';

export interface Command {
  table: string;
  /** The letter of what to do: A I D C R L S F Z N X P E. */
  does: string;
  chain?: string;
  at?: number;
  /** The policy, or the new name. */
  second?: string;
  draft: Draft;
  verbose: boolean;
  numeric: boolean;
  exact: boolean;
  numbers: boolean;
  zero: boolean;
}

const COMMANDS: Readonly<Record<string, string>> = {
  '--append': 'A', '--insert': 'I', '--delete': 'D', '--check': 'C', '--replace': 'R', '--list': 'L', '--list-rules': 'S', '--flush': 'F', '--zero': 'Z',
  '--new-chain': 'N', '--new': 'N', '--delete-chain': 'X', '--policy': 'P', '--rename-chain': 'E',
};

/** Flags that may stand together behind one dash, and options whose value may stand right behind them. Source: getopt(3). */
const CLUSTERED = /^-([vnx46f]+)([A-Za-z].*)?$/s;
const VALUED = /^-([tpsdijogmcADICRLSFZNXPE])(.+)$/s;

/** "-vnL" as -vn -L, "-tnat" as -t nat; long options that are cut short are written out. */
function spelledOut(word: string, out: Command): readonly string[] {
  if (word.startsWith('--')) return [longOption(out.draft, word, Object.keys(COMMANDS)) ?? word];
  const [, flags, more] = CLUSTERED.exec(word) ?? [];
  if (flags !== undefined && (more !== undefined || (flags.includes('f') && flags !== 'f'))) {
    const each = [...flags.replace(/f/g, '')].length > 0 ? [`-${flags.replace(/f/g, '')}`] : [];
    return [...each, ...(flags.includes('f') ? ['-f'] : []), ...(more === undefined ? [] : [`-${more}`])];
  }
  const [, letter, value] = VALUED.exec(word) ?? [];
  return letter === undefined ? [word] : [`-${letter}`, value!];
}

export function parse(given: readonly string[]): Command {
  const out: Command = { table: 'filter', does: '', draft: draft(), verbose: false, numeric: false, exact: false, numbers: false, zero: false };
  const argv = [...given];
  for (let i = 0; i < argv.length; ) {
    const option = argv[i] === '!' ? i + 1 : i;
    if (argv[option]?.startsWith('-')) argv.splice(option, 1, ...spelledOut(argv[option]!, out));
    const word = argv[i]!;
    if (word === '-t' || word === '--table') {
      if (argv[i + 1] === undefined) throw usage(`option "${word}" requires an argument`);
      out.table = argv[i + 1]!;
      i += 2;
      continue;
    }
    const letter = COMMANDS[word] ?? (/^-[AIDCRLSFZNXPE]$/.test(word) ? word[1]! : '');
    if (letter !== '') {
      i = command(out, argv, i + 1, letter);
      continue;
    }
    const flags = flag(out, argv, i);
    const took = flags > 0 ? flags : ruleOption(out.draft, argv, i);
    if (took === 0) throw word.startsWith('-') ? usage(`unknown option "${word}"`) : new IptablesError(`Bad argument \`${word}'\n${TRY}`, 2);
    i += took;
  }
  if (out.does === '') throw usage('no command specified');
  if (out.table === 'nat' && (out.second === 'DROP' || out.draft.rule.target === 'DROP')) {
    throw usage('\nThe "nat" table is not intended for filtering, the use of DROP is therefore inhibited.\n\n');
  }
  return out;
}

/** The chain, position or policy that follows a command; where to go on reading. */
function command(out: Command, argv: readonly string[], from: number, letter: string): number {
  if (letter === 'Z' && out.does === 'L') out.zero = true;
  else if (letter === 'L' && out.does === 'Z') {
    out.zero = true;
    out.does = 'L';
  } else if (out.does !== '') throw usage(`Cannot use -${letter} with -${out.does}`);
  else out.does = letter;
  let i = from;
  const next = argv[i];
  if (next !== undefined && (!next.startsWith('-') || letter === 'N') && next !== '!') {
    out.chain = next;
    i++;
  } else if (!'LSFZX'.includes(letter)) throw usage(`option "-${letter}" requires an argument`);
  const after = argv[i];
  if ('IDRLSZ'.includes(letter) && after !== undefined && /^\d+$/.test(after)) {
    if (Number(after) === 0) throw usage(`Invalid rule number \`${after}'`);
    out.at = Number(after);
    i++;
  } else if ('LSZ'.includes(letter) && out.chain !== undefined && after !== undefined && !after.startsWith('-') && after !== '!') throw usage(`Invalid rule number \`${after}'`);
  if (letter === 'R' && out.at === undefined) throw usage('-R requires a rule number');
  if (letter === 'P' || letter === 'E') {
    if (after === undefined || after.startsWith('-')) throw usage(letter === 'P' ? '-P requires a chain and a policy' : '-E requires old-chain-name and new-chain-name');
    out.second = after;
    i++;
  }
  return i;
}

/** How many words a flag took; 0 when it is none. */
function flag(out: Command, argv: readonly string[], at: number): number {
  const word = argv[at]!;
  if (/^-[vnx46]+$/.test(word)) {
    if (word.includes('6')) throw usage('not modelled: -6');
    if (word.includes('v')) out.verbose = true;
    if (word.includes('n')) out.numeric = true;
    if (word.includes('x')) out.exact = true;
    return 1;
  }
  if (word === '--line-numbers' || word === '--line-number') out.numbers = true;
  else if (word === '--verbose') out.verbose = true;
  else if (word === '--numeric') out.numeric = true;
  else if (word === '--exact') out.exact = true;
  else if (word === '-w' || word === '--wait' || word === '-W') return /^\d+$/.test(argv[at + 1] ?? '') ? 2 : 1;
  else if (!/^--wait=\d+$|^-w\d+$|^--ipv4$|^--modprobe=/.test(word)) return 0;
  return 1;
}

export function* chainsOf(table: string): Call<Chain[]> {
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

// ---- lists

function counter(n: number, exact: boolean): string {
  if (exact) return String(n).padStart(8);
  if (n <= 99999) return String(n).padStart(5);
  for (const unit of ['K', 'M', 'G']) {
    n = Math.round(n / 1000);
    if (n <= 9999) return `${n}${unit}`.padStart(5);
  }
  return `${n}T`.padStart(5);
}

const optionColumn = (rule: Rule): string => (rule.fragment ? (rule.fragment.not ? '!f' : '-f') : '--');

function placeText(test: Rule['src'], numeric: boolean): string {
  if (!test) return numeric ? '0.0.0.0/0' : 'anywhere';
  const plain = test.is.replace(/\/32$/, '');
  return !numeric && plain === '127.0.0.1' ? 'localhost' : plain;
}

function ruleLine(rule: Rule, one: Command, row: number): string {
  const place = (test: Rule['src']): string => `${test?.not ? '!' : ' '}${placeText(test, one.numeric).padEnd(19)} `;
  const link = (test: Rule['in']): string => `${test?.not ? '!' : ''}${test?.is ?? (one.numeric ? '*' : 'any')}`.padEnd(6);
  const counts = one.verbose ? `${counter(rule.packets, one.exact)} ${counter(rule.bytes, one.exact)} ` : '';
  const links = one.verbose ? `${link(rule.in)} ${link(rule.out)} ` : '';
  const proto = `${rule.proto?.not ? '!' : ' '}${protocolText(rule.proto?.is ?? 'all', one.numeric).padEnd(4)} `;
  const about = `${counts}${rule.target.padEnd(9)} ${proto}${optionColumn(rule)}${one.verbose ? '  ' : ' '}${links}${place(rule.src)}${place(rule.dst)}`;
  return `${one.numbers ? `${String(row).padEnd(4)} ` : ''}${about}${extensionText(rule, one.numeric)}\n`;
}

function* list(one: Command): Call<void> {
  const all = yield* chainsOf(one.table);
  const columns = one.exact && one.verbose ? '    pkts      bytes ' : ' pkts bytes ';
  const head = `${one.numbers ? 'num  ' : ''}${one.verbose ? `${columns}target     prot opt in     out    ` : 'target     prot opt'} source               destination         \n`;
  let first = true;
  for (const chain of chosen(all, one.chain)) {
    if (one.at !== undefined) {
      const rule = chain.rules[one.at - 1];
      if (rule) yield* print(ruleLine(rule, one, one.at));
      continue;
    }
    const counts = one.verbose ? ` ${chain.packets} packets, ${chain.bytes} bytes` : '';
    const references = all.reduce((n, other) => n + other.rules.filter((rule) => rule.target === chain.name).length, 0);
    const about = chain.policy ? `policy ${chain.policy}${counts}` : `${references} references`;
    yield* print(`${first ? '' : '\n'}Chain ${chain.name} (${about})\n${head}`);
    first = false;
    for (const [i, rule] of chain.rules.entries()) yield* print(ruleLine(rule, one, i + 1));
  }
}

function* listRules(one: Command): Call<void> {
  const chains = chosen(yield* chainsOf(one.table), one.chain);
  if (one.at !== undefined) {
    const rule = chains[0]!.rules[one.at - 1];
    if (rule) yield* print(`${ruleWords(chains[0]!.name, rule, one.verbose)}\n`);
    return;
  }
  const counts = (chain: Chain): string => (one.verbose ? ` -c ${chain.packets} ${chain.bytes}` : '');
  for (const chain of chains) yield* print(chain.policy ? `-P ${chain.name} ${chain.policy}${counts(chain)}\n` : `-N ${chain.name}\n`);
  for (const chain of chains) for (const rule of chain.rules) yield* print(`${ruleWords(chain.name, rule, one.verbose)}\n`);
}

/** What -v says of a rule that it adds or takes away. */
function spoken(rule: Rule): string {
  const place = (test: Rule['src']): string => `${test?.not ? '!' : ''}${placeText(test, true)}`;
  const link = (test: Rule['in']): string => `${test?.not ? '!' : ''}${test?.is ?? '*'}`;
  const target = rule.target ? `${rule.target}  ` : '  ';
  return `${target}${rule.proto?.not ? '!' : ''}${rule.proto?.is ?? 'all'} opt ${optionColumn(rule)} in ${link(rule.in)} out ${link(rule.out)}  ${place(rule.src)}  -> ${place(rule.dst)}  ${extensionText(rule, true)}\n`;
}

// ---- changes

/** What the kernel's refusal of each command means. */
function refusal(one: Command, errno: string, message: string): IptablesError {
  const failed = (what: string): IptablesError => new IptablesError(`${VERSION}:  ${what} failed (${message}): `, 4);
  if (errno === 'EPERM') return new IptablesError(`${VERSION}: Could not fetch rule set generation id: Permission denied (you must be root)`, 4);
  if (one.does === 'N' && errno === 'EEXIST') return new IptablesError('iptables: Chain already exists.', 1);
  if (one.does === 'E' && errno !== 'ENOENT') return new IptablesError('iptables: File exists.', 1);
  if (one.does === 'X' && errno === 'EBUSY') return new IptablesError(`${failed('CHAIN_DEL').message}chain ${one.chain}`, 4);
  if ('DC'.includes(one.does) && errno === 'ENOENT') return new IptablesError(one.at === undefined ? BAD_RULE : 'iptables: Index of deletion too big.', 1);
  if (one.does === 'R' && errno === 'ENOENT') return new IptablesError('iptables: Index of replacement too big.', 1);
  if (one.does === 'I' && errno === 'ERANGE') return new IptablesError('iptables: Index of insertion too big.', 1);
  const names: Record<string, string> = { A: 'RULE_APPEND', I: 'RULE_INSERT', R: 'RULE_REPLACE' };
  if (names[one.does]) return new IptablesError(`${failed(names[one.does]!).message}rule in chain ${one.chain}`, 4);
  return new IptablesError(NO_CHAIN, 1);
}

const REQUESTS: Readonly<Record<string, string>> = {
  A: 'nf.append', I: 'nf.insert', R: 'nf.replace', D: 'nf.delete', F: 'nf.flush', Z: 'nf.zero', N: 'nf.newchain', X: 'nf.delchain', P: 'nf.policy', E: 'nf.rename',
};

function* send(one: Command, request: NetlinkRequest): Call<void> {
  try {
    yield* sys('netlink', request);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    throw refusal(one, error.errno, error.message.replace(/^\w+: /, ''));
  }
}

const NOT_INPUT: Readonly<Record<string, string>> = { OUTPUT: '--in-interface', POSTROUTING: '--in-interface', INPUT: '--out-interface', PREROUTING: '--out-interface' };

/** The rules of a command, checked against the chains that there are. */
function rulesFor(one: Command, chains: readonly Chain[]): Rule[] {
  const { rule } = one.draft;
  const wrong = NOT_INPUT[one.chain ?? ''];
  if (wrong && (wrong === '--in-interface' ? rule.in : rule.out)) throw usage(`Can't use ${wrong} with ${one.chain}`);
  const { target } = rule;
  if (target !== '' && !TARGETS[target] && !chains.some((chain) => chain.name === target && chain.policy === null)) throw usage(`Chain '${target}' does not exist`);
  const made = rulesOf(one.draft);
  if (!chains.some((chain) => chain.name === one.chain)) throw new IptablesError(NO_CHAIN, 1);
  return made;
}

function checkNames(one: Command, chains: readonly Chain[]): void {
  const name = one.does === 'E' ? one.second! : one.chain!;
  if (one.does === 'N' || one.does === 'E') {
    if (/^[-!]/.test(name)) throw usage(`chain name not allowed to start with \`${name[0]}'`);
    if (name.length > 28) throw usage(`chain name \`${name}' too long (must be under 29 chars)`);
    if (TARGETS[name]) throw usage('chain name may not clash with target name');
    if (/\s/.test(name)) throw usage(`Invalid chain name \`${name}'`);
  }
  if (one.does !== 'P') return;
  if (!chains.some((chain) => chain.name === one.chain && chain.policy !== null)) throw new IptablesError('iptables: Bad built-in chain name.', 1);
  if (one.second !== 'ACCEPT' && one.second !== 'DROP') throw new IptablesError("iptables: Bad policy name. Run `dmesg' for more information.", 1);
}

function* change(one: Command): Call<void> {
  const chains = yield* chainsOf(one.table);
  checkNames(one, chains);
  const base = { type: REQUESTS[one.does]!, table: one.table, ...(one.chain === undefined ? {} : { chain: one.chain }), ...(one.at === undefined ? {} : { at: one.at }) };
  if ('AIR'.includes(one.does) || (one.does === 'D' && one.at === undefined)) {
    const rules = rulesFor(one, chains);
    if (one.does === 'R' && rules.length > 1) throw usage('Replacement rule does not specify a unique address');
    for (const rule of rules) {
      if (one.verbose) yield* print(spoken(rule));
      yield* send(one, { ...base, rule });
    }
    return;
  }
  const named = chosen(chains, one.does === 'F' || one.does === 'X' || one.does === 'Z' ? one.chain : undefined);
  // A built-in chain without rules can go: it is back when a rule or a policy needs it.
  if (one.does === 'X' && one.chain !== undefined && named.every((chain) => chain.policy === 'ACCEPT' && chain.rules.length === 0)) return;
  yield* send(one, { ...base, ...(one.does === 'P' ? { policy: one.second } : one.does === 'E' ? { newName: one.second } : {}) });
  if (!one.verbose) return;
  const said: Record<string, string> = { F: 'Flushing chain', Z: 'Zeroing chain', X: 'Deleting chain' };
  for (const chain of named) if (said[one.does] && (one.does !== 'X' || chain.policy === null)) yield* print(`${said[one.does]} \`${chain.name}'\n`);
}

/** -C: is there such a rule? */
function* check(one: Command): Call<void> {
  const chains = yield* chainsOf(one.table);
  for (const rule of rulesFor(one, chains)) {
    const [chain] = chosen(chains, one.chain);
    const wanted = ruleWords(chain!.name, rule);
    if (!chain!.rules.some((other) => ruleWords(chain!.name, other) === wanted)) throw new IptablesError(BAD_RULE, 1);
    if (one.verbose) yield* print(spoken(rule));
  }
}

export function* run(argv: readonly string[]): Call<void> {
  if (argv[0] === '-V' || argv[0] === '--version') {
    yield* print(`${VERSION}\n`);
    return;
  }
  if (argv.includes('-h') || argv.includes('--help')) {
    yield* print(`${VERSION}\n\n${HELP}`);
    return;
  }
  yield* perform(parse(argv));
}

export function* perform(one: Command): Call<void> {
  if (one.does === 'L') yield* list(one);
  else if (one.does === 'S') yield* listRules(one);
  else if (one.does === 'C') yield* check(one);
  else yield* change(one);
  if (!one.zero) return;
  yield* change({ ...one, does: 'Z', verbose: one.verbose });
}

/** A program whose refusals are printed, with their exit statuses. */
export function complaining(body: (argv: readonly string[]) => Call<void>): Program {
  return function* (argv): Body {
    try {
      yield* body(argv.slice(1));
      return 0;
    } catch (error) {
      if (!(error instanceof IptablesError)) throw error;
      if (error.message !== '') yield* complain(`${error.message}\n`);
      return error.status;
    }
  };
}

export const iptables: Program = complaining(run);

