/** nslookup of busybox 1.37: A and AAAA of a name in every searched domain (a name with a dot is taken as it is), each answer said. Source: networking/nslookup.c. */
import { SysError } from '../../kernel/abi.ts';
import type { Program } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { askServer, type DnsAnswer, type ResolvConf, resolvConf } from './dns.ts';
import { resolve } from './names.ts';

const A = 1;
const PTR = 12;
const AAAA = 28;
const CODES = ['NOERROR', 'FORMERR', 'SERVFAIL', 'NXDOMAIN', 'NOTIMP', 'REFUSED'];

interface Query {
  name: string;
  type: number;
}

function queriesFor(name: string, type: number | null, conf: ResolvConf): Query[] {
  if (ipNumber(name) !== null) return [{ name: `${name.split('.').reverse().join('.')}.in-addr.arpa`, type: PTR }];
  const names = name.includes('.') || conf.search.length === 0 ? [name] : conf.search.map((domain) => `${name}.${domain}`);
  return (type === null ? [A, AAAA] : [type]).flatMap((t) => names.map((n) => ({ name: n, type: t })));
}

const TYPES: Readonly<Record<string, number>> = { a: A, ptr: PTR, aaaa: AAAA };

export const busyboxNslookup: Program = command(function* (argv) {
  const words = argv.slice(1).filter((word) => !word.startsWith('-'));
  const given = argv.map((w) => /^-(?:type|querytype|q)=(\w+)$/.exec(w)?.[1]?.toLowerCase()).find(Boolean);
  const [name, server] = words;
  if (name === undefined) {
    yield* complain("BusyBox v1.37.0 () multi-call binary.\n\nUsage: nslookup [-type=QUERY_TYPE] [-debug] HOST [DNS_SERVER]\n\nQuery DNS about HOST\n\nQUERY_TYPE: soa,ns,a,aaaa,cname,mx,txt,ptr,srv,any\n");
    return 1;
  }
  if (given !== undefined && TYPES[given] === undefined) {
    yield* complain(`nslookup: not modelled: -type=${given}; dig has it\n`);
    return 1;
  }
  const conf = yield* resolvConf();
  const at = server === undefined ? conf.servers[0]! : ((yield* resolve(server)) ?? null);
  if (at === null) {
    yield* complain(`nslookup: bad address '${server}'\n`);
    return 1;
  }
  const answers: [Query, DnsAnswer][] = [];
  for (const query of queriesFor(name, given === undefined ? null : TYPES[given]!, conf)) {
    const answer = yield* patient(at, query);
    if (!answer) {
      yield* print(`;; connection timed out; no servers could be reached\n\n`);
      return 1;
    }
    answers.push([query, answer]);
  }
  yield* print(`Server:\t\t${at}\nAddress:\t${at}:53\n\n`);
  for (const [query, answer] of answers) yield* show(query, answer);
  return answers.some(([, a]) => a.addresses.length > 0 || a.names.length > 0) ? 0 : 1;
});

function* patient(server: string, query: Query): Call<DnsAnswer | null> {
  for (let i = 0; i < 2; i++) {
    try {
      const answer = yield* askServer(server, query.name, 5e9, query.type);
      if (answer) return answer;
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
    }
  }
  return null;
}

function* show(query: Query, answer: DnsAnswer): Call<void> {
  if (answer.code !== 0) yield* print(`** server can't find ${query.name}: ${CODES[answer.code] ?? 'SERVFAIL'}\n\n`);
  else yield* print(`${answer.authoritative ? '' : 'Non-authoritative answer:\n'}${recordsOf(query, answer)}\n`);
}

function recordsOf(query: Query, answer: DnsAnswer): string {
  if (query.type === PTR) return answer.names.map((one) => `${query.name}\tname = ${one}\n`).join('');
  return query.type === A ? answer.addresses.map((a) => `Name:\t${query.name}\nAddress: ${a}\n`).join('') : '';
}
