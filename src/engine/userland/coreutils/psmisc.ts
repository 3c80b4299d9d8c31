/** pstree and fuser of psmisc 23.7. Source: pstree(1), fuser(1). Left out: pstree's -H, -N, -S, -t, -Z; fuser's -i, IPv6. */
import { SIG, type Stat } from '../../kernel/abi.ts';
import { sys } from '../../kernel/sys.ts';
import { BadOption, type Options, parseOptions } from '../lib/args.ts';
import { attempt, statOf } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { mountAt, readMounts } from '../util-linux/mounts.ts';
import { findUser, readAccounts, type Accounts, userName } from './accounts.ts';
import { inetSockets, sameFile, type Use, usesOf } from './openfiles.ts';
import { realPath } from './paths.ts';
import { type Process, readProcesses, readThreads } from './processes.ts';
import { signalOf } from './signals.ts';

/** A process, or a thread of one, in the tree. */
interface Leaf {
  pid: number;
  uid: number;
  pgid: number;
  comm: string;
  args: string[];
  children: Leaf[];
  parent: Leaf | null;
}

interface Symbols {
  first: string;
  single: string;
  branch: string;
  last: string;
  bar: string;
}

const ASCII: Symbols = { first: '-+-', single: '---', branch: '|-', last: '`-', bar: '| ' };
const LINES: Symbols = { first: '─┬─', single: '───', branch: '├─', last: '└─', bar: '│ ' };

/** Children by name, the newest of a name last; by pid with -n. */
function ordered(o: Options, children: Leaf[]): Leaf[] {
  const byPid = (a: Leaf, b: Leaf): number => a.pid - b.pid;
  if (o.on.has('numeric-sort')) return children.sort(byPid);
  return children.sort((a, b) => (a.comm < b.comm ? -1 : a.comm > b.comm ? 1 : a.uid - b.uid || byPid(a, b)));
}

function* readTree(o: Options): Call<Map<number, Leaf>> {
  const all = new Map<number, Leaf>();
  const leaf = (p: Process, comm: string): Leaf => ({ pid: p.tid, uid: p.euid, pgid: p.pgrp, comm, args: p.args.slice(1), children: [], parent: null });
  const processes = yield* readProcesses();
  for (const p of processes) all.set(p.pid, leaf({ ...p, tid: p.pid }, p.comm));
  for (const p of processes) {
    const own = all.get(p.pid)!;
    const parent = all.get(p.ppid);
    if (parent) {
      own.parent = parent;
      parent.children.push(own);
    }
    if (p.threads < 2 || o.on.has('hide-threads')) continue;
    for (const thread of yield* readThreads(p)) if (thread.tid !== p.pid) own.children.push({ ...leaf(thread, `{${thread.comm}}`), args: [], parent: own });
  }
  for (const one of all.values()) ordered(o, one.children);
  return all;
}

class Drawing {
  out = '';
  private line = '';
  readonly o: Options;
  readonly accounts: Accounts;
  readonly symbols: Symbols;
  readonly width: number;

  constructor(o: Options, accounts: Accounts, symbols: Symbols, width: number) {
    this.o = o;
    this.accounts = accounts;
    this.symbols = symbols;
    this.width = width;
  }

  private end(): void {
    const cut = !this.o.on.has('long') && [...this.line].length > this.width;
    this.out += `${cut ? `${[...this.line].slice(0, this.width - 1).join('')}+` : this.line}\n`;
    this.line = '';
  }

  /** "bash(12,root)". */
  private label(leaf: Leaf, uid: number): string {
    const { on } = this.o;
    const more = [...(on.has('show-pids') ? [String(leaf.pid)] : []), ...(on.has('show-pgids') ? [String(leaf.pgid)] : []), ...(on.has('uid-changes') && leaf.uid !== uid ? [userName(this.accounts, leaf.uid)] : [])];
    if (more.length === 0) return leaf.comm;
    return on.has('arguments') ? `${leaf.comm},${more.join(',')}` : `${leaf.comm}(${more.join(',')})`;
  }

  /** Are two branches drawn alike? */
  private alike(a: Leaf, b: Leaf): boolean {
    if (this.label(a, a.parent!.uid) !== this.label(b, b.parent!.uid) || (this.o.on.has('arguments') && a.args.join('\0') !== b.args.join('\0'))) return false;
    return a.children.length === b.children.length && a.children.every((one, i) => this.alike(one, b.children[i]!));
  }

  /** Children as they are drawn, like ones next to each other counted as one. */
  private groups(leaf: Leaf): { leaf: Leaf; count: number }[] {
    const left = [...leaf.children];
    const out: { leaf: Leaf; count: number }[] = [];
    const compact = !this.o.on.has('compact-not') && !(this.o.on.has('show-pids') || this.o.on.has('show-pgids'));
    while (left.length > 0) {
      const first = left.shift()!;
      const same = compact ? left.filter((one) => this.alike(first, one)) : [];
      for (const one of same) left.splice(left.indexOf(one), 1);
      out.push({ leaf: first, count: same.length + 1 });
    }
    return out;
  }

  private argumentsOf(leaf: Leaf): void {
    leaf.args.forEach((arg, i) => {
      const text = ` ${arg.replace(/\\/g, '\\\\')}`;
      if (!this.o.on.has('long') && this.line.length + text.length + (i < leaf.args.length - 1 ? 4 : 0) > this.width) {
        if (!this.line.endsWith('...')) this.line += '...';
      } else this.line += text;
    });
  }

  /** `before` is what stands left of later lines of this branch. */
  draw(leaf: Leaf, before: string, uid: number, count: number, closing: number): void {
    const from = this.line.length;
    if (count > 1) this.line += `${count}*[`;
    this.line += this.label(leaf, uid);
    const brackets = closing + (count > 1 ? 1 : 0);
    const wide = this.o.on.has('arguments');
    const groups = this.groups(leaf);
    if (wide) this.argumentsOf(leaf);
    const indent = wide ? `${before}  ` : before + ' '.repeat([...this.line].length - from + 1);
    if (wide || groups.length === 0) {
      this.line += ']'.repeat(brackets);
      this.end();
    }
    groups.forEach(({ leaf: child, count: times }, i) => {
      const last = i === groups.length - 1;
      if (!wide && i === 0) this.line += last ? this.symbols.single : this.symbols.first;
      else this.line += indent + (last ? this.symbols.last : this.symbols.branch);
      const only = !wide && groups.length === 1;
      this.draw(child, indent + (last || only ? '  ' : this.symbols.bar), leaf.uid, times, brackets);
    });
  }
}

export const pstree = command(function* (argv) {
  const o = parseOptions('a/arguments A/ascii c/compact-not g/show-pgids G/vt100 h/highlight-all l/long n/numeric-sort p/show-pids s/show-parents T/hide-threads u/uid-changes U/unicode V/version', argv.slice(1));
  if (o.on.has('version')) {
    yield* complain('pstree (PSmisc) 23.7\nCopyright (C) 1993-2024 Werner Almesberger and Craig Small\n\n');
    return 0;
  }
  const accounts = yield* readAccounts();
  const all = yield* readTree(o);
  const [word] = o.words;
  const size = (yield* attempt(sys('ioctl', 1, 0x5413), null)) as { cols: number } | null;
  const drawing = new Drawing(o, accounts, o.on.has('unicode') || (size && !o.on.has('ascii')) ? LINES : ASCII, size?.cols || 132);
  const roots: Leaf[] = [];
  if (word === undefined || /^\d+$/.test(word)) {
    const root = all.get(Number(word ?? 1));
    if (root) roots.push(o.on.has('show-parents') ? lineage(root) : root);
  } else {
    const user = findUser(accounts, word);
    if (!user) throw new Failed(`No such user name: ${word}`.replace(/^/, ''), 1);
    roots.push(...[...all.values()].filter((one) => one.uid === user.uid && one.parent?.uid !== user.uid));
    if (roots.length === 0) {
      yield* complain('No processes found.\n');
      return 1;
    }
  }
  roots.forEach((root, i) => {
    if (i > 0) drawing.out += '\n';
    drawing.draw(root, '', root.uid, 1, 0);
  });
  yield* print(drawing.out);
  return 0;
});

/** Its ancestors down to it, each with no other child. */
function lineage(leaf: Leaf): Leaf {
  let at = leaf;
  while (at.parent) at = { ...at.parent, children: [at] };
  return at;
}

/** Ways in which one process uses what was named. */
interface Match {
  pid: number;
  uid: number;
  comm: string;
  letters: Set<string>;
}

interface Wanted {
  shown: string;
  stat: Stat | null;
  /** With -m: everything on its file system. */
  whole: boolean;
  /** Inodes of sockets, for a port. */
  inodes: Set<string> | null;
  mountPoint: string | null;
}

const LETTERS: Readonly<Record<string, string>> = { cwd: 'c', rtd: 'r', txt: 'e', mem: 'm' };

function letterOf(use: Use): string {
  return LETTERS[use.fd] ?? (use.access === 'r' ? 'f' : 'F');
}

function matches({ stat, whole, inodes }: Wanted, use: Use): boolean {
  if (inodes) return inodes.has(/^socket:\[(\d+)\]$/.exec(use.name)?.[1] ?? '');
  return whole ? stat !== null && use.stat?.dev === stat.dev && !/^[a-z_]+:/.test(use.name) : sameFile(use.stat, stat);
}

function* portOf(word: string, space: string): Call<Wanted> {
  const port = Number(word);
  const inodes = new Set((yield* inetSockets()).filter((one) => one.protocol === space.toUpperCase() && one.local.port === port).map((one) => one.inode));
  return { shown: `${word}/${space}`, stat: null, whole: false, inodes, mountPoint: null };
}

function* wantedOf(o: Options, word: string): Call<Wanted | null> {
  const [, port, space] = /^(\d+)\/(tcp|udp)$/.exec(word) ?? [];
  if (port !== undefined) return yield* portOf(port, space!);
  const named = o.values.get('namespace')?.at(-1);
  if (named === 'tcp' || named === 'udp') return yield* portOf(word, named);
  const stat = yield* statOf(word);
  if (!stat) {
    yield* complain(`Specified filename ${word} does not exist.\n`);
    return null;
  }
  const at = mountAt(yield* readMounts(), yield* realPath(word, 'none'));
  if (o.on.has('ismountpoint') && !at) {
    yield* complain(`Specified filename ${word} is not a mountpoint.\n`);
    return null;
  }
  return { shown: word, stat, whole: o.on.has('mount'), inodes: null, mountPoint: o.on.has('mount') && at ? at.target : null };
}

const NAME_WIDTH = 20;

function* showMatches(o: Options, accounts: Accounts, wanted: Wanted, found: readonly Match[]): Call<void> {
  const verbose = o.on.has('verbose');
  const name = `${wanted.shown}:`.padEnd(NAME_WIDTH);
  yield* complain(name);
  if (!verbose) {
    for (const one of found) {
      yield* print(String(one.pid).padStart(6));
      const letters = ['c', 'e', 'r', 'm'].filter((letter) => one.letters.has(letter)).join('');
      yield* complain(letters + (o.on.has('user') ? `(${userName(accounts, one.uid)})` : ''));
    }
    yield* complain('\n');
    return;
  }
  let lead = '';
  if (wanted.mountPoint !== null) {
    yield* complain(` ${'root'.padEnd(8)} kernel mount ${wanted.mountPoint}\n`);
    lead = ' '.repeat(NAME_WIDTH);
  }
  for (const one of found) {
    yield* complain(`${lead} ${userName(accounts, one.uid).slice(0, 8).padEnd(8)} `);
    yield* print(String(one.pid).padStart(6));
    const open = one.letters.has('F') ? 'F' : one.letters.has('f') ? 'f' : '.';
    yield* complain(` ${open}${['r', 'c', 'e', 'm'].map((letter) => (one.letters.has(letter) ? letter : '.')).join('')} ${one.comm}\n`);
    lead = ' '.repeat(NAME_WIDTH);
  }
}

const FUSER = 'a/all i/interactive I/inode k/kill l/list-signals m/mount M/ismountpoint n/namespace= s/silent u/user v/verbose w/writeonly V/version 4/ipv4 6/ipv6';

/** "-TERM", "-9" and "-SIGTERM" are the signal of -k. */
function signalIn(words: readonly string[]): { rest: string[]; signal: number } {
  let signal: number = SIG.KILL;
  const rest = words.filter((word) => {
    const known = /^-(?:[A-Z0-9]{2,}|\d+)$/.test(word) ? signalOf(word.slice(1)) : null;
    if (known !== null) signal = known;
    return known === null;
  });
  return { rest, signal };
}

export const fuser = command(function* (argv) {
  const { rest, signal } = signalIn(argv.slice(1));
  const o = parseOptions(FUSER, rest);
  if (o.on.has('list-signals')) {
    yield* print(`${SIGNALS}\n`);
    return 0;
  }
  if (o.words.length === 0) {
    yield* complain('No process specification given\nUsage: fuser [-fIMuvw] [-a|-s] [-4|-6] [-c|-m|-n SPACE]\n             [-k [-i] [-SIGNAL]] NAME...\n       fuser -l\n       fuser -V\n');
    return 1;
  }
  if (o.on.has('interactive')) throw new BadOption('not modelled: -i');
  const wanted: Wanted[] = [];
  for (const word of o.words) {
    const one = yield* wantedOf(o, word);
    if (one) wanted.push(one);
  }
  if (wanted.length < o.words.length && o.words.length === 1) return 1;
  const own = yield* sys('getpid');
  const found = wanted.map((): Match[] => []);
  for (const p of yield* readProcesses()) {
    if (p.pid === own) continue;
    const uses = yield* usesOf(p.pid);
    wanted.forEach((one, i) => {
      const letters = new Set(uses.filter((use) => matches(one, use)).map(letterOf));
      if (letters.size > 0) found[i]!.push({ pid: p.pid, uid: p.euid, comm: p.comm, letters });
    });
  }
  const accounts = yield* readAccounts();
  if (o.on.has('verbose') && !o.on.has('silent') && found.some((list) => list.length > 0)) yield* complain(`${' '.repeat(NAME_WIDTH)} USER        PID ACCESS COMMAND\n`);
  for (const [i, one] of wanted.entries()) {
    const list = found[i]!;
    if (!o.on.has('silent') && (list.length > 0 || o.on.has('all') || (one.mountPoint !== null && o.on.has('verbose')))) yield* showMatches(o, accounts, one, list);
    if (o.on.has('kill')) for (const { pid } of list) yield* attempt(sys('kill', pid, signal), 0);
  }
  return found.some((list) => list.length > 0) ? 0 : 1;
});

const SIGNALS = 'HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT\nCHLD CONT STOP TSTP TTIN TTOU URG XCPU XFSZ VTALRM PROF WINCH POLL PWR SYS';

