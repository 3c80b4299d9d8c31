/** file, stty, w, free-standing answers about files and terminals; and hints for what is not modelled. */
import { AT_FDCWD, O_RDONLY, S_IFBLK, S_IFCHR, S_IFDIR, S_IFIFO, S_IFLNK, S_IFREG, S_IFSOCK, AT_SYMLINK_NOFOLLOW, TCGETS, TCSETS, type Termios, TIOCGWINSZ, TIOCSWINSZ, type Winsize } from '../../kernel/abi.ts';
import { type Program, sys } from '../../kernel/sys.ts';
import { BadOption, parseOptions } from '../lib/args.ts';
import { attempt, } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { command, complain, Failed, print } from '../lib/io.ts';
import { text } from '../../sim/text.ts';
import { readAccounts, userName } from './accounts.ts';
import { strftime } from './calendar.ts';
import { isType } from './modes.ts';
import { commandLine, readMachine, readProcesses, TICKS } from './processes.ts';
import { quoted } from './quote.ts';
import { uptimeLine } from './system.ts';

export const file = command(function* (argv) {
  const o = parseOptions('b/brief i/mime L/dereference z s k h', argv.slice(1));
  if (o.words.length === 0) throw new BadOption('missing operand');
  const width = Math.max(...o.words.map((w) => w.length)) + 1;
  for (const word of o.words) {
    const what = yield* kindOf(word, o.on.has('dereference'));
    yield* print(o.on.has('brief') ? `${what}\n` : `${`${word}:`.padEnd(width)} ${what}\n`);
  }
});

function* kindOf(path: string, follow: boolean): Call<string> {
  const stat = yield* attempt(sys('newfstatat', AT_FDCWD, path, follow ? 0 : AT_SYMLINK_NOFOLLOW), null);
  if (!stat) return `cannot open \`${path}' (No such file or directory)`;
  if (isType(stat.mode, S_IFDIR)) return stat.mode & 0o1000 ? 'sticky, directory' : 'directory';
  if (isType(stat.mode, S_IFLNK)) return `symbolic link to ${yield* sys('readlinkat', AT_FDCWD, path)}`;
  if (isType(stat.mode, S_IFCHR)) return `character special (${stat.rdev.join('/')})`;
  if (isType(stat.mode, S_IFBLK)) return `block special (${stat.rdev.join('/')})`;
  if (isType(stat.mode, S_IFIFO)) return 'fifo (named pipe)';
  if (isType(stat.mode, S_IFSOCK)) return 'socket';
  // Nobody looks into what says that it is of no size, though a generated file may have something to say.
  if (isType(stat.mode, S_IFREG) && stat.size === 0) return 'empty';
  const fd = yield* attempt(sys('openat', AT_FDCWD, path, O_RDONLY), -1);
  if (fd < 0) return 'regular file, no read permission';
  const head = yield* attempt(sys('read', fd, 4096), new Uint8Array(0));
  yield* sys('close', fd);
  return head.length === 0 ? 'data' : contentKind(head);
}

function contentKind(head: Uint8Array): string {
  const start = text(head);
  if (start.startsWith('\x7fELF')) return 'ELF 64-bit LSB pie executable, x86-64, version 1 (SYSV), dynamically linked, for GNU/Linux 3.2.0, stripped';
  if (head[0] === 0x1f && head[1] === 0x8b) return 'gzip compressed data';
  if (start.slice(257, 262) === 'ustar') return 'POSIX tar archive';
  if (start.startsWith('QFI\xfb') || (head[0] === 0x51 && head[1] === 0x46 && head[2] === 0x49 && head[3] === 0xfb)) return 'QEMU QCOW Image (v3)';
  const shebang = /^#!\s*(\S+)/.exec(start);
  if (shebang) return shebang[1]!.endsWith('bash') ? 'Bourne-Again shell script, ASCII text executable' : shebang[1]!.endsWith('sh') ? 'POSIX shell script, ASCII text executable' : `a ${shebang[1]} script, ASCII text executable`;
  if (/^\s*[{[]/.test(start) && isJson(start)) return 'JSON text data';
  if (head.some((b) => b < 32 && ![7, 8, 9, 10, 12, 13, 27].includes(b))) return 'data';
  const kind = head.every((b) => b < 128) ? 'ASCII text' : start.includes('\ufffd') ? 'ISO-8859 text' : 'Unicode text, UTF-8 text';
  return `${kind}${start.includes('\r\n') ? ', with CRLF line terminators' : start.includes('\n') ? '' : ', with no line terminators'}`;
}

function isJson(source: string): boolean {
  try {
    JSON.parse(source);
    return true;
  } catch {
    return false;
  }
}

const SETTINGS: readonly [name: string, field: keyof Termios][] = [['isig', 'signals'], ['icanon', 'canonical'], ['echo', 'echo'], ['icrnl', 'mapCrNl'], ['opost', 'postprocess']];

export const stty = command(function* (argv) {
  const words = argv.slice(1);
  const now = (yield* attempt(sys('ioctl', 0, TCGETS), null)) as Termios | null;
  const size = (yield* attempt(sys('ioctl', 0, TIOCGWINSZ), null)) as Winsize | null;
  if (!now || !size) throw new Failed("'standard input': Inappropriate ioctl for device");
  if (words.length === 0 || words[0] === '-a') {
    const flags = SETTINGS.map(([name, field]) => `${now[field] ? '' : '-'}${name}`);
    yield* print(words[0] === '-a' ? `speed 38400 baud; rows ${size.rows}; columns ${size.cols}; line = 0;\nintr = ^C; quit = ^\\; erase = ^?; kill = ^U; eof = ^D; susp = ^Z;\n${flags.join(' ')}\n` : `speed 38400 baud; line = 0;\n${flags.filter((f) => f.startsWith('-')).map((f) => `${f}\n`).join('')}`);
    return 0;
  }
  if (words[0] === 'size') {
    yield* print(`${size.rows} ${size.cols}\n`);
    return 0;
  }
  let next = { ...now };
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    const known = SETTINGS.find(([name]) => name === word.replace(/^-/, ''));
    if (known) next = { ...next, [known[1]]: !word.startsWith('-') };
    else if (word === 'raw' || word === '-cooked') next = { canonical: false, echo: next.echo, signals: false, mapCrNl: false, postprocess: false };
    else if (word === 'sane' || word === 'cooked' || word === '-raw') next = { canonical: true, echo: true, signals: true, mapCrNl: true, postprocess: true };
    else if (word === 'cbreak') next = { ...next, canonical: false };
    else if (word === '-cbreak') next = { ...next, canonical: true };
    else if (word === 'rows' || word === 'cols' || word === 'columns') yield* sys('ioctl', 0, TIOCSWINSZ, { ...size, [word === 'rows' ? 'rows' : 'cols']: Number(words[++i]) });
    else if (!/^(erase|intr|eof|susp|kill|iutf8|-?ixon|-?echoe|-?echok|-?onlcr)$/.test(word)) throw new BadOption(`invalid argument ${quoted(word)}`);
  }
  yield* sys('ioctl', 0, TCSETS, next);
  return 0;
});

/** w and who: the sessions on terminals. */
export const who = command(function* () {
  const accounts = yield* readAccounts();
  const machine = yield* readMachine();
  for (const p of (yield* readProcesses()).filter((x) => x.tty !== '?' && x.session === x.pid && !/getty/.test(x.comm))) {
    yield* print(`${userName(accounts, p.euid).padEnd(8)} ${p.tty.padEnd(12)} ${strftime('%Y-%m-%d %H:%M', machine.booted + p.start / TICKS)}\n`);
  }
});

export const w = command(function* () {
  const accounts = yield* readAccounts();
  const machine = yield* readMachine();
  const all = yield* readProcesses();
  yield* print(`${yield* uptimeLine()}\nUSER     TTY      FROM             LOGIN@   IDLE   JCPU   PCPU WHAT\n`);
  for (const p of all.filter((x) => x.tty !== '?' && x.session === x.pid && !/getty/.test(x.comm))) {
    const front = all.findLast((x) => x.tty === p.tty && x.pgrp === p.tpgid) ?? p;
    const spent = all.filter((x) => x.tty === p.tty).reduce((sum, x) => sum + x.utime + x.stime, 0) / TICKS;
    yield* print(`${userName(accounts, p.euid).padEnd(8)} ${p.tty.padEnd(8)} ${'-'.padEnd(16)} ${strftime('%H:%M', machine.booted + p.start / TICKS)}    0.00s ${spent.toFixed(2).padStart(5)}s ${((front.utime + front.stime) / TICKS).toFixed(2).padStart(5)}s ${commandLine(front)}\n`);
  }
});

/** A program that is not there, and what to use instead. */
export function hint(instead: string): Program {
  return command(function* (argv) {
    yield* complain(`${(argv[0] ?? '').split('/').pop()}: not modelled: ${instead}\n`);
    return 1;
  });
}

