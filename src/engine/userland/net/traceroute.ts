/** traceroute: probes whose time to live grows, and who tells that it ended. Source: traceroute(8). ICMP probes, as -I sends them. */
import { AF_INET, POLLIN, SOCK_DGRAM, SOCK_RAW, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { parseOptions, lastValue as optionValue } from '../lib/args.ts';
import type { Call } from '../lib/http.ts';
import { command, Failed, print, strerror } from '../lib/io.ts';
import { ipText } from './addresses.ts';
import { GAI, getaddrinfo, nameOf } from './names.ts';

const WAIT = 5e9;
const PROBES = 3;

interface Answer {
  from: string;
  ns: number;
  /** "" of a router on the way, "end" of the target, "!H" and the like. */
  note: string;
}

function request(id: number, seq: number): Uint8Array {
  const data = new Uint8Array(40);
  data.set([8, 0, 0, 0, id >> 8, id & 255, seq >> 8, seq & 255]);
  return data;
}

/** Sends one probe and waits for what answers it. */
function* probe(fd: number, address: string, id: number, seq: number, ttl: number): Call<Answer | null> {
  yield* sys('setsockopt', fd, 'IP_TTL', ttl);
  const began = yield* sys('clock_gettime', 'monotonic');
  yield* sys('sendto', fd, request(id, seq), { family: 'inet', address, port: 0 });
  for (;;) {
    const left = began + WAIT - (yield* sys('clock_gettime', 'monotonic'));
    if (left <= 0 || (yield* sys('poll', [{ fd, events: POLLIN }], left)).length === 0) return null;
    const { data } = yield* sys('recvfrom', fd, 65536);
    const ns = (yield* sys('clock_gettime', 'monotonic')) - began;
    const icmp = data.subarray(20);
    const from = ipText(data[12]! * 16777216 + data[13]! * 65536 + data[14]! * 256 + data[15]!);
    const about = icmp[0] === 0 ? icmp : icmp.subarray(28);
    const mine = ((about[4]! << 8) | about[5]!) === id && ((about[6]! << 8) | about[7]!) === seq;
    if (!mine || icmp[0] === 8) continue;
    if (icmp[0] === 0) return { from, ns, note: 'end' };
    if (icmp[0] === 11) return { from, ns, note: '' };
    return { from, ns, note: icmp[1] === 0 ? '!N' : icmp[1] === 1 ? '!H' : icmp[1] === 13 ? '!X' : `!${icmp[1]}` };
  }
}

export const traceroute: Program = command(function* (argv) {
  const options = parseOptions('n I T U m= q= w= 4', argv.slice(1));
  const host = options.words[0];
  if (host === undefined) throw new Failed('Specify "host" missing argument.', 2);
  const found = yield* getaddrinfo(host);
  if ('failure' in found) throw new Failed(`${host}: ${GAI[found.failure]}\nCannot handle "host" cmdline arg \`${host}' on position 1 (argc 1)`, 2);
  const { address } = found;
  const test = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
  try {
    yield* sys('connect', test, { family: 'inet', address, port: 33434 });
  } catch (error) {
    if (error instanceof SysError) throw new Failed(`connect: ${strerror(error)}`);
    throw error;
  }
  const fd = yield* sys('socket', AF_INET, SOCK_RAW, 1);
  const max = Number(optionValue(options, 'm') ?? 30);
  const count = Number(optionValue(options, 'q') ?? PROBES);
  const id = (yield* sys('getpid')) & 0xffff;
  yield* print(`traceroute to ${host} (${address}), ${max} hops max, 60 byte packets\n`);
  let seq = 0;
  for (let ttl = 1; ttl <= max; ttl++) {
    yield* print(`${String(ttl).padStart(2)} `);
    let last = '';
    let over = false;
    for (let i = 0; i < count; i++) {
      const answer = yield* probe(fd, address, id, ++seq, ttl);
      if (!answer) {
        yield* print(' *');
        continue;
      }
      const name = options.on.has('n') ? answer.from : `${(yield* nameOf(answer.from)) ?? answer.from} (${answer.from})`;
      yield* print(`${answer.from === last ? '' : ` ${name}`}  ${(answer.ns / 1e6).toFixed(3)} ms${answer.note.startsWith('!') ? ` ${answer.note}` : ''}`);
      last = answer.from;
      over ||= answer.note !== '';
    }
    yield* print('\n');
    if (over) return 0;
  }
  return 0;
});
