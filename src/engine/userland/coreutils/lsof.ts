/** lsof 4.99: what processes hold open. Source: lsof(8). Left out: threads, IPv6, -F but its commonest fields, states of unix sockets, kernel addresses. */
import { S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFMT, S_IFSOCK } from '../../kernel/abi.ts';
import { lastValue, type Options, parseOptions } from '../lib/args.ts';
import { statOf, tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, print } from '../lib/io.ts';
import { serviceName } from '../net/services.ts';
import { mountAt, mountOver, type MountRow, readMounts } from '../util-linux/mounts.ts';
import { type Accounts, readAccounts, userName } from './accounts.ts';
import { type End, inetSockets, type InetSocket, sameFile, type Use, usesOf } from './openfiles.ts';
import { realPath } from './paths.ts';
import { type Process, readProcesses } from './processes.ts';

interface Line {
  command: string;
  pid: number;
  user: string;
  fd: string;
  access: string;
  type: string;
  device: string;
  size: string;
  node: string;
  name: string;
}

const STATES: Readonly<Record<string, string>> = {
  '01': 'ESTABLISHED', '02': 'SYN_SENT', '03': 'SYN_RECV', '04': 'FIN_WAIT1', '05': 'FIN_WAIT2', '06': 'TIME_WAIT', '07': 'CLOSE', '08': 'CLOSE_WAIT', '09': 'LAST_ACK', '0A': 'LISTEN', '0B': 'CLOSING',
};

function endText(o: Options, end: End, protocol: string): string {
  const address = end.address === '0.0.0.0' ? '*' : end.address === '127.0.0.1' && !o.on.has('n') ? 'localhost' : end.address;
  const port = end.port === 0 ? '*' : o.on.has('P') ? String(end.port) : (serviceName(end.port, protocol.toLowerCase()) ?? String(end.port));
  return `${address}:${port}`;
}

function socketName(o: Options, one: InetSocket): string {
  const far = one.remote.port === 0 ? '' : `->${endText(o, one.remote, one.protocol)}`;
  return `${endText(o, one.local, one.protocol)}${far}${one.protocol === 'TCP' ? ` (${STATES[one.state] ?? one.state})` : one.remote.port === 0 ? ' ' : ''}`;
}

interface Known {
  inet: ReadonlyMap<string, InetSocket>;
  unix: ReadonlyMap<string, string>;
  /** Of a socket of another network namespace than lsof's own only the protocol is told. */
  protocols: ReadonlyMap<string, string>;
}

const socketInode = ({ name }: Use): string | undefined => /^socket:\[(\d+)\]$/.exec(name)?.[1];

function textOf(o: Options, use: Use, known: Known, mounts: readonly MountRow[]): Pick<Line, 'type' | 'device' | 'size' | 'node' | 'name'> | null {
  const { stat, name, offset } = use;
  const inode = socketInode(use);
  if (inode !== undefined) {
    const inet = known.inet.get(inode);
    if (inet) return { type: 'IPv4', device: inode, size: '0t0', node: inet.protocol, name: socketName(o, inet) };
    if (known.unix.has(inode)) return { type: 'unix', device: '0x0000000000000000', size: '0t0', node: inode, name: known.unix.get(inode)! };
    return { type: 'sock', device: '0,8', size: '0t0', node: inode, name: `protocol: ${known.protocols.get(inode) ?? 'NETLINK'}` };
  }
  if (!stat) return null;
  const device = (name.startsWith('/') ? mountOver(mounts, name)?.dev.replace(':', ',') : undefined) ?? `0,${stat.dev}`;
  const node = String(stat.ino);
  if (name.startsWith('anon_inode:')) return { type: 'a_inode', device, size: '0', node, name: name.replace(/^anon_inode:/, '') };
  const kind = stat.mode & S_IFMT;
  if (kind === S_IFIFO) return { type: 'FIFO', device, size: '0t0', node, name: name.startsWith('pipe:') ? 'pipe' : name };
  if (kind === S_IFCHR || kind === S_IFBLK) return { type: kind === S_IFCHR ? 'CHR' : 'BLK', device: stat.rdev.join(','), size: `0t${offset}`, node, name };
  return { type: kind === S_IFDIR ? 'DIR' : kind === S_IFSOCK ? 'sock' : 'REG', device, size: String(stat.size), node, name };
}

/** What the command line asks for; a list that is not given chooses nothing unless nothing is given at all. */
interface Choice {
  ofProcess: ((p: Process) => boolean)[];
  ofFile: ((use: Use, known: Known) => boolean)[];
}

function listChoice(values: readonly string[], is: (word: string) => boolean): boolean {
  const words = values.flatMap((value) => value.split(','));
  const plain = words.filter((word) => !word.startsWith('^'));
  return (plain.length === 0 || plain.some(is)) && !words.some((word) => word.startsWith('^') && is(word.slice(1)));
}

function wantsSocket(value: string, { protocol, local, remote }: InetSocket): boolean {
  const [, kind, host, ports] = /^4?(tcp|udp)?(?:@([^:]*))?(?::(.*))?$/i.exec(value) ?? [];
  if (kind && kind.toUpperCase() !== protocol) return false;
  if (host && host !== local.address && host !== remote.address) return false;
  if (!ports) return true;
  return ports.split(',').some((one) => {
    const [from, to] = one.split('-').map((word) => (/^\d+$/.test(word) ? Number(word) : null));
    return [local.port, remote.port].some((port) => (from === null || from === undefined ? serviceName(port, protocol.toLowerCase()) === one : port >= from && port <= (to ?? from)));
  });
}

function* choiceOf(o: Options, accounts: Accounts): Call<{ choice: Choice; missing: boolean }> {
  const choice: Choice = { ofProcess: [], ofFile: [] };
  const given = (name: string): string[] => o.values.get(name) ?? [];
  if (o.on.has('p')) choice.ofProcess.push((p) => listChoice(given('p'), (word) => p.pid === Number(word)));
  if (o.on.has('c')) choice.ofProcess.push((p) => listChoice(given('c'), (word) => p.comm.startsWith(word)));
  if (o.on.has('u')) choice.ofProcess.push((p) => listChoice(given('u'), (word) => userName(accounts, p.euid) === word || String(p.euid) === word));
  if (o.on.has('d')) choice.ofFile.push((use) => listChoice(given('d'), (word) => use.fd === word || (/^(\d+)-(\d+)$/.test(word) && Number(use.fd) >= Number(word.split('-')[0]) && Number(use.fd) <= Number(word.split('-')[1]))));
  const state = lastValue(o, 's')?.split(':')[1];
  if (o.on.has('i')) {
    const values = given('i').filter((one) => one !== '');
    choice.ofFile.push((use, known) => {
      const one = known.inet.get(socketInode(use) ?? '');
      return one !== undefined && (values.length === 0 || values.some((value) => wantsSocket(value, one))) && (state === undefined || one.protocol !== 'TCP' || STATES[one.state] === state);
    });
  }
  if (o.on.has('U')) choice.ofFile.push((use, known) => known.unix.has(socketInode(use) ?? ''));
  let missing = false;
  const mounts = yield* readMounts();
  for (const word of o.words) {
    const stat = yield* statOf(word);
    if (!stat) {
      yield* complain(`lsof: status error on ${word}: No such file or directory\n`);
      missing = true;
      continue;
    }
    const whole = mountAt(mounts, yield* realPath(word, 'none')) !== null;
    choice.ofFile.push((use) => (whole ? use.stat?.dev === stat.dev : sameFile(use.stat, stat)));
  }
  for (const [name, deep] of [['+d', false], ['+D', true]] as const) {
    for (const word of given(name)) {
      const dir = yield* realPath(word, 'none');
      choice.ofFile.push((use) => use.name === dir || (use.name.startsWith(`${dir}/`) && (deep || !use.name.slice(dir.length + 1).includes('/'))));
    }
  }
  return { choice, missing };
}

/** "+D DIR" and "+d DIR" are options; "-iTCP" and "-sTCP:LISTEN" carry their value. */
function parse(argv: readonly string[]): Options {
  const plus: [string, string][] = [];
  const words: string[] = [];
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i]!;
    if (word === '+D' || word === '+d') plus.push([word, argv[++i] ?? '']);
    else if (/^\+[fLcw]/.test(word)) continue;
    else if (word === '-i' || word === '-s') {
      const next = argv[i + 1];
      words.push(word === '-i' ? (next !== undefined && /^(4|tcp|udp|@|:)/i.test(next) ? `-i${argv[++i]}` : '--any') : word);
    } else words.push(word);
  }
  const o = parseOptions('a b n P t U l w p= c= u= d= s= i= F= any', words);
  for (const [name, value] of plus) o.values.set(name, [...(o.values.get(name) ?? []), value]);
  if (o.on.has('any')) o.values.set('i', [...(o.values.get('i') ?? []), '']);
  for (const name of o.values.keys()) o.on.set(name, 1);
  return o;
}

function table(lines: readonly Line[]): string {
  const widest = (of: (one: Line) => string, head: number): number => Math.max(head, ...lines.map((one) => of(one).length));
  const fdWidth = widest((one) => one.fd, 1);
  const widths = {
    command: widest((one) => one.command, 7), pid: widest((one) => String(one.pid), 4), user: widest((one) => one.user, 4), type: widest((one) => one.type, 4), device: widest((one) => one.device, 6),
    size: widest((one) => one.size, 8), node: widest((one) => one.node, 4),
  };
  const row = (command: string, pid: string, user: string, fd: string, access: string, type: string, device: string, size: string, node: string, name: string): string =>
    `${command.padEnd(widths.command)} ${pid.padStart(widths.pid)} ${user.padStart(widths.user)} ${fd.padStart(fdWidth)}${access}  ${type.padStart(widths.type)} ${device.padStart(widths.device)} ${size.padStart(widths.size)} ${node.padStart(widths.node)} ${name}\n`;
  const head = row('COMMAND', 'PID', 'USER', 'FD', ' ', 'TYPE', 'DEVICE', 'SIZE/OFF', 'NODE', 'NAME');
  return head + lines.map((one) => row(one.command, String(one.pid), one.user, one.fd, one.access, one.type, one.device, one.size, one.node, one.name)).join('');
}

/** The fields of /proc/net/unix. */
function* unixSockets(of: number | 'self'): Call<string[][]> {
  return ((yield* tryRead(`/proc/${of}/net/unix`)) ?? '').split('\n').slice(1).map((line) => line.trim().split(/\s+/)).filter((f) => f.length > 6);
}

/** Names of the protocols of a process's sockets, as the kernel's attribute of a socket tells them, by inode. */
function* protocolsOf(pid: number): Call<Map<string, string>> {
  const found = new Map((yield* unixSockets(pid)).map((f) => [f[6]!, f[4] === '0001' ? 'UNIX-STREAM' : 'UNIX']));
  for (const one of yield* inetSockets(pid)) found.set(one.inode, one.protocol);
  return found;
}

export const lsof = command(function* (argv) {
  const o = parse(argv.slice(1));
  const accounts = yield* readAccounts();
  const { choice, missing } = yield* choiceOf(o, accounts);
  const { ofProcess, ofFile } = choice;
  if (missing && ofFile.length + ofProcess.length === 0) return 1;
  const unix = new Map<string, string>();
  for (const f of yield* unixSockets('self')) {
    const type = { '0001': 'STREAM', '0002': 'DGRAM', '0005': 'SEQPACKET' }[f[4]!] ?? f[4]!;
    unix.set(f[6]!, `${f[7] === undefined ? '' : `${f[7]} `}type=${type}${f[3] === '00010000' ? ' (LISTEN)' : f[5] === '03' ? ' (CONNECTED)' : ''}`);
  }
  const mounts = yield* readMounts();
  const inet = new Map((yield* inetSockets()).map((one) => [one.inode, one]));
  const lines: Line[] = [];
  for (const p of yield* readProcesses()) {
    const chosen = ofProcess.some((test) => test(p));
    const all = o.on.has('a');
    if (all ? ofProcess.some((test) => !test(p)) : ofFile.length === 0 && ofProcess.length > 0 && !chosen) continue;
    const uses = yield* usesOf(p.pid);
    const foreign = uses.some((use) => {
      const inode = socketInode(use);
      return inode !== undefined && !unix.has(inode) && !inet.has(inode);
    });
    const known: Known = { unix, inet, protocols: foreign ? yield* protocolsOf(p.pid) : new Map() };
    for (const use of uses) {
      const fits = all ? ofFile.every((test) => test(use, known)) : (ofFile.length === 0 && ofProcess.length === 0) || chosen || ofFile.some((test) => test(use, known));
      const text = fits ? textOf(o, use, known, mounts) : null;
      if (text) lines.push({ command: p.comm.slice(0, 9), pid: p.pid, user: o.on.has('l') ? String(p.euid) : userName(accounts, p.euid), fd: use.fd, access: use.access, ...text });
    }
  }
  if (o.on.has('t')) yield* print([...new Set(lines.map((one) => one.pid))].map((pid) => `${pid}\n`).join(''));
  else if (o.on.has('F')) yield* print(fieldsOf(lines, lastValue(o, 'F')!));
  else if (lines.length > 0) yield* print(table(lines));
  return lines.length === 0 || missing ? 1 : 0;
});

function fieldsOf(lines: readonly Line[], asked: string): string {
  let out = '';
  let last = -1;
  for (const one of lines) {
    if (one.pid !== last) out += `p${one.pid}\n${asked.includes('c') ? `c${one.command}\n` : ''}${asked.includes('u') ? `u${one.user}\n` : ''}`;
    last = one.pid;
    out += `f${one.fd}\n${asked.includes('t') ? `t${one.type}\n` : ''}${asked.includes('n') ? `n${one.name}\n` : ''}`;
  }
  return out;
}

