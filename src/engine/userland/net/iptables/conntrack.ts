/** conntrack: the connections that this network namespace tracks. Source: conntrack(8) of conntrack-tools 1.4.8. Left out: -E, -G, -I, -U, expectations. */
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import type { Conn } from '../../../kernel/net/conntrack.ts';
import { sys, type Program } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { networkText, parseAddress } from '../addresses.ts';
import { complaining } from './iptables.ts';
import { IptablesError } from './words.ts';

const NUMBERS: Record<string, number> = { tcp: 6, udp: 17, icmp: 1 };
const SELF = 'conntrack v1.4.8 (conntrack-tools)';
const TRY = "Try `conntrack -h' or 'conntrack --help' for more information.";

function failure(message: string): IptablesError {
  return new IptablesError(`${SELF}: ${message}\n${TRY}`, 2);
}

function connText(conn: Conn, now: number, extended: boolean): string {
  const { orig, reply } = conn;
  const left = Math.max(0, Math.floor((conn.until - now) / 1e9));
  const ends = (t: typeof orig, type: number): string =>
    `src=${t.src} dst=${t.dst} ${t.proto === 'icmp' ? `type=${type} code=0 id=${t.sport}` : `sport=${t.sport} dport=${t.dport}`} `;
  const state = orig.proto === 'tcp' ? `${conn.state} ` : '';
  const unreplied = conn.replied ? '' : '[UNREPLIED] ';
  const assured = conn.replied && orig.proto === 'tcp' ? '[ASSURED] ' : '';
  return `${extended ? 'ipv4     2 ' : ''}${orig.proto.padEnd(8)} ${NUMBERS[orig.proto]} ${left} ${state}${ends(orig, 8)}${unreplied}${ends(reply, 0)}${assured}mark=${conn.mark} use=1\n`;
}

interface Asked {
  does: string;
  extended: boolean;
  filters: ((conn: Conn) => boolean)[];
}

const COMMANDS: Readonly<Record<string, string>> = {
  '-L': 'L', '--dump': 'L', '--list': 'L', '-F': 'F', '--flush': 'F', '-D': 'D', '--delete': 'D', '-C': 'C', '--count': 'C', '-S': 'S', '--stats': 'S', '-V': 'V', '--version': 'V',
  '-E': 'E', '--event': 'E', '-G': 'G', '--get': 'G', '-I': 'I', '--create': 'I', '-U': 'U', '--update': 'U', '-h': 'h', '--help': 'h',
};

/** Does an address lie in "10.0.0.0/8", or is it the one? */
function within(word: string): (address: string) => boolean {
  const found = parseAddress(word);
  if (!found) throw failure(`Invalid IP address \`${word}'`);
  return (address) => networkText(address, found.prefix) === networkText(found.address, found.prefix);
}

function protocol(word: string): (conn: Conn) => boolean {
  const name = Object.keys(NUMBERS).find((one) => one === word || String(NUMBERS[one]) === word);
  if (!name && !/^(udplite|sctp|dccp|icmpv6|ipv6-icmp|gre|unknown|\d{1,3})$/.test(word)) throw failure(`\`${word}' unsupported protocol`);
  return ({ orig }) => orig.proto === name;
}

/** Options with a value to the filter that it makes. */
const FILTERS: Readonly<Record<string, (value: string) => (conn: Conn) => boolean>> = {
  '-p': protocol, '--proto': protocol,
  '-s': (value) => ((is) => ({ orig }) => is(orig.src))(within(value)), '-d': (value) => ((is) => ({ orig }) => is(orig.dst))(within(value)),
  '-r': (value) => ((is) => ({ reply }) => is(reply.src))(within(value)), '-q': (value) => ((is) => ({ reply }) => is(reply.dst))(within(value)),
  '--sport': (value) => ({ orig }) => String(orig.sport) === value, '--dport': (value) => ({ orig }) => String(orig.dport) === value,
  '--reply-port-src': (value) => ({ reply }) => String(reply.sport) === value, '--reply-port-dst': (value) => ({ reply }) => String(reply.dport) === value,
  '--state': (value) => ({ state }) => state === value, '-m': (value) => ({ mark }) => mark === Number(value), '--mark': (value) => ({ mark }) => mark === Number(value),
  '-f': () => () => true, '--family': () => () => true,
};
const LONG: Readonly<Record<string, string>> = {
  '--src': '-s', '--orig-src': '-s', '--dst': '-d', '--orig-dst': '-d', '--reply-src': '-r', '--reply-dst': '-q', '--orig-port-src': '--sport', '--orig-port-dst': '--dport', '--protonum': '-p',
};
const sourceChanged = ({ orig, reply }: Conn): boolean => reply.dst !== orig.src;
const destinationChanged = ({ orig, reply }: Conn): boolean => reply.src !== orig.dst;

function parse(argv: readonly string[]): Asked {
  const out: Asked = { does: '', extended: false, filters: [] };
  for (let i = 0; i < argv.length; i++) {
    const word = LONG[argv[i]!] ?? argv[i]!;
    const command = COMMANDS[word];
    if (command) out.does = command;
    else if (FILTERS[word]) {
      const value = argv[++i];
      if (value === undefined) throw new IptablesError(`conntrack: option requires an argument -- '${word.replace(/^-+/, '')}'\n${SELF}: Unknown argument\n${TRY}`, 2);
      out.filters.push(FILTERS[word](value));
    } else if (word === '-o' || word === '--output') out.extended = (argv[++i] ?? '').split(',').includes('extended');
    else if (word === '-n' || word === '--src-nat') out.filters.push(sourceChanged);
    else if (word === '-g' || word === '--dst-nat') out.filters.push(destinationChanged);
    else if (word === '-j' || word === '--any-nat') out.filters.push((conn) => sourceChanged(conn) || destinationChanged(conn));
    else if (word === 'conntrack' || word === '-4') continue;
    else throw failure(word.startsWith('-') ? `not modelled: ${word}` : 'Bad parameter');
  }
  return out;
}

/** Standard output is written line by line to a terminal, at the end to anything else. */
function* printed(shown: string, count: string): Call<void> {
  const terminal = (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null;
  if (terminal) yield* print(shown);
  yield* complain(`${SELF}: ${count}\n`);
  if (!terminal) yield* print(shown);
}

function* perform({ does, extended, filters }: Asked): Call<void> {
  if (does === 'V') return yield* print(`${SELF}\n`);
  if (does === 'F') {
    yield* sys('netlink', { type: 'ct.flush' });
    return yield* complain(`${SELF}: connection tracking table has been emptied.\n`);
  }
  if (does === '') throw failure('not modelled: no command (its help)');
  if (!'LDC'.includes(does)) throw failure(`not modelled: -${does}`);
  const all = (yield* sys('netlink', { type: 'ct.list' })) as Conn[];
  if (does === 'C') return yield* print(`${all.length}\n`);
  const rows = all.filter((conn) => filters.every((one) => one(conn)));
  const now = yield* sys('clock_gettime', 'monotonic');
  if (does === 'D') for (const { orig } of rows) yield* sys('netlink', { type: 'ct.forget', tuple: { ...orig } });
  yield* printed(rows.map((conn) => connText(conn, now, extended)).join(''), `${rows.length} flow entries have been ${does === 'D' ? 'deleted' : 'shown'}.`);
  if (does === 'D' && rows.length === 0) throw new IptablesError('', 1);
}

export const conntrack: Program = complaining(function* (argv) {
  try {
    yield* perform(parse(argv));
  } catch (error) {
    if (error instanceof SysError) throw new IptablesError(`${SELF}: Operation failed: Operation not permitted`, 1);
    throw error;
  }
});
