/** bridge(8) and brctl(8): the ports of bridges, and which addresses were seen behind them. */
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import type { NetlinkRequest, Program } from '../../kernel/sys.ts';
import { attempt } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print } from '../lib/io.ts';
import { sys } from '../../kernel/sys.ts';
import { ipNumber } from './addresses.ts';
import { complaining } from './ip/ip.ts';
import { paint } from './ip/color.ts';
import { switchTo } from './ip/netns.ts';
import { flagsOf, portCost } from './ip/show.ts';
import { ask, Complaint } from './rtnl.ts';

function* device(argv: readonly string[]): Call<string | null> {
  const at = argv.indexOf('dev');
  if (at < 0) return null;
  const name = argv[at + 1] ?? '';
  const found = yield* attempt(sys('netlink', { type: 'link.list', name }), null, 'ENODEV');
  if (found === null) throw new Complaint(`Cannot find device "${name}"`, 255);
  return name;
}

const PORT = '    hairpin off guard off root_block off fastleave off learning on flood on mcast_flood on bcast_flood on mcast_router 1 mcast_to_unicast off neigh_suppress off neigh_vlan_suppress off vlan_tunnel off isolated off locked off mab off \n';

function* bridgeLink(argv: readonly string[], detailed: boolean, coloured: boolean): Call<number> {
  const [command = 'show'] = argv;
  if (command === 'set') {
    const at = argv.indexOf('dev');
    if (at < 0) throw new Complaint('Device is a required argument.', 255);
    if (!(yield* linkNamed(argv[at + 1] ?? ''))) throw new Complaint(`Cannot find bridge device "${argv[at + 1] ?? ''}"`, 255);
    throw new Complaint(`not modelled: bridge link ${argv.join(' ')}`, 255);
  }
  if (!/^(show|list|lst|dev|l|s|sh)$/.test(command)) throw new Complaint(`Command "${command}" is unknown, try "bridge link help".`, 255);
  const dev = yield* device(argv);
  const all = yield* ask<LinkInfo[]>({ type: 'link.list' });
  for (const link of all) {
    if (!link.master || (dev !== null && link.name !== dev)) continue;
    const state = link.up && link.carrier ? 'forwarding' : 'disabled';
    // Which namespace the other end is in is not told here: its index is looked up in this one.
    const name = link.peerIndex === null ? link.name : `${link.name}@${all.find(({ index }) => index === link.peerIndex)?.name ?? `if${link.peerIndex}`}`;
    yield* print(`${link.index}: ${coloured ? paint(36, `${name}: `) : `${name}: `}<${flagsOf(link).join(',')}> mtu ${link.mtu} master ${link.master} state ${state} priority 32 cost ${portCost(link)} \n${detailed ? PORT : ''}`);
  }
  return 0;
}

/** Bridges do not filter by VLAN: each of them and each port is in VLAN 1, which a new bridge has by itself. */
function* vlans(argv: readonly string[]): Call<number> {
  const dev = yield* device(argv);
  yield* print('port              vlan-id  \n');
  for (const { name, kind, master } of yield* ask<LinkInfo[]>({ type: 'link.list' })) {
    if ((kind === 'bridge' || master) && (dev === null || dev === name)) yield* print(`${name.padEnd(18)}1 PVID Egress Untagged\n`);
  }
  return 0;
}

interface FdbRow {
  dev: string;
  master: string;
  mac: string;
  own: boolean;
  fixed: boolean;
  dst: string;
  via: string;
}

function fdbText(row: FdbRow, dev: string | null): string {
  const where = dev === null ? ` dev ${row.dev}` : '';
  if (row.dst !== '') return `${row.mac}${where} dst ${row.dst}${row.via ? ` via ${row.via}` : ''} self${row.fixed ? ' permanent' : ''}\n`;
  if (row.master === '') return `${row.mac}${where} self permanent\n`;
  return `${row.mac}${where} master ${row.master} ${row.own ? 'permanent' : row.fixed ? 'static' : ''}\n`;
}

const MAC = /^[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}$/i;

function* fdbChange(command: string, argv: readonly string[]): Call<number> {
  const request: NetlinkRequest = { type: command === 'del' || command === 'delete' ? 'fdb.del' : 'fdb.add' };
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === 'dev') request.dev = argv[++i] ?? '';
    else if (word === 'dst') {
      request.dst = argv[++i] ?? '';
      if (ipNumber(String(request.dst)) === null) throw new Complaint(`Error: any valid prefix is expected rather than "${request.dst}".`, 1);
    } else if (word === 'vlan' || word === 'vni' || word === 'port' || word === 'via') throw new Complaint(`not modelled: bridge fdb ${command} ${word}`, 255);
    else if (!/^(self|master|static|local|permanent|dynamic|temp|to)$/.test(word)) request.mac = word;
  }
  if (request.dev === undefined || request.mac === undefined) throw new Complaint('Device and address are required arguments.', 255);
  if (!MAC.test(String(request.mac))) throw new Complaint(`Invalid mac address ${request.mac}`, 255);
  if (command === 'append') request.append = true;
  yield* device(['dev', String(request.dev)]);
  if (command === 'replace') yield* attempt(sys('netlink', { type: 'fdb.del', dev: request.dev, mac: request.mac }), null);
  try {
    yield* ask(request);
  } catch (error) {
    if (error instanceof Complaint) throw new Complaint(error.message, 255);
    throw error;
  }
  return 0;
}

function* bridgeFdb(argv: readonly string[]): Call<number> {
  const [command = 'show', ...rest] = argv;
  if (['add', 'del', 'delete', 'append', 'replace'].includes(command)) return yield* fdbChange(command, rest);
  if (!/^(show|list|lst|l|s|sh|dev|br|brport|dynamic|state)$/.test(command)) throw new Complaint(`Command "${command}" is unknown, try "bridge fdb help".`, 255);
  const dev = yield* device(argv);
  const br = argv.indexOf('br') >= 0 ? argv[argv.indexOf('br') + 1] : undefined;
  const ports = br === undefined ? [] : (yield* ask<LinkInfo[]>({ type: 'link.list' })).filter(({ master }) => master === br).map(({ name }) => name);
  for (const row of yield* ask<FdbRow[]>({ type: 'fdb.list' })) {
    if (argv.includes('dynamic') && (row.fixed || row.own)) continue;
    if ((dev === null || dev === row.dev || dev === row.master) && (br === undefined || br === row.master || (row.master === '' && (br === row.dev || ports.includes(row.dev))))) yield* print(fdbText(row, dev !== null && dev === row.dev ? dev : null));
  }
  return 0;
}

/** Options up to the object; -n joins a named namespace. */
function* bridgeOptions(argv: readonly string[]): Call<{ words: string[]; detailed: boolean; coloured: boolean }> {
  let detailed = false;
  let coloured = false;
  let at = 0;
  for (; argv[at]?.startsWith('-'); at++) {
    const name = argv[at]!.replace(/^--?/, '');
    if (name !== '' && 'netns'.startsWith(name)) yield* switchTo(argv[++at] ?? '');
    else if (name !== '' && 'details'.startsWith(name)) detailed = true;
    else if (/^c(olor)?(=always)?$/.test(name)) coloured = true;
    else if (!/^(s|stat.*|o|oneline|color=.*|t|timestamp|4|6)$/.test(name)) throw new Complaint(/^(j|json|p|pretty)$/.test(name) ? `not modelled: bridge -${name}` : `Option "-${name}" is unknown, try "bridge help".`, 255);
  }
  return { words: argv.slice(at), detailed, coloured };
}

export const bridge: Program = complaining(function* (argv) {
  const { words, detailed, coloured } = yield* bridgeOptions(argv.slice(1));
  const object = words[0];
  if (object === undefined) throw new Complaint('Usage: bridge [ OPTIONS ] OBJECT { COMMAND | help }\nwhere  OBJECT := { link | fdb | mdb | vlan | vni | monitor }', 255);
  if ('link'.startsWith(object)) return yield* bridgeLink(words.slice(1), detailed, coloured);
  if ('fdb'.startsWith(object)) return yield* bridgeFdb(words.slice(1));
  if ('vlan'.startsWith(object) && (words[1] === undefined || 'show'.startsWith(words[1]))) {
    return yield* vlans(words.slice(words[1] === undefined ? 1 : 2));
  }
  if (['vlan', 'mdb', 'vni', 'mst', 'monitor'].some((name) => name.startsWith(object))) throw new Complaint(`not modelled: bridge ${words.join(' ')}`, 255);
  throw new Complaint(`Object "${object}" is unknown, try "bridge help".`, 255);
});

function* linkNamed(name: string): Call<LinkInfo | null> {
  const found = (yield* attempt(sys('netlink', { type: 'link.list', name }), null, 'ENODEV')) as LinkInfo[] | null;
  return found?.[0] ?? null;
}

const BRCTL: Readonly<Record<string, (args: readonly string[]) => Call<number>>> = {
  *addbr([name = '']) {
    if (yield* linkNamed(name)) throw new Complaint(`device ${name} already exists; can't create bridge with the same name`, 1);
    yield* ask({ type: 'link.add', name, kind: 'bridge' });
    return 0;
  },
  *delbr([name = '']) {
    const link = yield* linkNamed(name);
    if (!link) throw new Complaint(`bridge ${name} doesn't exist; can't delete it`, 1);
    if (link.up) throw new Complaint(`bridge ${name} is still up; can't delete it`, 1);
    yield* ask({ type: 'link.del', name });
    return 0;
  },
  *addif([name = '', ...ports]) {
    const found = yield* linkNamed(name);
    if (!found) throw new Complaint(`bridge ${name} does not exist!`, 1);
    for (const port of ports) {
      const link = yield* linkNamed(port);
      if (!link) throw new Complaint(`interface ${port} does not exist!`, 1);
      if (link.master) throw new Complaint(`device ${port} is already a member of a bridge; can't add it to bridge ${name}.`, 1);
      yield* ask({ type: 'link.set', name: port, master: name });
    }
    return 0;
  },
  *delif([name = '', ...ports]) {
    if (!(yield* linkNamed(name))) throw new Complaint(`bridge ${name} does not exist!`, 1);
    for (const port of ports) {
      if ((yield* linkNamed(port))?.master !== name) throw new Complaint(`device ${port} is not a port of ${name}`, 1);
      yield* ask({ type: 'link.set', name: port, master: null });
    }
    return 0;
  },
  *show() {
    const links = yield* ask<LinkInfo[]>({ type: 'link.list' });
    yield* print('bridge name\tbridge id\t\tSTP enabled\tinterfaces\n');
    for (const one of links.filter((link) => link.kind === 'bridge').sort((a, b) => (a.name < b.name ? -1 : 1))) {
      const ports = links.filter((link) => link.master === one.name).map((link) => link.name);
      yield* print(`${one.name}\t\t8000.${one.mac.replaceAll(':', '')}\tno\t\t${ports[0] ?? ''}\n`);
      for (const port of ports.slice(1)) yield* print(`\t\t\t\t\t\t\t${port}\n`);
    }
    return 0;
  },
};

export const brctl: Program = complaining(function* (argv) {
  const run = BRCTL[argv[1] ?? ''];
  if (!run) {
    yield* complain(argv[1] === undefined ? 'Usage: brctl [commands]\n' : `never heard of command [${argv[1]}]\n`);
    return 1;
  }
  return yield* run(argv.slice(2));
});
