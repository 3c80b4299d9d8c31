/**
 * busybox: one binary that is every applet, by the name it is called by or its first argument. Applets are the GNU programs
 * in busybox' words: messages on standard error are reworded on their way out, and listings that people see differ (ps,
 * free, df, mount's refusals) are its own. Source: BusyBox 1.37.
 */
import { sys } from '../../kernel/sys.ts';
import type { Body, Program, Request } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { APPLETS } from '../containers/images.ts';
import { attempt } from '../lib/files.ts';
import { command, complain, print } from '../lib/io.ts';
import { netApplets } from '../net/applets.ts';
import { mountOver, readMounts } from '../util-linux/mounts.ts';
import { realPath } from './paths.ts';
import { busyboxPs } from './busybox-ps.ts';
import { readMeminfo } from './processes.ts';
import { humanSize } from './sizes.ts';
import { parseOptions } from '../lib/args.ts';

type Rule = readonly [pattern: RegExp, words: string];

/** What every applet says otherwise. */
const COMMON: readonly Rule[] = [
  [/^(\w+): (?:cannot access|cannot stat|cannot statx|failed to access) '(.*)': /, "$1: can't stat '$2': "],
  [/^(\w+): invalid option -- '(.)'$/, '$1: unrecognized option: $2'],
  [/^(\w+): unrecognized option '--?(.*)'$/, '$1: unrecognized option: $2'],
  [/^(\w+): option requires an argument -- '(.)'$/, '$1: option requires an argument: $2'],
  [/^(\w+): missing (?:file )?operand.*$/, '$1: missing operand'],
  [/^Try '(\w+) --help' for more information\.$/, 'BusyBox v1.37.0 (Debian 1:1.37.0-6) multi-call binary.'],
  [/^(\w+): failed to run command ‘(.*)’: /, "$1: can't execute '$2': "],
  [/^(\w+): ‘(.*)’: No such file or directory$/, "$1: can't execute '$2': No such file or directory"],
  [/[‘’]/g, "'"],
];

const RULES: Readonly<Record<string, readonly Rule[]>> = {
  ls: [[/^ls: cannot access '(.*)': /, 'ls: $1: '], [/^ls: cannot open directory '(.*)': /, "ls: can't open '$1': "]],
  cat: [[/^cat: ([^']*): (?=[A-Z])/, "cat: can't open '$1': "]],
  touch: [[/^touch: cannot touch '(.*)': /, 'touch: $1: ']],
  mkdir: [[/^mkdir: cannot create directory ‘(.*)’: /, "mkdir: can't create directory '$1': "]],
  rmdir: [[/^rmdir: failed to remove '(.*)': /, "rmdir: '$1': "]],
  rm: [[/^rm: cannot remove '(.*)': Is a directory$/, "rm: '$1' is a directory"], [/^rm: cannot remove '(.*)': /, "rm: can't remove '$1': "]],
  cp: [[/^cp: -r not specified; omitting directory '(.*)'/, "cp: omitting directory '$1'"], [/^cp: cannot create (?:regular file|directory) '(.*)': /, "cp: can't create '$1': "]],
  mv: [[/^mv: cannot stat '(.*)': /, "mv: can't rename '$1': "], [/^mv: cannot move '(.*)' to .*: /, "mv: can't rename '$1': "]],
  ln: [[/^ln: failed to create (?:symbolic|hard) link '(.*?)'(?: => '.*')?: /, 'ln: $1: ']],
  chmod: [[/^chmod: cannot access '(.*)': /, 'chmod: $1: '], [/^chmod: changing permissions of '(.*)': /, 'chmod: $1: '], [/^chmod: invalid mode: ‘(.*)’/, "chmod: invalid mode '$1'"]],
  chown: [[/^chown: cannot access '(.*)': /, 'chown: $1: '], [/^chown: changing ownership of '(.*)': /, 'chown: $1: '], [/^chown: invalid user: ‘(.*)’/, 'chown: unknown user/group $1']],
  chgrp: [[/^chgrp: changing group of '(.*)': /, 'chgrp: $1: ']],
  head: [[/^head: cannot open '(.*)' for reading: /, 'head: $1: ']],
  tail: [[/^tail: cannot open '(.*)' for reading: /, "tail: can't open '$1': "]],
  sleep: [[/^sleep: invalid time interval ‘(.*)’/, "sleep: invalid number '$1'"]],
  kill: [[/^kill: \((.*)\): /, "kill: can't kill pid $1: "], [/^kill: unknown signal name (.*)/, "kill: bad signal name '$1'"]],
  mount: [[/^mount: .*: (?:permission denied|must be superuser to use mount)\.$/, 'mount: permission denied (are you root?)'], [/^mount: (.*): unknown filesystem type '.*'\.$/, 'mount: mounting none on $1 failed: No such device'],
    [/^mount: (.*): special device (.*) does not exist\.$/, 'mount: mounting $2 on $1 failed: No such file or directory'], [/^mount: (.*): mount point does not exist\.$/, 'mount: mounting none on $1 failed: No such file or directory'],
    [/^mount: (.*): wrong fs type.*bad superblock on (.*), missing.*$/, 'mount: mounting $2 on $1 failed: Invalid argument'], [/^mount: (.*): can't find in \/etc\/fstab\.$/, "mount: can't find $1 in /etc/fstab"], [/^ +dmesg\(1\).*$/, '']],
  umount: [[/^umount: (.*): target is busy\.$/, "umount: can't unmount $1: Device or resource busy"], [/^umount: (.*): not mounted\.$/, "umount: can't unmount $1: Invalid argument"], [/^umount: (.*): no mount point specified\.$/, "umount: can't unmount $1: No such file or directory"],
    [/^umount: (.*): must be superuser to unmount\.$/, "umount: can't unmount $1: Operation not permitted"]],
  hostname: [[/^hostname: you must be root to change the host name$/, 'hostname: sethostname: Operation not permitted']],
  id: [[/^id: ‘(.*)’: no such user$/, 'id: unknown user $1']],
  date: [[/^date: invalid date ‘(.*)’/, "date: invalid date '$1'"], [/^date: cannot set date: /, "date: can't set date: "]],
  sed: [[/^sed: can't read (.*): /, 'sed: $1: ']],
  chroot: [[/^chroot: cannot change root directory to '(.*)': /, "chroot: can't change root directory to '$1': "]],
  dd: [[/^dd: failed to open '(.*)': /, "dd: can't open '$1': "]],
  nice: [[/^nice: ‘(.*)’: /, "nice: can't execute '$1': "]],
  unshare: [[/^unshare: unshare failed: /, 'unshare: unshare(0x0): '], [/^unshare: failed to execute (.*): /, "unshare: can't execute '$1': "]],
  nsenter: [[/^nsenter: cannot open (.*): /, "nsenter: can't open '$1': "], [/^nsenter: failed to execute (.*): /, "nsenter: can't execute '$1': "]],
  ip: [[/^Error: ipv4: Address already assigned\.$/, 'ip: RTNETLINK answers: File exists'], [/^(RTNETLINK answers: .*)$/, 'ip: $1'], [/^(?:Cannot find device|Device) "(.*)".*$/, "ip: can't find device '$1'"]],
  truncate: [[/^truncate: cannot open '(.*)' for writing: /, 'truncate: $1: open: ']],
};

/** A line of `ls -l` in columns as wide as busybox makes them, however long the others are. */
function listed(line: string): string {
  const m = /^([-bcdlps][-rwxsStT]{9}) +(\d+) +(\S+) +(\S+) +(\d+(?:, +\d+)?) (?=[A-Z][a-z]{2} [ \d]\d |\d{4}-\d\d)/.exec(line);
  if (!m) return line;
  const [, mode, links, user, group, size] = m as unknown as [string, string, string, string, string, string];
  const device = /^(\d+), +(\d+)$/.exec(size);
  const last = device ? `${device[1]!.padStart(4)}, ${device[2]!.padStart(3)}` : size.padStart(9);
  return `${mode} ${links.padStart(4)} ${user.slice(0, 8).padEnd(8)} ${group.slice(0, 8).padEnd(8)} ${last} ${line.slice(m[0].length)}`;
}

/** What people see of some applets, line by line. */
const LINES: Readonly<Record<string, (line: string) => string>> = { ls: listed };

/** The same program; what it writes to standard error goes through the rules first. */
export function reworded(program: Program, rules: readonly Rule[], shown?: (line: string) => string): Program {
  return function* (argv, env): Body {
    const inner = program(argv, env);
    let next = inner.next();
    while (!next.done) {
      const request = shown ? shownRequest(rewordedRequest(next.value, rules), shown) : rewordedRequest(next.value, rules);
      try {
        const answer: unknown = yield request;
        next = inner.next(request === next.value ? answer : ((next.value as { args: readonly unknown[] }).args[1] as Uint8Array).length);
      } catch (error) {
        next = inner.throw(error);
      }
    }
    return next.value;
  };
}

function shownRequest(request: Request, shown: (line: string) => string): Request {
  if (request.op !== 'sys' || request.name !== 'write' || request.args[0] !== 1) return request;
  return { op: 'sys', name: 'write', args: [1, bytes(text(request.args[1] as Uint8Array).split('\n').map(shown).join('\n'))] };
}

function rewordedRequest(request: Request, rules: readonly Rule[]): Request {
  if (request.op !== 'sys' || request.name !== 'write' || request.args[0] !== 2) return request;
  const lines = text(request.args[1] as Uint8Array).split('\n');
  const said = lines.map((line) => {
    let out = line;
    for (const [pattern, words] of rules) {
      const changed = out.replace(pattern, words);
      if (changed !== out && !pattern.global) return changed.replace(/[‘’]/g, "'");
      out = changed;
    }
    return out;
  });
  const kept = said.filter((line, i) => line !== '' || lines[i] === '');
  return { op: 'sys', name: 'write', args: [2, bytes(kept.join('\n'))] };
}

/** Applets that fail with 1 where the GNU program has 2. */
const PLAIN_FAILURE = new Set(['ls', 'sort', 'printenv', 'mount', 'umount']);

function graded(program: Program, name: string): Program {
  if (!PLAIN_FAILURE.has(name)) return program;
  return function* (argv, env) {
    return Math.min(1, ((yield* program(argv, env)) ?? 0) as number);
  };
}

/** id tells of groups only where there are supplementary ones. */
function withoutGroups(id: Program): Program {
  return function* (argv, env): Body {
    const groups = argv.length === 1 ? yield* sys('getgroups') : [];
    const gid = String(yield* sys('getegid'));
    const supplementary = (line: string): string => {
      if (groups.length === 0) return line.replace(/ groups=.*$/, '');
      return groups.includes(Number(gid)) ? line : line.replace(/ groups=[^,]*,/, ' groups=');
    };
    return yield* (argv.length === 1 ? reworded(id, [], supplementary) : id)(argv, env);
  };
}

const free = command(function* (argv) {
  const o = parseOptions('b k m g h', argv.slice(1));
  const by = o.on.has('b') ? 1 / 1024 : o.on.has('m') ? 1024 : o.on.has('g') ? 1048576 : 1;
  const m = yield* readMeminfo();
  const n = (name: string): number => m[name] ?? 0;
  const show = (kib: number): string => (o.on.has('h') ? humanSize(kib * 1024) : String(Math.floor(kib / by))).padStart(12);
  const cached = n('Buffers') + n('Cached') + n('SReclaimable');
  yield* print(
    `${' '.repeat(7)}${['total', 'used', 'free', 'shared', 'buff/cache', 'available'].map((t) => t.padStart(12)).join('')}\n` +
      `Mem:   ${[n('MemTotal'), n('MemTotal') - n('MemFree') - cached, n('MemFree'), n('Shmem'), cached, n('MemAvailable')].map(show).join('')}\n` +
      `Swap:  ${[n('SwapTotal'), n('SwapTotal') - n('SwapFree'), n('SwapFree')].map(show).join('')}\n`,
  );
});

const df = command(function* (argv) {
  const o = parseOptions('P k m h T i a t= B=', argv.slice(1));
  const rows = yield* readMounts();
  const chosen = [];
  let status = 0;
  for (const word of o.words) {
    const path = yield* attempt(realPath(word, 'none'), null);
    const row = path === null ? null : mountOver(rows, path);
    if (row) chosen.push(row);
    else {
      yield* complain(`df: ${word}: can't find mount point\n`);
      status = 1;
    }
  }
  const show = (n: number): string => (o.on.has('h') ? humanSize(n) : String(Math.ceil(n / (o.on.has('m') ? 1048576 : 1024)))).padStart(9);
  let out = `Filesystem           ${(o.on.has('h') ? 'Size' : o.on.has('m') ? '1M-blocks' : '1K-blocks').padStart(9)}      Used Available Use% Mounted on\n`;
  for (const row of o.words.length > 0 ? chosen : rows) {
    const fs = yield* attempt(sys('statfs', row.target), null);
    if (!fs || (fs.blocks === 0 && o.words.length === 0)) continue;
    const [size, left, available] = [fs.blocks * fs.bsize, fs.bfree * fs.bsize, fs.bavail * fs.bsize];
    const used = size - left;
    const percent = used + available === 0 ? 0 : Math.ceil((used * 100) / (used + available));
    out += `${row.source.padEnd(20)}${row.source.length > 20 ? `\n${' '.repeat(20)}` : ''} ${show(size)} ${show(used)} ${show(available)} ${String(percent).padStart(3)}% ${row.target}\n`;
  }
  yield* print(out);
  return status;
});

/** Applets that are not the GNU program reworded. */
const OWN: Readonly<Record<string, Program>> = { ps: busyboxPs, free, df, ...netApplets };

/** busybox over these programs, by name; `shell` is its sh. */
export function busyboxOf(programs: ReadonlyMap<string, Program>, shell: Program): Program {
  const appletOf = (name: string): Program | null => {
    if (name === 'sh' || name === 'ash') return shell;
    if (OWN[name]) return RULES[name] ? reworded(OWN[name], RULES[name]) : OWN[name];
    const program = programs.get(name);
    if (!program || !APPLETS.includes(name)) return null;
    const applet = graded(reworded(program, [...(RULES[name] ?? []), ...COMMON], LINES[name]), name);
    return name === 'id' ? withoutGroups(applet) : applet;
  };
  return function* (argv, env): Body {
    const called = (argv[0] ?? '').split('/').pop()!.replace(/^-/, '');
    const direct = called !== 'busybox' && called !== '' ? called : null;
    const name = direct ?? argv[1]?.split('/').pop();
    if (name === undefined || name === '--help') {
      yield* print(listing());
      return 0;
    }
    if (direct === null && name === '--list') {
      yield* print(APPLETS.map((a) => `${a}\n`).join(''));
      return 0;
    }
    const applet = appletOf(direct === 'bash' ? 'sh' : name);
    if (!applet) {
      yield* complain(APPLETS.includes(name) ? `${name}: not modelled\n` : `${name}: applet not found\n`);
      return APPLETS.includes(name) ? 1 : 127;
    }
    return yield* applet(direct === null ? argv.slice(1) : argv, env);
  };
}

function listing(): string {
  let lines = '';
  let line = '\t';
  for (const [i, applet] of APPLETS.entries()) {
    const piece = `${applet}${i === APPLETS.length - 1 ? '' : ', '}`;
    if (line.length + piece.length > 72) {
      lines += `${line.trimEnd()}\n`;
      line = '\t';
    }
    line += piece;
  }
  return `BusyBox v1.37.0 (Debian 1:1.37.0-6) multi-call binary.
BusyBox is copyrighted by many authors between 1998-2015.
Licensed under GPLv2. See source distribution for detailed
copyright notices.

Usage: busybox [function [arguments]...]
   or: busybox --list[-full]
   or: busybox --install [-s] [DIR]
   or: function [arguments]...

\tBusyBox is a multi-call binary that combines many common Unix
\tutilities into a single executable.  Most people will create a
\tlink to busybox for each function they wish to use and BusyBox
\twill act like whatever it was invoked as.

Currently defined functions:
${lines}${line}\n`;
}
