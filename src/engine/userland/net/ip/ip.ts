/** ip(8): options, object, and the complaints of the whole. Source: iproute2 6.15. Objects that the kernel has nothing for are refused. */
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { attempt, readText } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print, strerror } from '../../lib/io.ts';
import { Complaint } from '../rtnl.ts';
import { address } from './address.ts';
import { link } from './link.ts';
import { maddress } from './maddress.ts';
import { execAll, netns, removeAll, switchTo } from './netns.ts';
import { type IpOptions, noOptions } from './options.ts';
import { neighbour, route } from './route.ts';
import { rule } from './rule.ts';
import { peek, type Words } from './words.ts';

export const USAGE = `Usage: ip [ OPTIONS ] OBJECT { COMMAND | help }
       ip [ -force ] -batch filename
where  OBJECT := { address | addrlabel | fou | help | ila | ioam | l2tp | link |
                   macsec | maddress | monitor | mptcp | mroute | mrule |
                   neighbor | neighbour | netconf | netns | nexthop | ntable |
                   ntbl | route | rule | sr | stats | tap | tcpmetrics |
                   token | tunnel | tuntap | vrf | xfrm }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[esolve] |
                    -h[uman-readable] | -iec | -j[son] | -p[retty] |
                    -f[amily] { inet | inet6 | mpls | bridge | link } |
                    -4 | -6 | -M | -B | -0 |
                    -l[oops] { maximum-addr-flush-attempts } | -echo | -br[ief] |
                    -o[neline] | -t[imestamp] | -ts[hort] | -b[atch] [filename] |
                    -rc[vbuf] [size] | -n[etns] name | -N[umeric] | -a[ll] |
                    -c[olor]}
`;

/** Of busybox, which has fewer options. */
const BUSYBOX_USAGE = `BusyBox v1.37.0 (Debian 1:1.37.0-6+b9) multi-call binary.

Usage: ip [OPTIONS] address|route|link|tunnel|neigh|rule [ARGS]

OPTIONS := -f[amily] inet|inet6|link | -o[neline]

ip addr add|del IFADDR dev IFACE | show|flush [dev IFACE] [to PREFIX]
ip route list|flush|add|del|change|append|replace|test ROUTE
ip link set IFACE [up|down] [arp on|off] [multicast on|off]
\t[promisc on|off] [mtu NUM] [name NAME] [qlen NUM] [address MAC]
\t[master IFACE | nomaster] [netns PID] [type TYPE ARGS]
ip tunnel add|change|del|show [NAME]
\t[mode ipip|gre|sit] [remote ADDR] [local ADDR] [ttl TTL]
ip neigh show|flush [to PREFIX] [dev DEV] [nud STATE]
ip rule [list] | add|del SELECTOR ACTION`;

type Run = (words: Words, options: IpOptions, env: Readonly<Record<string, string>>) => Call<number>;

/** In iproute2's order: the first that the word begins is meant. */
const OBJECTS: readonly [name: string, run: Run | null][] = [
  ['address', address], ['addrlabel', null], ['maddress', maddress], ['route', route], ['rule', rule], ['neighbor', neighbour], ['neighbour', neighbour],
  ['ntable', null], ['ntbl', null], ['link', link], ['l2tp', null], ['fou', null], ['ila', null], ['macsec', null], ['tunnel', null], ['tuntap', (words) => nothing(words)],
  ['tap', null], ['token', null], ['tcpmetrics', null], ['tcp_metrics', null], ['monitor', null], ['xfrm', null], ['mroute', null], ['mrule', null],
  ['netns', netns], ['netconf', null], ['vrf', null], ['sr', null], ['nexthop', null], ['mptcp', null], ['ioam', null], ['stats', null],
];

/** Of these there are none. */
function* nothing(words: Words): Call<number> {
  const word = peek(words);
  if (word !== undefined && !'list'.startsWith(word) && !'show'.startsWith(word)) throw new Complaint('not modelled: ip tuntap', 1);
  return 0;
}

function more(options: IpOptions): void {
  options.moreStatistics = options.statistics;
  options.statistics = true;
}

const FLAGS: readonly [name: string, set: (options: IpOptions) => void][] = [
  ['4', (o) => { o.family = 'inet'; }], ['6', (o) => { o.family = 'inet6'; }], ['oneline', (o) => { o.oneline = true; }],
  ['statistics', more], ['stats', more], ['details', (o) => { o.details = true; }],
  ['brief', (o) => { o.brief = true; }], ['json', (o) => { o.json = true; }], ['pretty', (o) => { o.pretty = true; }],
  ['resolve', () => undefined], ['color', (o) => { o.colour = true; }], ['human-readable', () => undefined], ['Numeric', (o) => { o.numeric = true; }], ['timestamp', () => undefined], ['iec', () => undefined], ['all', (o) => { o.all = true; }], ['force', (o) => { o.force = true; }],
];

/** Reads options up to the object; null when -V has been answered. */
function* options(words: Words, into: IpOptions): Call<boolean> {
  for (;;) {
    const word = words.argv[words.at];
    if (word === undefined || !word.startsWith('-')) return true;
    words.at++;
    if (word === '--') return true;
    const [name, when] = word.replace(/^--?/, '').split('=') as [string, string | undefined];
    if (into.style === 'busybox' && !/^(4|6|0|o|oneline|f|family)$/.test(name)) throw new Complaint(BUSYBOX_USAGE, 1);
    if (name === 'V' || name === 'Version') {
      yield* print('ip utility, iproute2-6.15.0, libbpf 1.5.0\n');
      return false;
    }
    if (name === '') throw new Complaint(USAGE.trimEnd(), 255);
    if ('netns'.startsWith(name)) {
      const ns = words.argv[words.at++];
      if (ns === undefined) throw new Complaint('Cannot open network namespace "(null)": No such file or directory', 255);
      yield* switchTo(ns);
      continue;
    }
    if (name === 'f' || name === 'family') {
      const family = words.argv[words.at++];
      into.family = family === 'inet6' ? 'inet6' : 'inet';
      continue;
    }
    if ('help'.startsWith(name) && name !== 'h') {
      yield* print(USAGE);
      return false;
    }
    if (name.length > 0 && 'batch'.startsWith(name)) {
      into.batch = words.argv[words.at++] ?? '-';
      continue;
    }
    const flag = FLAGS.find(([long]) => long.startsWith(name));
    if (!flag) throw new Complaint(`Option "${word}" is unknown, try "ip -help".`, 255);
    if (flag[0] === 'color' && when !== undefined && !/^(always|auto|never)$/.test(when)) throw new Complaint(`Option "${word}" is unknown, try "ip -help".`, 255);
    if (flag[0] !== 'color' || (when !== 'never' && when !== 'auto') || (when === 'auto' && (yield* attempt(sys('ioctl', 1, TCGETS), null)) !== null)) flag[1](into);
  }
}

function* run(argv: readonly string[], env: Readonly<Record<string, string>>, style: IpOptions['style']): Call<number> {
  const words: Words = { argv: argv.slice(1), at: 0 };
  const chosen: IpOptions = { ...noOptions(), style };
  if (!(yield* options(words, chosen))) return 0;
  if (chosen.batch !== null) return yield* batch(chosen.batch, chosen, env);
  return yield* one(words, chosen, env);
}

/** Lines of a file, each as the words after `ip`; a failure ends it, with -force at the end. */
function* batch(file: string, chosen: IpOptions, env: Readonly<Record<string, string>>): Call<number> {
  const source = yield* readText(file === '-' ? '/dev/stdin' : file);
  let failed = false;
  for (const [i, line] of source.split('\n').entries()) {
    const argv = line.replace(/(^|\s)#.*/, '').trim().split(/\s+/).filter(Boolean);
    if (argv.length === 0) continue;
    try {
      if ((yield* one({ argv, at: 0 }, { ...chosen, batch: null }, env)) === 0) continue;
    } catch (error) {
      if (!(error instanceof Complaint)) throw error;
      yield* complain(`${error.message}\n`);
    }
    yield* complain(`Command failed ${file}:${i + 1}\n`);
    failed = true;
    if (!chosen.force) break;
  }
  return failed ? 1 : 0;
}

function* one(words: Words, chosen: IpOptions, env: Readonly<Record<string, string>>): Call<number> {
  const object = words.argv[words.at];
  if (object === undefined) throw new Complaint(USAGE.trimEnd(), 255);
  words.at++;
  if ('help'.startsWith(object)) throw new Complaint(USAGE.trimEnd(), 255);
  const found = OBJECTS.find(([name]) => name.startsWith(object));
  if (!found) throw new Complaint(`Object "${object}" is unknown, try "ip help".`, 1);
  if (!found[1]) throw new Complaint(`not modelled: ip ${found[0]}`, 1);
  if (chosen.all && found[0] === 'netns' && (words.argv[words.at] ?? '').startsWith('e')) return yield* execAll(words.argv.slice(words.at + 1), env);
  if (chosen.all && found[0] === 'netns' && (words.argv[words.at] ?? '').startsWith('d')) return yield* removeAll();
  return yield* found[1](words, chosen, env);
}

/** Wraps a program whose complaints are printed as they are. */
export function complaining(body: (argv: readonly string[], env: Readonly<Record<string, string>>) => Call<number>): Program {
  return function* (argv, env): Body {
    try {
      return yield* body(argv, env);
    } catch (error) {
      if (error instanceof Complaint) {
        if (error.message !== '') yield* complain(`${error.message}\n`);
        return error.status;
      }
      if (error instanceof SysError) {
        if (error.errno === 'EPIPE') return 1;
        yield* complain(`${(argv[0] ?? '').split('/').pop()}: ${strerror(error)}\n`);
        return 1;
      }
      throw error;
    }
  };
}

export const ip: Program = complaining((argv, env) => run(argv, env, 'iproute2'));
/** As busybox prints it. */
export const busyboxIp: Program = complaining((argv, env) => run(argv, env, 'busybox'));
