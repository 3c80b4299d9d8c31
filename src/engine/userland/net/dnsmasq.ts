/**
 * dnsmasq as a name server for what its hosts file says: A and PTR records, NXDOMAIN for the rest, since it knows no other server.
 * Options: -k, -d, -p PORT, -a ADDRESS, -H FILE, -h, -q, -A /NAME/ADDRESS. Source: dnsmasq(8). Left out: DHCP, forwarding, caching, TCP.
 */
import { AF_INET, POLLIN, SOCK_DGRAM, SysError } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, lastValue, parseOptions } from '../lib/args.ts';
import { attempt, fork, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { ipNumber } from './addresses.ts';
import { encodeAnswer, encodeName, nameAt, queryName } from './dns.ts';

const SPEC = 'k/keep-in-foreground d/no-daemon p/port= a/listen-address= H/addn-hosts= h/no-hosts q/log-queries A/address= R/no-resolv D/bogus-priv v/version test';
const NXDOMAIN = 3;
const A = 1;
const PTR = 12;

interface Zone {
  addresses: Map<string, string[]>;
  names: Map<string, string>;
  /** --address=/NAME/ADDRESS: the name and all below it. */
  domains: [string, string][];
}

function addHosts(zone: Zone, text: string): void {
  for (const line of text.split('\n')) {
    const [address, ...names] = line.replace(/#.*/, '').trim().split(/\s+/);
    if (!address || ipNumber(address) === null || names.length === 0) continue;
    for (const name of names.map((one) => one.toLowerCase())) zone.addresses.set(name, [...(zone.addresses.get(name) ?? []), address]);
    if (!zone.names.has(address)) zone.names.set(address, names[0]!);
  }
}

function answer(zone: Zone, query: Uint8Array): Uint8Array {
  const name = queryName(query).toLowerCase();
  const at = nameAt(query, 12)[1];
  const type = (query[at] ?? 0) * 256 + (query[at + 1] ?? 0);
  const turned = /^(\d+)\.(\d+)\.(\d+)\.(\d+)\.in-addr\.arpa$/.exec(name);
  if (type === PTR && turned) {
    const found = zone.names.get(turned.slice(1).reverse().join('.'));
    return found === undefined ? encodeAnswer(query, NXDOMAIN, []) : encodeName(query, found);
  }
  const below = zone.domains.find(([domain]) => name === domain || name.endsWith(`.${domain}`));
  const found = zone.addresses.get(name) ?? (below ? [below[1]] : null);
  return encodeAnswer(query, found ? 0 : NXDOMAIN, type === A ? (found ?? []) : []);
}

/** A socket an address, so that an answer comes from where the question went. */
function* listen(addresses: readonly string[], port: number): Call<number[]> {
  const fds: number[] = [];
  for (const address of addresses) {
    const fd = yield* sys('socket', AF_INET, SOCK_DGRAM, 0);
    yield* sys('bind', fd, { family: 'inet', address, port });
    fds.push(fd);
  }
  return fds;
}

function* serve(zone: Zone, fds: readonly number[]): Call<number> {
  for (;;) {
    for (const { fd } of yield* sys('poll', fds.map((one) => ({ fd: one, events: POLLIN })), -1)) {
      const { data, from } = yield* sys('recvfrom', fd, 4096);
      if (data.length > 16 && from && (data[2]! & 0x80) === 0) yield* attempt(sys('sendto', fd, answer(zone, data), from), 0);
    }
  }
}

/** Addresses of this machine's links that are up. */
function* own(): Call<string[]> {
  const all = (yield* sys('netlink', { type: 'addr.list' })) as { family: string; address: string }[];
  return all.filter(({ family }) => family === 'inet').map(({ address }) => address);
}

export const dnsmasq = command(function* (argv) {
  const o = parseOptions(SPEC, argv.slice(1));
  if (o.words.length > 0) throw new BadOption('junk found in command line');
  if (o.on.has('version')) {
    yield* print('Dnsmasq version 2.91  Copyright (c) 2000-2025 Simon Kelley\n');
    return 0;
  }
  const zone: Zone = { addresses: new Map(), names: new Map(), domains: [] };
  if (!o.on.has('no-hosts')) addHosts(zone, (yield* tryRead('/etc/hosts')) ?? '');
  for (const path of o.values.get('addn-hosts') ?? []) addHosts(zone, (yield* tryRead(path)) ?? '');
  for (const one of o.values.get('address') ?? []) {
    const [, domain, address] = /^\/([^/]+)\/([\d.]+)$/.exec(one) ?? [];
    if (!domain || !address || ipNumber(address) === null) throw new Failed(`bad command line options: bad address`, 1);
    zone.domains.push([domain.toLowerCase(), address]);
  }
  const port = Number(lastValue(o, 'port') ?? 53);
  let fds: number[];
  try {
    fds = yield* listen(o.values.get('listen-address')?.flatMap((one) => one.split(',')) ?? (yield* own()), port);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`\ndnsmasq: failed to create listening socket for port ${port}: ${strerror(error)}\n`);
    return 2;
  }
  if (o.on.has('keep-in-foreground') || o.on.has('no-daemon')) return yield* serve(zone, fds);
  yield* fork(function* () {
    yield* sys('setsid');
    return yield* serve(zone, fds);
  });
  return 0;
});
