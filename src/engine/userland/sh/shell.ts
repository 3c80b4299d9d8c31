/**
 * The shell as a program: its command line, where its commands come from (a prompt, -c, a file, standard input), its
 * start and end. One interpreter for bash, dash and ash: the flavour decides messages, echo and what is not there.
 * Interactive shells mark their prompts with OSC 133 (world/typist.ts reads the marks). Source: bash(1) INVOCATION.
 */
import { O_CLOEXEC, SIG, SysError, TCGETS, TIOCGPGRP } from '../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../kernel/sys.ts';
import { bytes, text } from '../../sim/text.ts';
import { attempt, exists, isDir, readBytes, statOf, tryRead } from '../lib/files.ts';
import { createHeap } from '../lib/heap.ts';
import { type Call, writeAll } from '../lib/http.ts';
import { complain, print, strerror } from '../lib/io.ts';
import { logical } from './builtins/dirs.ts';
import { OPTION_LETTERS } from './builtins/variables.ts';
import { explain, finish } from './child.ts';
import { type Edited, type Editor, editLine } from './editor/editor.ts';
import { addHistory, expandHistory, loadHistory, saveHistory } from './editor/history.ts';
import { isStopped, report, setForeground } from './jobs.ts';
import { readLine } from './lines.ts';
import { promptText } from './prompt.ts';
import { compound, lastList, list, processSubstitution, runText, substitute, syntaxMessage } from './run.ts';
import { guardInteractive, settle } from './signals.ts';
import { call, runWords } from './simple.ts';
import { type Flavour, Jump, prefix, type Shell, type Source, type Variable } from './state.ts';
import { commands, cutShort, mayComplete, read, type Reading } from './syntax.ts';
import { blank, get, set, target } from './variables.ts';

const CALLS: Shell['calls'] = { list, compound, text: runText, substitute, processSubstitution, words: runWords, call };

interface Invocation {
  command: string | null;
  interactive: boolean;
  login: boolean;
  stdin: boolean;
  options: Set<string>;
  noRc: boolean;
  noProfile: boolean;
  words: string[];
  fault: string | null;
  show: 'version' | 'help' | null;
}

/** The program for one flavour: /bin/bash, /bin/sh (dash), busybox's sh (ash). */
export function shellMain(flavour: Flavour): Program {
  return function* (argv, env): Body {
    const asked = parseInvocation(argv);
    const name = (argv[0] ?? flavour).replace(/^.*\//, '');
    if (asked.fault !== null) {
      yield* complain(`${name}: ${asked.fault}\n${asked.fault.startsWith('-c:') || flavour !== 'bash' ? '' : USAGE}`);
      return 2;
    }
    if (asked.show) {
      yield* print(asked.show === 'version' ? VERSION : 'GNU bash, version 5.2.15(1)-release-(x86_64-pc-linux-gnu)\nUsage:\tbash [GNU long option] [option] ...\n\tbash [GNU long option] [option] script-file ...\n');
      return 0;
    }
    const sh = yield* createShell(flavour, argv[0] ?? flavour, asked, env);
    return yield* finish(sh, start(sh, asked));
  };
}

const USAGE = `Usage:\tbash [GNU long option] [option] ...\n\tbash [GNU long option] [option] script-file ...\nGNU long options:\n${['debug', 'debugger', 'dump-po-strings', 'dump-strings', 'help', 'init-file', 'login', 'noediting', 'noprofile', 'norc', 'posix', 'pretty-print', 'rcfile', 'restricted', 'verbose', 'version'].map((o) => `\t--${o}\n`).join('')}Shell options:\n\t-ilrsD or -c command or -O shopt_option\t\t(invocation only)\n\t-abefhkmnptuvxBCEHPT or -o option\n`;
const VERSION = 'GNU bash, version 5.2.15(1)-release (x86_64-pc-linux-gnu)\nCopyright (C) 2022 Free Software Foundation, Inc.\nLicense GPLv3+: GNU GPL version 3 or later <http://gnu.org/licenses/gpl.html>\n\nThis is free software; you are free to change and redistribute it.\nThere is NO WARRANTY, to the extent permitted by law.\n';

function parseInvocation(argv: readonly string[]): Invocation {
  const out: Invocation = {
    command: null, interactive: false, login: argv[0]?.startsWith('-') ?? false, stdin: false, options: new Set(), noRc: false, noProfile: false, words: [], fault: null, show: null,
  };
  let at = 1;
  let wantsCommand = false;
  for (; at < argv.length && /^[-+]./.test(argv[at]!); at++) {
    const word = argv[at]!;
    if (word === '--') {
      at++;
      break;
    }
    if (word.startsWith('--')) {
      longOption(out, word);
      continue;
    }
    for (const letter of word.slice(1)) {
      if (letter === 'c') wantsCommand = true;
      else if (letter === 'i') out.interactive = true;
      else if (letter === 'l') out.login = true;
      else if (letter === 's') out.stdin = true;
      else if (letter === 'o' || letter === 'O') out.options.add(argv[++at] ?? '');
      else if (OPTION_LETTERS[letter]) {
        if (word[0] === '-') out.options.add(OPTION_LETTERS[letter]);
        else out.options.delete(OPTION_LETTERS[letter]);
      } else out.fault = `-${letter}: invalid option`;
    }
  }
  if (argv[at] === '-') at++;
  if (wantsCommand) {
    if (argv[at] === undefined) out.fault = '-c: option requires an argument';
    out.command = argv[at++] ?? '';
  }
  out.words = argv.slice(at);
  return out;
}

function longOption(out: Invocation, word: string): void {
  if (word === '--login') out.login = true;
  else if (word === '--norc') out.noRc = true;
  else if (word === '--noprofile') out.noProfile = true;
  else if (word === '--version') out.show = 'version';
  else if (word === '--help') out.show = 'help';
  else if (word !== '--posix' && word !== '--noediting') out.fault = `${word}: invalid option`;
}

function* createShell(flavour: Flavour, arg0: string, asked: Invocation, env: Readonly<Record<string, string>>): Call<Shell> {
  const onTerminal = (yield* attempt(sys('ioctl', 0, TCGETS), null)) !== null;
  const from = asked.command !== null ? 'string' : asked.words.length > 0 && !asked.stdin ? 'script' : onTerminal || asked.interactive ? 'prompt' : 'stdin';
  const pid = yield* sys('getpid');
  const scope = new Map<string, Variable>();
  for (const [name, value] of Object.entries(env)) if (/^[A-Za-z_]\w*$/.test(name)) scope.set(name, { ...blank(), value, exported: true });
  const sh: Shell = {
    calls: CALLS, flavour, arg0, interactive: from === 'prompt' || (asked.interactive && from === 'string'), login: asked.login, from, pid, rootPid: pid, ppid: yield* sys('getppid'),
    subshells: 0, scopes: [scope], functions: new Map(), aliases: new Map(), options: new Set(asked.options), shopts: new Set(['expand_aliases', 'extglob', 'sourcepath', 'promptvars']),
    params: [], status: 0, pipeStatus: [0], lastBackground: 0, jobs: [], traps: new Map(), pending: [], ignored: yield* ignoredSignals(), hashed: new Map(), cwd: '/', oldDirs: [],
    functionNames: [], functionScopes: [], sourceDepth: 0, loopDepth: 0, errexitOff: 0, source: { text: '', firstLine: 1, name: '' }, pos: 0, getopts: { index: 1, offset: 0 },
    history: [], historyRead: 0, random: Math.imul(pid, 2654435761) >>> 0, startedAt: yield* sys('clock_gettime', 'monotonic'), tty: -1, pgid: yield* sys('getpgid', 0), host: (yield* sys('uname')).nodename, warned: false,
    replaceable: false, heap: createHeap(), swollen: 0, substituted: -1, lastWord: arg0, substitutions: [],
  };
  yield* defaults(sh);
  if (flavour === 'bash') importFunctions(sh, env);
  return sh;
}

/** Functions that came through the environment (export -f). */
function importFunctions(sh: Shell, env: Readonly<Record<string, string>>): void {
  for (const [key, value] of Object.entries(env)) {
    const name = /^BASH_FUNC_([^%=]+)%%$/.exec(key)?.[1];
    if (name === undefined || !value.startsWith('() {')) continue;
    const text = `${name} ${value}`;
    const reading = read(text, 1, 'environment', new Map());
    const command = reading.state === 'complete' && reading.script.commands.length === 1 ? reading.script.commands[0]!.command : null;
    if (command?.type === 'Function') sh.functions.set(name, { name, body: command.body, source: { text, firstLine: 1, name: 'environment' }, exported: true });
  }
}

/** What was ignored when the shell began: not asked of the kernel when nothing can have been. */
function* ignoredSignals(): Call<Set<number>> {
  const ignored = new Set<number>();
  for (const signal of [SIG.HUP, SIG.INT, SIG.QUIT]) {
    const before = yield* attempt(sys('rt_sigaction', signal, { handler: 'default' }), null);
    if (before?.handler !== 'ignore') continue;
    ignored.add(signal);
    yield* sys('rt_sigaction', signal, { handler: 'ignore' });
  }
  return ignored;
}

function* defaults(sh: Shell): Call<void> {
  const given = get(sh, 'PWD');
  const here = yield* attempt(sys('getcwd'), '/');
  const [a, b] = [given?.startsWith('/') ? yield* statOf(given) : null, yield* statOf('.')];
  sh.cwd = given && a && b && a.dev === b.dev && a.ino === b.ino ? logical('/', given) : here;
  set(sh, 'PWD', sh.cwd);
  target(sh, 'PWD').exported = true;
  const level = Number(get(sh, 'SHLVL') ?? '0');
  if (sh.flavour !== 'dash') {
    set(sh, 'SHLVL', String((Number.isFinite(level) ? level : 0) + 1));
    target(sh, 'SHLVL').exported = true;
  }
  if (sh.flavour === 'bash') {
    const identity: Record<string, string> = {
      HOSTNAME: sh.host, HOSTTYPE: 'x86_64', MACHTYPE: 'x86_64-pc-linux-gnu', OSTYPE: 'linux-gnu', UID: String(yield* sys('getuid')), EUID: String(yield* sys('geteuid')),
    };
    for (const [name, value] of Object.entries(identity)) if (get(sh, name) === undefined) set(sh, name, value);
  }
  if (get(sh, 'PATH') === undefined) set(sh, 'PATH', '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin');
  if (get(sh, 'HOME') === undefined) set(sh, 'HOME', (yield* homeOf(yield* sys('getuid'))) ?? '/');
  set(sh, 'IFS', ' \t\n');
  target(sh, 'IFS').exported = false;
  set(sh, 'OPTIND', '1');
  set(sh, 'PS4', '+ ');
  if (!sh.interactive) return;
  if (get(sh, 'PS1') === undefined) set(sh, 'PS1', sh.flavour === 'bash' ? '\\u@\\h:\\w\\$ ' : sh.flavour === 'ash' ? '\\w \\$ ' : (yield* sys('geteuid')) === 0 ? '# ' : '$ ');
  if (get(sh, 'PS2') === undefined) set(sh, 'PS2', '> ');
  if (sh.flavour === 'bash') {
    if (get(sh, 'HISTFILE') === undefined) set(sh, 'HISTFILE', `${get(sh, 'HOME')}/.bash_history`);
    set(sh, 'HISTSIZE', get(sh, 'HISTSIZE') ?? '500');
    set(sh, 'HISTFILESIZE', get(sh, 'HISTFILESIZE') ?? '500');
  }
}

function* homeOf(uid: number): Call<string | null> {
  const line = (yield* tryRead('/etc/passwd'))?.split('\n').find((l) => l.split(':')[2] === String(uid));
  return line?.split(':')[5] ?? null;
}

function* start(sh: Shell, asked: Invocation): Call<number> {
  if (sh.interactive) yield* takeTerminal(sh);
  yield* startFiles(sh, asked);
  if (asked.command !== null) {
    if (asked.words[0] !== undefined) sh.arg0 = asked.words[0];
    sh.params = asked.words.slice(1);
    return yield* runAll(sh, { text: asked.command, firstLine: 1, name: '' });
  }
  if (sh.from === 'script') return yield* script(sh, asked.words);
  sh.params = asked.words;
  if (sh.from === 'prompt') return yield* prompts(sh);
  return yield* fromInput(sh);
}

/** Files read at the start, in bash's order. */
function* startFiles(sh: Shell, asked: Invocation): Call<void> {
  const home = get(sh, 'HOME') ?? '/';
  const files: string[] = [];
  if (asked.login && !asked.noProfile) {
    files.push('/etc/profile');
    for (const name of sh.flavour === 'bash' ? ['.bash_profile', '.bash_login', '.profile'] : ['.profile']) {
      if (!(yield* exists(`${home}/${name}`))) continue;
      files.push(`${home}/${name}`);
      break;
    }
  } else if (sh.interactive && sh.flavour === 'bash' && !asked.noRc) files.push('/etc/bash.bashrc', `${home}/.bashrc`);
  const variable = sh.flavour === 'bash' ? (sh.from === 'script' || sh.from === 'string' ? 'BASH_ENV' : '') : sh.interactive ? 'ENV' : '';
  const more = variable === '' ? undefined : get(sh, variable);
  if (more) files.push(more);
  for (const file of files) {
    const body = yield* tryRead(file);
    if (body === null) continue;
    sh.sourceDepth++;
    yield* shielded(sh, runText(sh, { text: body, firstLine: 1, name: file }));
    sh.sourceDepth--;
  }
}

/** A file read at the start cannot end the shell but by exit. */
function* shielded(sh: Shell, body: Call<number>): Call<void> {
  try {
    yield* body;
  } catch (error) {
    if (error instanceof Jump && error.kind === 'exit') throw error;
    if (!(error instanceof Jump)) yield* explain(sh, error);
  }
}

function* script(sh: Shell, words: readonly string[]): Call<number> {
  const path = words[0]!;
  sh.params = words.slice(1);
  const shell = sh.arg0;
  let body: Uint8Array;
  try {
    const stat = yield* statOf(path);
    if (stat && isDir(stat)) {
      yield* complain(`${shell}: ${path}: Is a directory\n`);
      return 126;
    }
    body = yield* readBytes(path);
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const missing = error.errno === 'ENOENT';
    yield* complain(sh.flavour === 'dash' ? `${shell}: 0: cannot open ${path}: ${missing ? 'No such file' : strerror(error)}\n` : sh.flavour === 'ash' ? `${shell}: can't open '${path}': ${strerror(error)}\n` : `${shell}: ${path}: ${strerror(error)}\n`);
    return missing ? (sh.flavour === 'bash' ? 127 : 2) : 126;
  }
  sh.arg0 = path;
  if (body.subarray(0, 80).includes(0)) {
    yield* complain(`${path}: ${path}: cannot execute binary file\n`);
    return 126;
  }
  return yield* runAll(sh, { text: text(body), firstLine: 1, name: path });
}

/** Runs a whole text; its last plain command may take the process over. */
function* runAll(sh: Shell, source: Source): Call<number> {
  sh.source = source;
  let held: Reading | null = null;
  for (const reading of commands(sh, source)) {
    if (held) yield* obey(sh, source, held, false);
    held = reading;
  }
  if (held) yield* obey(sh, source, held, sh.from === 'string');
  return sh.status;
}

function* obey(sh: Shell, source: Source, reading: Reading, last: boolean): Call<void> {
  if (reading.state === 'wrong') {
    yield* complain(syntaxMessage(sh, source, reading));
    throw new Jump('exit', 2);
  }
  sh.source = reading.source;
  if (reading.state === 'complete' && reading.warning && sh.flavour === 'bash') yield* complain(`${source.name || sh.arg0}: ${reading.warning}\n`);
  if (sh.options.has('verbose')) yield* complain(reading.source.text);
  try {
    if (last) yield* lastList(sh, reading.script.commands);
    else yield* list(sh, reading.script.commands);
  } catch (error) {
    if (error instanceof Jump && error.kind === 'abandon' && sh.from !== 'string') {
      sh.status = error.count;
      return;
    }
    if (error instanceof Jump) throw error;
    sh.status = yield* explain(sh, error);
  }
}

/** Commands from a pipe or file on standard input, read no further than they need. */
function* fromInput(sh: Shell): Call<number> {
  let line = 1;
  let held = '';
  let lines = 0;
  let wanted = (_: string): boolean => true;
  for (;;) {
    const next = yield* readLine(0);
    if (next === null && held === '') return sh.status;
    if (next !== null) {
      held += `${next}\n`;
      lines++;
      if (!wanted(next)) continue;
    }
    let reading = read(held, line, '', sh.aliases);
    if (reading.state === 'incomplete') {
      wanted = mayComplete(reading);
      if (next !== null) continue;
      reading = reading.eof === '' ? cutShort(reading.script, reading.source, line + lines - 1) : { state: 'wrong', message: reading.eof, line: reading.eof.startsWith('unexpected') ? line : line + lines, lineText: '' };
    }
    yield* obey(sh, { text: held, firstLine: line, name: '' }, reading, false);
    line += lines;
    held = '';
    lines = 0;
    wanted = () => true;
    if (next === null) return sh.status;
  }
}

// ---- at a prompt

function* takeTerminal(sh: Shell): Call<void> {
  const fd = yield* attempt(sys('fcntl', 0, 'dupfd_cloexec', 255), -1);
  sh.tty = fd >= 0 ? fd : yield* attempt(sys('dup3', 0, 255, O_CLOEXEC), -1);
  yield* guardInteractive(sh);
  const foreground = (yield* attempt(sys('ioctl', sh.tty, TIOCGPGRP), null)) as number | null;
  if (foreground === null) {
    const why = sh.flavour === 'bash' ? `cannot set terminal process group (-1): Inappropriate ioctl for device\n${prefix(sh)}no job control in this shell\n` : "can't access tty; job control turned off\n";
    yield* complain(prefix(sh) + why);
    return;
  }
  if (sh.pgid !== sh.pid) yield* attempt(sys('setpgid', 0, sh.pid), 0);
  sh.pgid = yield* sys('getpgid', 0);
  yield* setForeground(sh, sh.pgid);
  sh.options.add('monitor');
}

const OSC = (code: string): string => `\x1b]133;${code}\x07`;
const PRIMARY = { before: OSC('A'), after: OSC('B') };
const SECONDARY = { before: OSC('A;k=s'), after: OSC('B') };

function* mark(sh: Shell, code: string): Call<void> {
  yield* attempt(writeAll(sh.tty, bytes(OSC(code))), undefined);
}

function* prompts(sh: Shell): Call<number> {
  yield* loadHistory(sh);
  const editor: Editor = { kills: [] };
  try {
    for (;;) {
      yield* report(sh);
      yield* beforePrompt(sh);
      const reading = yield* readCommand(sh, editor);
      if (reading === 'eof') {
        if (yield* mayLeave(sh)) return sh.status;
      } else if (reading === 'interrupt') {
        sh.status = 130;
        yield* mark(sh, 'D;130');
      } else yield* runReading(sh, reading);
    }
  } finally {
    yield* saveHistory(sh);
  }
}

function* beforePrompt(sh: Shell): Call<void> {
  sh.pending = sh.pending.filter((n) => n !== SIG.WINCH);
  const { status } = sh;
  const hook = get(sh, 'PROMPT_COMMAND');
  if (hook) yield* shielded(sh, runText(sh, { text: hook, firstLine: 1, name: '' }));
  sh.status = status;
}

function* mayLeave(sh: Shell): Call<boolean> {
  if (!sh.warned && sh.jobs.some(isStopped)) {
    sh.warned = true;
    yield* complain('There are stopped jobs.\n');
    return false;
  }
  yield* complain(sh.login ? 'logout\n' : 'exit\n');
  return true;
}

/** Lines until they make a command. */
function* readCommand(sh: Shell, editor: Editor): Call<Reading | 'eof' | 'interrupt'> {
  let held = '';
  for (;;) {
    const edited: Edited = yield* editLine(sh, editor, yield* promptText(sh, held === '' ? 'PS1' : 'PS2'), held === '' ? PRIMARY : SECONDARY);
    if (edited === 'interrupt') return edited;
    if (edited === 'eof') {
      if (held === '') return 'eof';
      addHistory(sh, held);
      return { state: 'wrong', message: 'syntax error: unexpected end of file', line: 1, lineText: '' };
    }
    let { line } = edited;
    if (sh.flavour === 'bash' && !sh.options.has('nohistexpand') && /[!^]/.test(line)) {
      const expanded = expandHistory(sh.history, line);
      if ('fault' in expanded) return { state: 'wrong', message: expanded.fault, line: 1, lineText: '' };
      if (expanded.line !== line) yield* attempt(writeAll(sh.tty, bytes(`${expanded.line}\r\n`)), undefined);
      line = expanded.line;
    }
    held += `${line}\n`;
    const reading = read(held, 1, '', sh.aliases);
    if (reading.state === 'incomplete') continue;
    addHistory(sh, held);
    return reading;
  }
}

function* runReading(sh: Shell, reading: Reading): Call<void> {
  yield* mark(sh, 'C');
  try {
    if (reading.state === 'wrong') {
      yield* complain(`${prefix(sh)}${sh.flavour === 'bash' ? reading.message : syntaxMessage(sh, { text: '', firstLine: 1, name: '' }, reading).replace(/^[^:]*: (\d+: )?/, '').trimEnd()}\n`);
      sh.status = reading.message.endsWith('event not found') ? 1 : 2;
    } else {
      sh.source = reading.source;
      const leaving = sh.warned;
      if (reading.script.commands.length > 0) yield* list(sh, reading.script.commands);
      if (leaving) sh.warned = false;
      yield* settle(sh);
    }
  } catch (error) {
    if (!(error instanceof Jump)) sh.status = yield* explain(sh, error);
    else if (error.kind === 'exit') {
      yield* mark(sh, `D;${error.count & 255}`);
      throw error;
    } else {
      if (error.kind === 'interrupt') yield* attempt(complain('\n'), undefined);
      sh.status = error.count;
    }
    resetDepth(sh);
  }
  yield* mark(sh, `D;${sh.status}`);
}

/** After a command line was given up half-way. */
function resetDepth(sh: Shell): void {
  sh.scopes.length = 1;
  sh.functionNames.length = 0;
  sh.functionScopes.length = 0;
  sh.loopDepth = 0;
  sh.sourceDepth = 0;
  sh.errexitOff = 0;
  sh.replaceable = false;
}
