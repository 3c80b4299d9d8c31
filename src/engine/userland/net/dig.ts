/** dig: one question to a name server and its answer in full. Source: dig(1) of BIND 9.20. Left out: EDNS, DNSSEC, TCP, zone transfers, batch files. */
import { AF_INET, POLLIN, SOCK_DGRAM, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { ansiTime, nowNs } from '../lib/clock.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print, strerror } from '../lib/io.ts';
import { ipNumber, ipText } from './addresses.ts';
import { candidates, encodeQuery, nameAt, resolvConf } from './dns.ts';
import { resolve } from './names.ts';

const TYPES: Readonly<Record<string, number>> = { A: 1, NS: 2, CNAME: 5, SOA: 6, PTR: 12, MX: 15, TXT: 16, AAAA: 28, SRV: 33, ANY: 255 };
const CODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];
const VERSION = '9.20.11-4-Debian';

interface Asked {
  name: string;
  type: string;
  server: string | null;
  short: boolean;
  /** +noall, +answer, +stats, +comments, +question. */
  parts: Set<string>;
  tries: number;
  /** +search: the domains of resolv.conf are tried. */
  search: boolean;
  patience: number;
  port: number;
  version: boolean;
}

function parse(argv: readonly string[]): Asked | { bad: string } {
  const asked: Asked = { name: '', type: 'A', server: null, short: false, parts: new Set(['cmd', 'comments', 'question', 'answer', 'authority', 'additional', 'stats']), search: false, tries: 3, patience: 5, port: 53, version: false };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word.startsWith('@')) asked.server = word.slice(1);
    else if (word === '-v') asked.version = true;
    else if (word === '-x') {
      asked.name = `${(argv[++i] ?? '').split('.').reverse().join('.')}.in-addr.arpa.`;
      asked.type = 'PTR';
    } else if (word === '-t') asked.type = (argv[++i] ?? 'A').toUpperCase();
    else if (word === '-q') asked.name = argv[++i] ?? '';
    else if (word === '-p') asked.port = Number(argv[++i]);
    else if (word.startsWith('+')) {
      if (!plus(asked, word.slice(1))) return { bad: word };
    } else if (word.startsWith('-') && word !== '-4') return { bad: word };
    else if (TYPES[word.toUpperCase()] !== undefined) asked.type = word.toUpperCase();
    else if (word.toUpperCase() !== 'IN' && word !== '-4') asked.name = word;
  }
  return asked;
}

function plus(asked: Asked, word: string): boolean {
  const time = /^(time|timeout)=(\d+)$/.exec(word);
  const tries = /^(tries|retry)=(\d+)$/.exec(word);
  if (time) asked.patience = Number(time[2]);
  else if (tries) asked.tries = Number(tries[2]) + (tries[1] === 'retry' ? 1 : 0);
  else if (word === 'short') asked.short = true;
  else if (word === 'search' || word === 'nosearch') asked.search = word === 'search';
  else if (word === 'noall') asked.parts.clear();
  else if (word === 'all') for (const part of ['comments', 'question', 'answer', 'authority', 'additional', 'stats']) asked.parts.add(part);
  else if (/^no(cmd|comments|question|answer|authority|additional|stats)$/.test(word)) asked.parts.delete(word.slice(2));
  else if (/^(cmd|comments|question|answer|authority|additional|stats)$/.test(word)) asked.parts.add(word);
  else return /^(no)?(recurse|rec|edns|tcp|vc|dnssec|multiline|ignore|cookie|ttlid)$/.test(word);
  return true;
}

const u16 = (data: Uint8Array, at: number): number => (data[at] ?? 0) * 256 + (data[at + 1] ?? 0);

interface Answer {
  name: string;
  ttl: number;
  type: string;
  value: string;
}

/** What a record holds, as a zone file has it. */
function rdata(data: Uint8Array, kind: number, at: number, length: number): string {
  if (kind === 1) return ipText(u16(data, at) * 65536 + u16(data, at + 2));
  if (kind === 28) return Array.from({ length: 8 }, (_, i) => u16(data, at + 2 * i).toString(16)).join(':').replace(/(^|:)0(:0)+(:|$)/, '::');
  if (kind === 15) return `${u16(data, at)} ${nameAt(data, at + 2)[0]}`;
  if (kind === 33) return `${u16(data, at)} ${u16(data, at + 2)} ${u16(data, at + 4)} ${nameAt(data, at + 6)[0]}`;
  if (kind === 16) return `"${String.fromCharCode(...data.subarray(at + 1, at + length))}"`;
  if (kind !== 6) return nameAt(data, at)[0];
  const [host, then] = nameAt(data, at);
  const [mail, numbers] = nameAt(data, then);
  return `${host} ${mail} ${[0, 4, 8, 12, 16].map((o) => u16(data, numbers + o) * 65536 + u16(data, numbers + o + 2)).join(' ')}`;
}

/** The records of the three sections after the question. */
function answersOf(data: Uint8Array): [Answer[], Answer[], Answer[]] {
  const sections: [Answer[], Answer[], Answer[]] = [[], [], []];
  let at = nameAt(data, 12)[1] + 4;
  for (const [s, section] of sections.entries()) {
    for (let i = 0; i < u16(data, 6 + 2 * s) && at < data.length; i++) {
      const [name, end] = nameAt(data, at);
      const kind = u16(data, end);
      section.push({ name, ttl: u16(data, end + 4) * 65536 + u16(data, end + 6), type: Object.keys(TYPES).find((key) => TYPES[key] === kind) ?? `TYPE${kind}`, value: rdata(data, kind, end + 10, u16(data, end + 8)) });
      at = end + 10 + u16(data, end + 8);
    }
  }
  return sections;
}

/** The message, or why there is none. */
function* ask(server: string, asked: Asked): Call<{ data: Uint8Array; took: number } | { failure: string }> {
  const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    yield* sys('connect', fd, { family: 'inet', address: server, port: asked.port });
    const local = yield* sys('getsockname', fd);
    const id = local.family === 'inet' ? local.port : 1;
    const began = yield* sys('clock_gettime', 'monotonic');
    yield* sys('sendto', fd, encodeQuery(id, asked.name, TYPES[asked.type] ?? 1));
    if ((yield* sys('poll', [{ fd, events: POLLIN }], asked.patience * 1e9)).length === 0) return { failure: 'timed out' };
    const { data } = yield* sys('recvfrom', fd, 65536);
    return { data, took: Math.floor(((yield* sys('clock_gettime', 'monotonic')) - began) / 1e6) };
  } catch (error) {
    if (error instanceof SysError) return { failure: strerror(error).toLowerCase().replace('network is unreachable', 'network unreachable').replace('no route to host', 'host unreachable') };
    throw error;
  } finally {
    yield* sys('close', fd);
  }
}

function* show(asked: Asked, server: string, data: Uint8Array, took: number): Call<void> {
  const [answers, authority, additional] = answersOf(data);
  if (asked.short) {
    for (const one of answers) yield* print(`${one.value}\n`);
    return;
  }
  const flags = u16(data, 2);
  const letters = [[0x8000, 'qr'], [0x400, 'aa'], [0x200, 'tc'], [0x100, 'rd'], [0x80, 'ra']].filter(([bit]) => flags & (bit as number)).map(([, name]) => name).join(' ');
  if (asked.parts.has('comments')) {
    yield* print(`;; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: ${CODES[flags & 15] ?? `RESERVED${flags & 15}`}, id: ${u16(data, 0)}\n;; flags: ${letters}; QUERY: ${u16(data, 4)}, ANSWER: ${u16(data, 6)}, AUTHORITY: ${u16(data, 8)}, ADDITIONAL: ${u16(data, 10)}\n\n`);
  }
  const tabs = (name: string): string => name.padEnd(Math.max(24, Math.ceil((name.length + 1) / 8) * 8)).replace(/ +$/, (pad) => '\t'.repeat(Math.max(1, Math.ceil(pad.length / 8))));
  if (asked.parts.has('question')) yield* print(`${asked.parts.has('comments') ? ';; QUESTION SECTION:\n' : ''};${tabs(`${nameAt(data, 12)[0]} `).replace(/ /, '')}\tIN\t${asked.type}\n\n`);
  for (const [word, records] of [['answer', answers], ['authority', authority], ['additional', additional]] as const) {
    if (!asked.parts.has(word) || records.length === 0) continue;
    yield* print(`${asked.parts.has('comments') ? `;; ${word.toUpperCase()} SECTION:\n` : ''}${records.map((one) => `${tabs(one.name)}${one.ttl}\tIN\t${one.type}\t${one.value}\n`).join('')}${asked.parts.has('comments') ? '\n' : ''}`);
  }
  if (!asked.parts.has('stats')) return;
  yield* print(`;; Query time: ${took} msec\n;; SERVER: ${server}#${asked.port}(${server}) (UDP)\n;; WHEN: ${ansiTime(yield* nowNs()).replace(/ (\d{4})$/, ' UTC $1')}\n;; MSG SIZE  rcvd: ${data.length}\n\n`);
}

export const dig: Program = command(function* (argv) {
  const asked = parse(argv.slice(1));
  if ('bad' in asked) {
    yield* print(`Invalid option: ${asked.bad}\nUsage:  dig [@global-server] [domain] [q-type] [q-class] {q-opt}\n            {global-d-opt} host [@local-server] {local-d-opt}\n            [ host [@local-server] {local-d-opt} [...]]\n\nUse "dig -h" (or "dig -h | more") for complete list of options\n`);
    return 1;
  }
  if (asked.version) {
    yield* complain(`DiG ${VERSION}\n`);
    return 0;
  }
  if (asked.name === '') Object.assign(asked, { name: '.', type: 'NS' });
  const address = asked.server === null ? null : ipNumber(asked.server) !== null ? asked.server : yield* resolve(asked.server);
  if (asked.server !== null && address === null) {
    yield* print(`dig: couldn't get address for '${asked.server}': not found\n`);
    return 10;
  }
  const servers = address === null ? (yield* resolvConf()).servers : [address];
  if (!asked.short && asked.parts.has('cmd')) yield* print(`\n; <<>> DiG ${VERSION} <<>> ${argv.slice(1).join(' ')}\n${asked.server === null ? '' : '; (1 server found)\n'};; global options: +cmd\n`);
  const names = asked.search ? candidates(asked.name, yield* resolvConf()) : [asked.name];
  asked.name = names[0]!;
  for (let i = 0; i < asked.tries; i++) {
    for (const server of servers) {
      const got = yield* ask(server, asked);
      if ('data' in got) {
        // NXDOMAIN: the next of the searched names is asked for.
        if ((got.data[3]! & 15) === 3 && names.length > 1) {
          names.shift();
          asked.name = names[0]!;
          i--;
          break;
        }
        yield* show(asked, server, got.data, got.took);
        return 0;
      }
      const setup = /unreachable/.test(got.failure);
      yield* print(setup ? `;; UDP setup with ${server}#${asked.port}(${server}) for ${asked.name} failed: ${got.failure}.\n` : `;; communications error to ${server}#${asked.port}: ${got.failure}\n`);
      if (setup) yield* print(';; no servers could be reached\n');
      else if (i === asked.tries - 1) yield* print(asked.short ? ';; no servers could be reached\n' : '\n;; no servers could be reached\n\n');
    }
  }
  return 9;
});
