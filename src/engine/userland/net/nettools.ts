/** netstat, route, ifconfig of net-tools: from /proc/net and the kernel's links. Source: netstat(8), route(8), ifconfig(8). */
import type { LinkInfo } from '../../kernel/net/rtnetlink.ts';
import { AT_FDCWD, SysError } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { attempt, list, readText, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print, strerror } from '../lib/io.ts';
import { broadcastOf, ipNumber, ipText, parseAddress } from './addresses.ts';

/** Little-endian hexadecimal, as /proc/net has it. */
function address(hex: string): string {
  return ipText(Number.parseInt(hex.match(/../g)!.reverse().join(''), 16));
}

function end(field: string): string {
  const [ip, port] = field.split(':') as [string, string];
  const n = Number.parseInt(port, 16);
  return `${address(ip)}:${n === 0 ? '*' : n}`;
}

const STATES: Record<string, string> = {
  '01': 'ESTABLISHED', '02': 'SYN_SENT', '03': 'SYN_RECV', '04': 'FIN_WAIT1', '05': 'FIN_WAIT2', '06': 'TIME_WAIT', '07': '', '08': 'CLOSE_WAIT', '09': 'LAST_ACK', '0A': 'LISTEN', '0B': 'CLOSING',
};

/** Who has which socket open: inode to "pid/name". */
function* owners(): Call<Map<string, string>> {
  const found = new Map<string, string>();
  for (const { name: pid } of yield* list('/proc')) {
    if (!/^\d+$/.test(pid)) continue;
    for (const { name: fd } of yield* list(`/proc/${pid}/fd`)) {
      const ino = /^socket:\[(\d+)\]$/.exec(yield* attempt(sys('readlinkat', AT_FDCWD, `/proc/${pid}/fd/${fd}`), ''))?.[1];
      if (ino && !found.has(ino)) found.set(ino, `${pid}/${((yield* tryRead(`/proc/${pid}/comm`)) ?? '').trim()}`);
    }
  }
  return found;
}

function* inetRows(kind: 'tcp' | 'udp', wanted: (state: string) => boolean, who: ReadonlyMap<string, string> | null): Call<string> {
  let out = '';
  for (const line of (yield* readText(`/proc/net/${kind}`)).split('\n').slice(1)) {
    const f = line.trim().split(/\s+/);
    if (f.length < 10) continue;
    const state = STATES[f[3]!] ?? '';
    if (!wanted(kind === 'udp' ? 'UDP' : state)) continue;
    const [tx, rx] = f[4]!.split(':').map((n) => Number.parseInt(n, 16)) as [number, number];
    out += `${kind.padEnd(5)} ${String(rx).padStart(6)} ${String(tx).padStart(6)} ${end(f[1]!).padEnd(23)} ${end(f[2]!).padEnd(23)} ${state.padEnd(11)} ${who ? (who.get(f[9]!) ?? '-').padEnd(20) : ''}\n`;
  }
  return out;
}

/** netstat -r: sizes of segments, windows and times that routes here do not set. */
function* sizedRoutes(): Call<string> {
  const rows = (yield* routeTable('')).split('\n').filter(Boolean).map((row) => row.replace(/^(.{48}\S+ *?) +\d+ +\d+ +\d+ (\S+)$/, (_all, head: string, dev: string) => `${head.padEnd(53)}     0 0          0 ${dev}\n`));
  return `Kernel IP routing table\nDestination     Gateway         Genmask         Flags   MSS Window  irtt Iface\n${rows.join('')}`;
}

/** netstat -i. */
function interfaceRow({ name, mtu, stats, kind, up, carrier, arp, multicast }: LinkInfo): string {
  const flags = `${kind === 'loopback' ? 'L' : 'B'}${kind === 'loopback' || !multicast || kind === 'dummy' ? '' : 'M'}${arp ? '' : 'O'}${up && carrier ? 'R' : ''}${up ? 'U' : ''}`;
  const n = (value: number, width: number): string => String(value).padStart(width);
  return `${name.padEnd(15)} ${n(mtu, 5)} ${n(stats.rxPackets, 8)} ${n(0, 6)} ${n(stats.rxDropped, 6)} ${'0'.padEnd(6)} ${n(stats.txPackets, 8)} ${n(0, 6)} ${n(stats.txDropped, 6)} ${n(0, 6)} ${flags}\n`;
}

function* routeTable(head: string): Call<string> {
  let out = head;
  for (const line of (yield* readText('/proc/net/route')).split('\n').slice(1)) {
    const f = line.trim().split(/\s+/);
    if (f.length < 8) continue;
    const flags = Number.parseInt(f[3]!, 16);
    const letters = `U${flags & 2 ? 'G' : ''}${flags & 4 ? 'H' : ''}`;
    out += `${address(f[1]!).padEnd(15)} ${address(f[2]!).padEnd(15)} ${address(f[7]!).padEnd(15)} ${letters.padEnd(5)} ${f[6]!.padEnd(6)} ${f[4]!.padEnd(2)} ${f[5]!.padStart(7)} ${f[0]}\n`;
  }
  return out;
}

const ROUTE_HEAD = 'Kernel IP routing table\nDestination     Gateway         Genmask         Flags Metric Ref    Use Iface\n';

export const netstat: Program = command(function* (argv) {
  const { on } = parseOptions('t/tcp u/udp x/unix l/listening a/all n/numeric p/program r/route i/interfaces e/extend W/wide', argv.slice(1));
  if (on.has('route')) {
    yield* print(yield* sizedRoutes());
    return;
  }
  if (on.has('interfaces')) {
    const links = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
    yield* print(`Kernel Interface table\nIface             MTU    RX-OK RX-ERR RX-DRP RX-OVR    TX-OK TX-ERR TX-DRP TX-OVR Flg\n${links.filter((one) => one.up || on.has('all')).map(interfaceRow).join('')}`);
    return;
  }
  const [tcp, udp, unix] = [on.has('tcp'), on.has('udp'), on.has('unix')];
  const every = !tcp && !udp && !unix;
  const wanted = (state: string): boolean => on.has('all') || (on.has('listening') ? state === 'LISTEN' || state === 'UDP' : state !== 'LISTEN' && state !== 'UDP');
  const who = on.has('program') ? yield* owners() : null;
  const which = on.has('all') ? '(servers and established)' : on.has('listening') ? '(only servers)' : '(w/o servers)';
  if (every || tcp || udp) {
    yield* print(`Active Internet connections ${which}\nProto Recv-Q Send-Q Local Address           Foreign Address         State       ${who ? 'PID/Program name    ' : ''}\n`);
    if (every || tcp) yield* print(yield* inetRows('tcp', wanted, who));
    if (every || udp) yield* print(yield* inetRows('udp', wanted, who));
  }
  if (!every && !unix) return;
  yield* print(`Active UNIX domain sockets ${which}\nProto RefCnt Flags       Type       State         I-Node   Path\n`);
  for (const line of (yield* readText('/proc/net/unix')).split('\n').slice(1)) {
    const f = line.trim().split(/\s+/);
    if (f.length < 7) continue;
    const listening = f[3] === '00010000';
    if (!on.has('all') && listening !== on.has('listening')) continue;
    const state = listening ? 'LISTENING' : f[5] === '03' ? 'CONNECTED' : '';
    yield* print(`unix  ${'2'.padEnd(6)} ${(listening ? '[ ACC ]' : '[ ]').padEnd(11)} ${(f[4] === '0002' ? 'DGRAM' : f[4] === '0005' ? 'SEQPACKET' : 'STREAM').padEnd(10)} ${state.padEnd(13)} ${f[6]!.padEnd(8)} ${f[7] ?? ''}\n`);
  }
});

export const route: Program = command(function* (argv) {
  const words = argv.slice(1).filter((word) => !/^-[ne46]+$/.test(word));
  if (words.length === 0) {
    yield* print(yield* routeTable(ROUTE_HEAD));
    return;
  }
  const [action, ...rest] = words;
  if (action !== 'add' && action !== 'del') throw new Failed(`not modelled: ${words.join(' ')}`);
  const after = (name: string): string | undefined => (rest.includes(name) ? rest[rest.indexOf(name) + 1] : undefined);
  const target = rest.find((word) => word !== '-net' && word !== '-host') ?? '';
  const mask = after('netmask');
  const prefix = mask === undefined ? '' : `/${32 - Math.log2(4294967296 - (ipNumber(mask) ?? 0))}`;
  const dev = after('dev');
  const via = after('gw');
  try {
    yield* sys('netlink', { type: action === 'add' ? 'route.add' : 'route.del', to: `${target}${prefix}`, ...(via ? { via } : {}), ...(dev ? { dev } : {}) });
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain(`SIOC${action === 'add' ? 'ADD' : 'DEL'}RT: ${strerror(error)}\n`);
    return 7;
  }
  return 0;
});

function linkText(link: LinkInfo): string {
  const flags = [...(link.up ? ['UP'] : []), ...(link.kind === 'loopback' ? ['LOOPBACK'] : ['BROADCAST']), ...(link.up && link.carrier ? ['RUNNING'] : []), ...(link.kind === 'loopback' ? [] : ['MULTICAST'])];
  const bits = (link.up ? 1 : 0) | (link.kind === 'loopback' ? 8 : 2 | 4096) | (link.up && link.carrier ? 64 : 0);
  let out = `${link.name}: flags=${bits}<${flags.join(',')}>  mtu ${link.mtu}\n`;
  for (const one of link.addresses) {
    if (one.family === 'inet') {
      const size = 2 ** (32 - one.prefix);
      out += `        inet ${one.address}  netmask ${ipText(4294967296 - size)}${one.broadcast ? `  broadcast ${one.broadcast}` : ''}\n`;
    } else out += `        inet6 ${one.address}  prefixlen ${one.prefix}  scopeid ${one.scope === 'host' ? '0x10<host>' : '0x20<link>'}\n`;
  }
  out += link.kind === 'loopback' ? '        loop  txqueuelen 1000  (Local Loopback)\n' : `        ether ${link.mac}  txqueuelen ${link.txqlen}  (Ethernet)\n`;
  const human = (n: number): string => (n >= 1e6 ? `${(n / 1e6).toFixed(1)} MB` : n >= 1000 ? `${(n / 1000).toFixed(1)} KB` : `${n.toFixed(1)} B`);
  const { stats } = link;
  return `${out}        RX packets ${stats.rxPackets}  bytes ${stats.rxBytes} (${human(stats.rxBytes)})\n        RX errors 0  dropped ${stats.rxDropped}  overruns 0  frame 0\n        TX packets ${stats.txPackets}  bytes ${stats.txBytes} (${human(stats.txBytes)})\n        TX errors 0  dropped ${stats.txDropped} overruns 0  carrier 0  collisions 0\n\n`;
}

export const ifconfig: Program = command(function* (argv) {
  const words = argv.slice(1).filter((word) => word !== '-a');
  const all = (yield* sys('netlink', { type: 'link.list' })) as LinkInfo[];
  const [name, ...rest] = words;
  if (name === undefined) {
    for (const link of all) if (link.up || argv.includes('-a')) yield* print(linkText(link));
    return 0;
  }
  const link = all.find((one) => one.name === name);
  if (!link) {
    yield* complain(`${name}: error fetching interface information: Device not found\n`);
    return 1;
  }
  if (rest.length === 0) yield* print(linkText(link));
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (word === 'up' || word === 'down') yield* sys('netlink', { type: 'link.set', name, up: word === 'up' });
    else if (word === 'mtu') yield* sys('netlink', { type: 'link.set', name, mtu: Number(rest[++i]) });
    else if (word === 'netmask' || word === 'broadcast') i++;
    else {
      const mask = rest.includes('netmask') ? rest[rest.indexOf('netmask') + 1]! : undefined;
      const found = parseAddress(mask === undefined ? (word.includes('/') ? word : `${word}/24`) : `${word}/${32 - Math.log2(4294967296 - (ipNumber(mask) ?? 0))}`);
      if (!found) throw new Failed(`${word}: Host name lookup failure`);
      for (const old of link.addresses) if (old.family === 'inet') yield* attempt(sys('netlink', { type: 'addr.del', dev: name, address: old.address, prefix: old.prefix }), null);
      yield* sys('netlink', { type: 'addr.add', dev: name, ...found, broadcast: broadcastOf(found.address, found.prefix) });
      yield* sys('netlink', { type: 'link.set', name, up: true });
    }
  }
  return 0;
});
