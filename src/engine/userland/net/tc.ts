/** tc: queueing disciplines of links. Source: tc(8), tc-netem(8), tc-tbf(8) of iproute2 6.15. Left out: classes, filters, disciplines but netem, tbf and pfifo. */
import type { QdiscInfo } from '../../kernel/net/rtrules.ts';
import type { NetlinkRequest, Program } from '../../kernel/sys.ts';
import type { Call } from '../lib/http.ts';
import { print } from '../lib/io.ts';
import { complaining } from './ip/ip.ts';
import { requireDevice } from './ip/link.ts';
import { switchTo } from './ip/netns.ts';
import { ask, Complaint } from './rtnl.ts';

const USAGE = `Usage:	tc [ OPTIONS ] OBJECT { COMMAND | help }
	tc [-force] -batch filename
where  OBJECT := { qdisc | class | filter | chain |
		    action | monitor | exec }
       OPTIONS := { -V[ersion] | -s[tatistics] | -d[etails] | -r[aw] |
		    -o[neline] | -j[son] | -p[retty] | -c[olor]
		    -b[atch] [filename] | -n[etns] name | -N[umeric] |
		     -nm | -nam[es] | { -cf | -conf } path
		     -br[ief] | -echo }`;

const TIMES: Readonly<Record<string, number>> = { s: 1e9, sec: 1e9, secs: 1e9, ms: 1e6, msec: 1e6, msecs: 1e6, us: 1e3, usec: 1e3, usecs: 1e3, ns: 1, nsec: 1, nsecs: 1, '': 1e3 };

function time(word: string): number | null {
  const m = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(word);
  const unit = m ? TIMES[m[2]!.toLowerCase()] : undefined;
  return m && unit !== undefined ? Math.round(Number(m[1]) * unit) : null;
}

function timeText(ns: number): string {
  if (ns >= 1e9) return `${Number((ns / 1e9).toPrecision(3))}s`;
  return ns >= 1e6 ? `${Number((ns / 1e6).toPrecision(3))}ms` : ns >= 1e3 ? `${Number((ns / 1e3).toPrecision(3))}us` : `${ns}ns`;
}

const RATES: Readonly<Record<string, number>> = {
  bit: 1 / 8, kbit: 125, mbit: 125e3, gbit: 125e6, tbit: 125e9, bps: 1, kbps: 1e3, mbps: 1e6, gbps: 1e9, kibit: 128, mibit: 131072, gibit: 134217728, '': 1 / 8,
};

/** Bytes a second. */
function rate(word: string): number | null {
  const m = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(word);
  const unit = m ? RATES[m[2]!.toLowerCase()] : undefined;
  return m && unit !== undefined ? Number(m[1]) * unit : null;
}

function rateText(bytes: number): string {
  const bits = bytes * 8;
  for (const [unit, size] of [['G', 1e9], ['M', 1e6], ['K', 1e3]] as const) if (bits >= size) return `${Number((bits / size).toFixed(3))}${unit}bit`;
  return `${Math.round(bits)}bit`;
}

const SIZES: Readonly<Record<string, number>> = { b: 1, k: 1024, kb: 1024, m: 1048576, mb: 1048576, g: 1073741824, kbit: 128, mbit: 131072, '': 1 };

function size(word: string): number | null {
  const m = /^(\d+(?:\.\d+)?)([a-z]*)(?:\/\d+)?$/i.exec(word);
  const unit = m ? SIZES[m[2]!.toLowerCase()] : undefined;
  return m && unit !== undefined ? Math.floor(Number(m[1]) * unit) : null;
}

const sizeText = (n: number): string => (n >= 1048576 && n % 1048576 === 0 ? `${n / 1048576}Mb` : n >= 1024 && n % 1024 === 0 ? `${n / 1024}Kb` : `${n}b`);

function percent(word: string): number | null {
  const m = /^(\d+(?:\.\d+)?)%?$/.exec(word);
  return m && Number(m[1]) <= 100 ? Number(m[1]) / 100 : null;
}

const percentText = (p: number): string => `${Number((p * 100).toPrecision(6))}%`;

interface Cursor {
  argv: readonly string[];
  at: number;
}

/** The value of an option, read by `parse`; complains as the discipline's own parser does. */
function value(words: Cursor, parse: (word: string) => number | null, bad: (word: string) => string): number {
  const word = words.argv[words.at++];
  if (word === undefined) throw new Complaint('Command line is not complete. Try option "help"', 255);
  const found = parse(word);
  if (found === null) throw new Complaint(bad(word), 1);
  return found;
}

const illegal = (what: string): ((word: string) => string) => () => `Illegal "${what}"`;

function netem(words: Cursor): Record<string, number> {
  const spec: Record<string, number> = {};
  while (words.at < words.argv.length) {
    const word = words.argv[words.at++]!;
    if (word === 'delay' || word === 'latency') {
      spec.delay = value(words, time, illegal('latency'));
      const jitter = time(words.argv[words.at] ?? '');
      if (jitter !== null) {
        spec.jitter = jitter;
        words.at++;
        if (percent(words.argv[words.at] ?? '') !== null) throw new Complaint('not modelled: netem correlation', 1);
      }
    } else if (word === 'loss' || word === 'drop') {
      if (words.argv[words.at] === 'random') words.at++;
      if (words.argv[words.at] === 'state' || words.argv[words.at] === 'gemodel') throw new Complaint(`not modelled: netem loss ${words.argv[words.at]}`, 1);
      spec.loss = value(words, percent, illegal('loss percent'));
    } else if (word === 'duplicate') spec.duplicate = value(words, percent, illegal('duplicate'));
    else if (word === 'corrupt') spec.corrupt = value(words, percent, illegal('corrupt'));
    else if (word === 'reorder') spec.reorder = value(words, percent, illegal('reorder'));
    else if (word === 'rate') spec.rate = value(words, rate, illegal('rate'));
    else if (word === 'limit') spec.limit = value(words, size, illegal('limit'));
    else if (word === 'distribution' || word === 'gap' || word === 'ecn' || word === 'slot') throw new Complaint(`not modelled: netem ${word}`, 1);
    else if (percent(word) !== null) throw new Complaint('not modelled: netem correlation', 1);
    else throw new Complaint(`What is "${word}"?\nUsage: ... netem	[ limit PACKETS ]\n		[ delay TIME [ JITTER [CORRELATION]]]\n		[ loss random PERCENT [CORRELATION]]\n		[ duplicate PERCENT [CORRELATION]]\n		[ corrupt PERCENT [CORRELATION]]\n		[ reorder PERCENT [CORRELATION] [ gap DISTANCE ]]\n		[ rate RATE [PACKETOVERHEAD] [CELLSIZE] [CELLOVERHEAD]]`, 1);
  }
  if (spec.reorder && !spec.delay) throw new Complaint('reordering not possible without specifying some delay', 1);
  return spec;
}

const TBF_USAGE = 'Usage: ... tbf limit BYTES burst BYTES[/BYTES] rate KBPS [ mtu BYTES[/BYTES] ]\n	[ peakrate KBPS ] [ latency TIME ] [ overhead BYTES ] [ linklayer TYPE ]';

function tbf(words: Cursor): Record<string, number> {
  const spec: Record<string, number> = {};
  while (words.at < words.argv.length) {
    const word = words.argv[words.at++]!;
    if (word === 'rate') spec.rate = value(words, rate, illegal('rate'));
    else if (word === 'burst' || word === 'buffer' || word === 'maxburst') spec.burst = value(words, size, illegal('burst'));
    else if (word === 'latency') spec.latency = value(words, time, illegal('latency'));
    else if (word === 'limit') spec.limit = value(words, size, illegal('limit'));
    else if (word === 'mtu' || word === 'minburst' || word === 'mpu' || word === 'peakrate' || word === 'overhead') throw new Complaint(`not modelled: tbf ${word}`, 1);
    else throw new Complaint(`What is "${word}"?\n${TBF_USAGE}`, 1);
  }
  const lacks = [
    ...(spec.rate ? [] : ['tbf: the "rate" parameter is mandatory.']), ...(spec.burst ? [] : ['tbf: the "burst" parameter is mandatory.']),
    ...(spec.latency || spec.limit ? [] : ['tbf: either "limit" or "latency" is required.']),
  ];
  if (lacks.length > 0) throw new Complaint(`${lacks.join('\n')}\n${TBF_USAGE}`, 1);
  return spec;
}

function specText(q: QdiscInfo, details: boolean): string {
  if (q.kind === 'tbf') return ` rate ${rateText(q.rate)} burst ${sizeText(q.burst)}${details ? '/1 mpu 0b' : ''} ${q.latency > 0 ? `lat ${timeText(q.latency)}` : `limit ${sizeText(q.limit)}`}${details ? ' linklayer ethernet' : ''}`;
  if (q.kind === 'pfifo') return ` limit ${q.limit}p`;
  if (q.kind === 'fq_codel') return ' limit 10240p flows 1024 quantum 1514 target 5ms interval 100ms memory_limit 32Mb ecn drop_batch 64';
  if (q.kind !== 'netem') return '';
  let text = ` limit ${q.limit}`;
  if (q.delay > 0) text += ` delay ${timeText(q.delay)}${q.jitter > 0 ? `  ${timeText(q.jitter)}` : ''}`;
  if (q.loss > 0) text += ` loss ${percentText(q.loss)}`;
  if (q.duplicate > 0) text += ` duplicate ${percentText(q.duplicate)}`;
  if (q.reorder > 0) text += ` reorder ${percentText(q.reorder)}`;
  if (q.corrupt > 0) text += ` corrupt ${percentText(q.corrupt)}`;
  if (q.rate > 0) text += ` rate ${rateText(q.rate)}`;
  text += ` seed ${q.seed}`;
  if (q.reorder > 0) text += ' gap 1';
  return text;
}

function* show(words: Cursor, statistics: boolean, details: boolean): Call<number> {
  let dev: string | undefined;
  while (words.at < words.argv.length) {
    const word = words.argv[words.at++]!;
    if (word === 'dev') dev = words.argv[words.at++];
    else if (word !== 'root' && word !== 'invisible') throw new Complaint(`What is "${word}"? Try "tc qdisc help".`, 255);
  }
  if (dev !== undefined) yield* requireDevice(dev);
  for (const q of yield* ask<QdiscInfo[]>({ type: 'qdisc.list', ...(dev === undefined ? {} : { dev }) })) {
    yield* print(`qdisc ${q.kind} ${q.handle} ${dev === undefined ? `dev ${q.dev} ` : ''}root refcnt ${q.kind === 'noqueue' ? 2 : 1 + q.queues}${specText(q, details)} \n`);
    if (!statistics) continue;
    yield* print(` Sent ${q.sentBytes} bytes ${q.sentPackets} pkt (dropped ${q.dropped}, overlimits ${q.overlimits} requeues 0) \n backlog ${sizeText(q.backlogBytes)} ${q.backlogPackets}p requeues 0\n`);
  }
  return 0;
}

function* change(words: Cursor, how: string): Call<number> {
  const request: NetlinkRequest = { type: how === 'del' || how === 'delete' ? 'qdisc.del' : 'qdisc.set' };
  let root = false;
  while (words.at < words.argv.length) {
    const word = words.argv[words.at++]!;
    if (word === 'dev') request.dev = words.argv[words.at++] ?? '';
    else if (word === 'root') root = true;
    else if (word === 'handle') request.handle = words.argv[words.at++] ?? '';
    else if (word === 'parent' || word === 'ingress' || word === 'clsact') throw new Complaint(`not modelled: tc qdisc ${word}`, 1);
    else {
      request.kind = word;
      if (request.type === 'qdisc.del') break;
      if (word === 'netem') request.spec = netem(words);
      else if (word === 'tbf') request.spec = tbf(words);
      else if (word === 'pfifo') request.spec = words.argv[words.at] === 'limit' ? { limit: Number(words.argv[words.at + 1]) } : {};
      else if (['htb', 'prio', 'sfq', 'fq', 'cake', 'hfsc', 'codel', 'red', 'pfifo_fast', 'mq'].includes(word)) throw new Complaint(`not modelled: qdisc ${word}`, 1);
      else if (words.argv[words.at] !== undefined) throw new Complaint(`Unknown qdisc "${word}", hence option "${words.argv[words.at]}" is unparsable`, 1);
      break;
    }
  }
  if (request.dev === undefined) throw new Complaint('RTNETLINK answers: No such device', 2);
  yield* requireDevice(String(request.dev));
  if (!root && request.type === 'qdisc.del') throw new Complaint('Error: Failed to find qdisc with specified handle.', 2);
  if (!root) throw new Complaint('not modelled: queueing disciplines but at the root', 1);
  if (request.type === 'qdisc.set') {
    if (request.kind === undefined) throw new Complaint('RTNETLINK answers: Invalid argument', 2);
    request.how = how === 'add' ? 'add' : how === 'change' ? 'change' : 'replace';
  }
  yield* ask(request);
  return 0;
}

export const tc: Program = complaining(function* (argv) {
  const words: Cursor = { argv: argv.slice(1), at: 0 };
  let statistics = false;
  let details = false;
  while (words.argv[words.at]?.startsWith('-')) {
    const flag = words.argv[words.at++]!;
    if (flag === '-V' || flag === '-Version') {
      yield* print('tc utility, iproute2-6.15.0, libbpf 1.5.0\n');
      return 0;
    }
    if (flag.length > 1 && '-netns'.startsWith(flag)) yield* switchTo(words.argv[words.at++] ?? '');
    else if (flag.startsWith('-s')) statistics = true;
    else if (/^-(d|details?)$/.test(flag)) details = true;
    else if (!/^-(r|raw|p|pretty|o|oneline|c|color)$/.test(flag)) throw new Complaint(`not modelled: tc ${flag}`, 1);
  }
  const object = words.argv[words.at++];
  if (object === undefined || object === 'help') throw new Complaint(USAGE, 0);
  if (!'qdisc'.startsWith(object)) {
    const shows = (words.argv[words.at] ?? 'show') === 'show' || ['ls', 'list'].includes(words.argv[words.at] ?? '');
    // classes and filters cannot be made: there are none
    if (shows && ['class', 'filter'].some((name) => name.startsWith(object))) {
      const dev = words.argv[words.argv.indexOf('dev') + 1];
      if (words.argv.includes('dev') && dev !== undefined) yield* requireDevice(dev);
      else if ('class'.startsWith(object)) throw new Complaint('"dev" is required.', 255);
      return 0;
    }
    if (['class', 'filter', 'chain', 'action', 'monitor', 'exec'].some((name) => name.startsWith(object))) throw new Complaint(`not modelled: tc ${object}`, 1);
    throw new Complaint(`Object "${object}" is unknown, try "tc help".`, 255);
  }
  const command = words.argv[words.at++] ?? 'show';
  if (['show', 'list', 'ls'].includes(command)) return yield* show(words, statistics, details);
  if (['add', 'del', 'delete', 'change', 'replace'].includes(command)) return yield* change(words, command);
  throw new Complaint(`Command "${command}" is unknown, try "tc qdisc help".`, 255);
});
