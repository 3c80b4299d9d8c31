/** ss: sockets of this network namespace, asked from the kernel. Source: iproute2's ss(8). Left out: filters but ports and addresses, memory, sockets of packets and netlink. */
import type { SocketInfo } from '../../kernel/net/diag.ts';
import { type Program, type SockAddr, sys } from '../../kernel/sys.ts';
import { parseOptions } from '../lib/args.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { ipNumber, networkText } from './addresses.ts';
import { servicePort } from './services.ts';

interface Row {
  netid: string;
  state: string;
  recvq: string;
  sendq: string;
  local: [address: string, port: string];
  peer: [address: string, port: string];
  process: string;
  /** After it: timers, what -e tells. */
  more: string;
  /** A line of its own below. */
  info: string;
  /** Between address and port: a unix socket's path and inode stand apart. */
  between: ':' | ' ';
}

const NETIDS: Record<string, string> = {
  'inet stream': 'tcp', 'inet dgram': 'udp', 'inet raw': 'icmp', 'unix stream': 'u_str', 'unix dgram': 'u_dgr', 'unix seqpacket': 'u_seq', 'unix raw': 'u_raw',
};

function end(address: SockAddr | null, fallback: string): [string, string] {
  if (address?.family === 'inet') return [address.address, address.port === 0 ? '*' : String(address.port)];
  return [fallback, '*'];
}

function users(row: SocketInfo): string {
  return row.users.length === 0 ? '' : ` users:(${row.users.map((u) => `("${u.comm}",pid=${u.pid},fd=${u.fd})`).join(',')})`;
}

function rowOf(one: SocketInfo, withUsers: boolean, more: { timer: string; extended: string; info: string } = { timer: '', extended: '', info: '' }): Row {
  const base = {
    netid: NETIDS[`${one.family} ${one.type}`] ?? '???', state: one.state, recvq: String(one.recvq), sendq: String(one.sendq), process: withUsers ? users(one) : '', more: `${more.timer}${more.extended}`, info: more.info, between: one.family === 'inet' ? ':' : ' ',
  } as const;
  if (one.family === 'inet') return { ...base, local: end(one.local, '0.0.0.0'), peer: one.state === 'LISTEN' ? ['0.0.0.0', '*'] : end(one.remote, '0.0.0.0') };
  const path = one.local?.family === 'unix' && one.local.path !== '' ? one.local.path.replace(/^\0/, '@') : '*';
  return { ...base, local: [path, String(one.ino)], peer: ['*', String(one.peer)] };
}

/** Columns as wide as their widest entry; addresses end and ports begin at the colon. */
function table(rows: readonly Row[], { netid: withNetid, state: withState, head, users: withUsers, timers }: { netid: boolean; state: boolean; head: boolean; users: boolean; timers: boolean }): string {
  const all = [...(head ? [{ netid: 'Netid', state: 'State', recvq: 'Recv-Q', sendq: 'Send-Q', local: ['Local Address', 'Port'], peer: ['Peer Address', 'Port'], process: withUsers ? 'Process' : '', more: '', info: '', between: ':' } as Row] : []), ...rows];
  const width = (of: (row: Row) => string): number => Math.max(0, ...all.map((row) => of(row).length));
  const w = { netid: width((r) => r.netid), state: width((r) => r.state), recvq: Math.max(6, width((r) => r.recvq)), sendq: Math.max(6, width((r) => r.sendq)), la: width((r) => r.local[0]), lp: width((r) => r.local[1]), pa: width((r) => r.peer[0]), pp: width((r) => r.peer[1]), process: withUsers ? width((r) => r.process) : 0, more: timers ? width((r) => r.more) : 0 };
  return all
    .map((r) => {
      const left = `${withNetid ? `${r.netid.padEnd(w.netid)} ` : ''}${withState ? `${r.state.padEnd(w.state)} ` : ''}${r.recvq.padEnd(w.recvq)} ${r.sendq.padEnd(w.sendq)} `;
      return `${left}${r.local[0].padStart(w.la)}${r.between}${r.local[1].padEnd(w.lp)} ${r.peer[0].padStart(w.pa)}${r.between}${r.peer[1].padEnd(w.pp)}${r.process.padEnd(w.process)}${r.more.padEnd(w.more)}\n${r.info === '' ? '' : `${r.info}\n`}`;
    })
    .join('');
}

type Test = (row: Row) => boolean;

/** "sport = :80 and ( dst 10.0.0.0/8 or not src 10.0.0.1 )" after the options. Source: ssfilter of iproute2. Throws for words that make no sense. */
function filterOf(words: readonly string[]): Test {
  const tokens = words.join(' ').replace(/([()!])/g, ' $1 ').replace(/! =/g, '!=').replace(/(<=|>=|==|!=|(?<![<>=!])[=<>](?!=))/g, ' $1 ').split(/\s+/).filter(Boolean);
  if (tokens.length === 0) return () => true;
  let at = 0;
  const take = (...any: string[]): boolean => any.includes(tokens[at] ?? '') && at++ >= 0;
  const either = (): Test => {
    let left = both();
    while (take('or', '|', '||')) {
      const [a, b] = [left, both()];
      left = (row) => a(row) || b(row);
    }
    return left;
  };
  const both = (): Test => {
    let left = one();
    while (at < tokens.length && !['or', '|', '||', ')'].includes(tokens[at]!)) {
      take('and', '&', '&&');
      const [a, b] = [left, one()];
      left = (row) => a(row) && b(row);
    }
    return left;
  };
  const one = (): Test => {
    if (take('not', '!')) {
      const inner = one();
      return (row) => !inner(row);
    }
    if (take('(')) {
      const inner = either();
      if (!take(')')) throw new Failed('bison bellows (while parsing filter): "syntax error!" Sorry.', 1);
      return inner;
    }
    return comparison(tokens[at++] ?? '', () => tokens[at], () => tokens[at++] ?? '');
  };
  const whole = either();
  if (at < tokens.length) throw new Failed('bison bellows (while parsing filter): "syntax error!" Sorry.', 1);
  return whole;
}

const COMPARE: Readonly<Record<string, (a: number, b: number) => boolean>> = {
  '=': (a, b) => a === b, '==': (a, b) => a === b, eq: (a, b) => a === b, '!=': (a, b) => a !== b, ne: (a, b) => a !== b, '>': (a, b) => a > b, gt: (a, b) => a > b, '<': (a, b) => a < b, lt: (a, b) => a < b,
  '>=': (a, b) => a >= b, ge: (a, b) => a >= b, '<=': (a, b) => a <= b, le: (a, b) => a <= b,
};

function comparison(what: string, peek: () => string | undefined, next: () => string): Test {
  const compare = COMPARE[peek() ?? ''] ?? COMPARE['=']!;
  if (COMPARE[peek() ?? '']) next();
  if (what === 'sport' || what === 'dport' || what === 'port') {
    const value = next().replace(/^.*:/, '');
    const port = servicePort(value, 'tcp') ?? Number(value);
    if (!Number.isInteger(port)) throw new Failed(`Error: "${value}" does not look like a port.\nCannot parse dst/src address.`, 1);
    const said = (text: string): boolean => text !== '*' && compare(Number(text), port);
    return (row) => (what !== 'dport' && said(row.local[1])) || (what !== 'sport' && said(row.peer[1]));
  }
  const value = what === 'src' || what === 'dst' ? next() : what;
  const [, host = '', prefix, , port] = /^([^:/]*)(?:\/(\d+))?(:(.*))?$/.exec(value) ?? [];
  const any = host === '' || host === '*';
  if ((what !== 'src' && what !== 'dst') || (!any && ipNumber(host) === null)) throw new BadFilter(`Error: an inet prefix is expected rather than "${any ? value : host}".\nCannot parse dst/src address.`);
  const within = (address: string): boolean => any || (ipNumber(address) !== null && networkText(address, Number(prefix ?? 32)) === networkText(host, Number(prefix ?? 32)));
  return (row) => {
    const end = what === 'src' ? row.local : row.peer;
    return within(end[0]) && (port === undefined || port === '*' || end[1] === port);
  };
}

/** Printed as it is. */
class BadFilter extends Error {}

const ms = (ns: number): string => String(Number((ns / 1e6).toFixed(3)));

function bits(perSecond: number): string {
  return `${Math.floor(perSecond)}bps`;
}

/** -i: the insides of a connection, as tcp_stats_print says them. */
function insides({ tcp: t }: SocketInfo): string {
  if (!t) return '';
  const out = ['cubic', 'wscale:7,7', `rto:${Math.round(t.rto / 1e6)}`];
  if (t.backoff > 0) out.push(`backoff:${t.backoff}`);
  if (t.srtt > 0) out.push(`rtt:${ms(t.srtt)}/${ms(t.rttvar)}`);
  if (t.totals.dataIn > 0) out.push('ato:40');
  out.push(`mss:${t.mss}`, `pmtu:${t.pmtu}`, `rcvmss:${t.totals.bytesReceived > 0 ? Math.min(t.mss, Math.max(536, t.totals.bytesReceived)) : 536}`, `advmss:${t.advertised}`, `cwnd:${t.cwnd}`);
  if (t.ssthresh > 0) out.push(`ssthresh:${t.ssthresh}`);
  const { totals } = t;
  if (totals.bytesSent > 0) out.push(`bytes_sent:${totals.bytesSent + totals.bytesRetrans}`);
  if (totals.bytesRetrans > 0) out.push(`bytes_retrans:${totals.bytesRetrans}`);
  if (totals.bytesAcked > 0) out.push(`bytes_acked:${totals.bytesAcked}`);
  if (totals.bytesReceived > 0) out.push(`bytes_received:${totals.bytesReceived}`);
  out.push(`segs_out:${totals.segsOut}`, `segs_in:${totals.segsIn}`);
  if (totals.dataOut > 0) out.push(`data_segs_out:${totals.dataOut}`);
  if (totals.dataIn > 0) out.push(`data_segs_in:${totals.dataIn}`);
  if (t.srtt > 0) out.push(`send ${bits((t.mss * t.cwnd * 8e9) / t.srtt)}`);
  out.push(`lastsnd:${Math.floor(t.since.sent / 1e6)}`, `lastrcv:${Math.floor(t.since.received / 1e6)}`, `lastack:${Math.floor(t.since.acked / 1e6)}`);
  if (t.srtt > 0) out.push(`pacing_rate ${bits((t.mss * t.cwnd * 8e9 * (t.ssthresh > 0 && t.cwnd >= t.ssthresh ? 1.2 : 2)) / t.srtt)}`);
  if (totals.dataOut > 0) out.push(`delivered:${Math.max(0, totals.dataOut - t.unacked) + 1}`);
  if (t.unacked > 0) out.push(`unacked:${t.unacked}`);
  if (totals.retrans > 0) out.push(`retrans:${t.retransmitted}/${totals.retrans}`);
  if (t.lost > 0) out.push(`lost:${t.lost}`);
  if (t.early > 0) out.push(`rcv_ooopack:${t.early}`);
  out.push('rcv_space:14480', `rcv_ssthresh:${t.room}`);
  if (t.minRtt > 0) out.push(`minrtt:${ms(t.minRtt)}`);
  out.push(`snd_wnd:${t.window}`);
  return `\t ${out.join(' ')}`;
}

/** -o: the timer that runs. */
function timerText({ tcp: t, state }: SocketInfo): string {
  if (!t || t.timer === 0) return '';
  const seconds = Math.floor(t.timer / 1e9);
  const below = t.timer < 10e9 ? `.${String(Math.floor((t.timer % 1e9) / 1e6)).padStart(3, '0')}` : '';
  const left = seconds >= 60 ? `${Math.floor(seconds / 60)}min${seconds % 60}sec` : seconds >= 1 ? `${seconds}${below}sec` : `${Math.floor(t.timer / 1e6)}ms`;
  return ` timer:(${state === 'TIME-WAIT' ? 'timewait' : 'on'},${left},${t.repeats})`;
}

export const ss: Program = command(function* (argv) {
  const options = parseOptions('t/tcp u/udp w/raw x/unix l/listening a/all n/numeric p/processes H/no-header 4/ipv4 6/ipv6 0/packet V/version h/help e/extended i/info m/memory o/options r/resolve s/summary K/kill O/oneline f/family= A/query= T/threads Z/context b/bpf E/events Q/no-queues N/net= S/sctp M/mptcp d/dccp tipc vsock xdp inet-sockopt tos cgroup D= F=', argv.slice(1));
  const { on } = options;
  if (on.has('version')) {
    yield* print('ss utility, iproute2-6.15.0\n');
    return 0;
  }
  if (on.has('kill')) throw new Failed('not modelled: --kill', 255);
  let keep: Test;
  try {
    keep = filterOf(options.words[0] === 'state' ? options.words.slice(2) : options.words);
  } catch (error) {
    if (!(error instanceof BadFilter)) throw error;
    yield* complain(`${error.message}\n`);
    return 1;
  }
  const wantState = options.words[0] === 'state' ? (options.words[1] ?? '') : '';
  const moreOf = (one: SocketInfo): { timer: string; extended: string; info: string } => ({
    timer: on.has('options') ? timerText(one) : '', extended: on.has('extended') && one.family === 'inet' ? `${one.uid > 0 ? ` uid:${one.uid}` : ''} ino:${one.ino} sk:${(one.ino % 4096).toString(16)} <->` : '',
    info: on.has('info') ? insides(one) : '',
  });
  const rows = (yield* sys('netlink', { type: 'socket.list' })) as SocketInfo[];
  const kinds = ['tcp', 'udp', 'raw', 'unix'].filter((kind) => on.has(kind));
  const inetOnly = on.has('ipv4');
  const kindOf = (one: SocketInfo): string => (one.family === 'unix' ? 'unix' : one.type === 'stream' ? 'tcp' : one.type === 'dgram' ? 'udp' : 'raw');
  const STATES: Record<string, string> = {
    established: 'ESTAB', estab: 'ESTAB', listening: 'LISTEN', listen: 'LISTEN', 'time-wait': 'TIME-WAIT', 'syn-sent': 'SYN-SENT', 'syn-recv': 'SYN-RECV', 'close-wait': 'CLOSE-WAIT', 'fin-wait-1': 'FIN-WAIT-1', 'fin-wait-2': 'FIN-WAIT-2', 'last-ack': 'LAST-ACK', closing: 'CLOSING',
  };
  if (wantState !== '' && wantState !== 'all' && wantState !== 'connected' && !STATES[wantState]) throw new Failed(`wrong state name: ${wantState}`, 255);
  if (on.has('no-queues') || on.has('events') || on.has('bpf')) throw new Failed(`not modelled: ${argv[1]}`, 255);
  const listens = (one: SocketInfo): boolean => one.state === 'LISTEN' || (one.state === 'UNCONN' && one.type !== 'stream' && one.local !== null);
  const shown = rows.filter((one) => {
    if (kinds.length > 0 ? !kinds.includes(kindOf(one)) : inetOnly && one.family !== 'inet') return false;
    if (on.has('ipv6')) return false;
    if (wantState) return wantState === 'all' || (wantState === 'connected' ? one.state !== 'LISTEN' && one.state !== 'UNCONN' : one.state === STATES[wantState]);
    if (on.has('all')) return one.local !== null || one.state !== 'UNCONN' || one.family === 'unix';
    if (on.has('listening')) return listens(one);
    return one.state !== 'LISTEN' && one.state !== 'UNCONN' && one.state !== 'TIME-WAIT';
  });
  if (on.has('summary')) {
    const of = (kind: string): SocketInfo[] => rows.filter((one) => kindOf(one) === kind);
    const tcp = of('tcp');
    const closed = tcp.filter((one) => one.state === 'UNCONN' || one.state === 'TIME-WAIT').length;
    const used = tcp.length - closed;
    const line = (name: string, n: number): string => `${name}\t  ${String(n).padEnd(9)} ${String(n).padEnd(9)} 0        \n`;
    yield* print(`Total: ${rows.length}\nTCP:   ${tcp.length} (estab ${tcp.filter((one) => one.state === 'ESTAB').length}, closed ${closed}, orphaned 0, timewait ${tcp.filter((one) => one.state === 'TIME-WAIT').length})\n\n`);
    yield* print(`Transport Total     IP        IPv6\n${line('RAW', of('raw').length)}${line('UDP', of('udp').length)}${line('TCP', used)}${line('INET', of('raw').length + of('udp').length + used)}${line('FRAG', 0)}\n`);
    return 0;
  }
  yield* print(table(shown.map((one) => rowOf(one, on.has('processes'), moreOf(one))).filter(keep), { netid: kinds.length !== 1 || kinds[0] === 'unix', state: wantState === '' || STATES[wantState] === undefined, head: !on.has('no-header'), users: on.has('processes'), timers: on.has('options') && !on.has('extended') }));
  return 0;
});
