/**
 * gdb: a client of the remote protocol with the commands that people use on a kernel: target remote, break, watch, stepi,
 * continue, x, print, info, set, disassemble, monitor. A file named gives symbols. Source: gdb(1), output as of 13.1.
 * Left out: source lines, types beyond the integer ones, inferiors of its own, scripts in Python.
 */
import { SIG, SysError } from '../../../kernel/abi.ts';
import { type Body, type Program, sys } from '../../../kernel/sys.ts';
import { text } from '../../../sim/text.ts';
import { readElf, symbols } from '../../binutils/elf.ts';
import { attempt, readBytes } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, Failed, print, strerror } from '../../lib/io.ts';
import { COMMANDS } from './commands.ts';
import type { Session } from './session.ts';

const BANNER = 'GNU gdb (Debian 13.1-3) 13.1\nFor help, type "help".\n';

export const gdb: Program = function* (argv): Body {
  const session: Session = { remote: null, interrupted: false, labels: [], places: [], nextPlace: 1, values: [], running: false, over: false, last: '', unit: 'w', letter: 'x', wide: true, reverse: null };
  const commands: string[] = [];
  let batch = false;
  let quiet = false;
  let file: string | null = null;
  for (let at = 1; at < argv.length; at++) {
    const word = argv[at]!.replace(/^--/, '-');
    if (word === '-ex' || word === '-eval-command') commands.push(argv[++at] ?? '');
    else if (word === '-q' || word === '-quiet' || word === '-silent' || word === '-nx' || word === '-n') quiet = true;
    else if (word === '-batch') batch = true;
    else if (word === '-version' || word === '-v') {
      yield* print('GNU gdb (Debian 13.1-3) 13.1\n');
      return 0;
    } else if (word.startsWith('-')) {
      yield* complain(`gdb: unrecognized option '${argv[at]}'\nUse \`gdb --help' for a complete list of options.\n`);
      return 1;
    } else file = argv[at]!;
  }
  if (!quiet && !batch) yield* print(BANNER);
  yield* sys('rt_sigaction', SIG.INT, {
    *handler(): Body {
      session.interrupted = true;
    },
  });
  if (file !== null) yield* run(session, `file ${file}`);
  for (const line of commands) {
    if (session.over) break;
    yield* run(session, line);
  }
  if (!batch) yield* converse(session);
  return 0;
};

/** Lines from the terminal until quit or its end. An empty line repeats the last command. */
function* converse(session: Session): Call<void> {
  let held = '';
  yield* print('(gdb) ');
  while (!session.over) {
    const cut = held.indexOf('\n');
    if (cut >= 0) {
      const line = held.slice(0, cut).trim() || session.last;
      held = held.slice(cut + 1);
      yield* run(session, line);
      if (!session.over) yield* print('(gdb) ');
      continue;
    }
    try {
      const data = yield* sys('read', 0, 4096);
      if (data.length === 0) break;
      held += text(data);
    } catch (error) {
      if (!(error instanceof SysError) || error.errno !== 'EINTR') throw error;
      session.interrupted = false;
      yield* print('Quit\n(gdb) ');
    }
  }
}

/** Why a command failed is told. */
function* run(session: Session, line: string): Call<void> {
  const m = /^([a-z!-]+)\s*(.*)$/i.exec(line.trim());
  if (line.trim() === '') return;
  session.last = line.trim();
  try {
    const [, name = '', rest = ''] = m ?? [];
    if (name === 'file') yield* loadSymbols(session, rest);
    else {
      const found = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : unique(name);
      if (!found) throw new Failed(`Undefined command: "${name || line.trim()}".  Try "help".`);
      yield* found(session, rest);
    }
  } catch (error) {
    if (error instanceof Failed) yield* complain(`${error.message}\n`);
    else if (error instanceof SysError) yield* complain(`${strerror(error)}.\n`);
    else throw error;
  }
}

function unique(name: string): (typeof COMMANDS)[string] | null {
  const found = name === '' ? [] : Object.keys(COMMANDS).filter((one) => one.startsWith(name));
  return found.length === 1 ? COMMANDS[found[0]!]! : null;
}

function* loadSymbols(session: Session, path: string): Call<void> {
  const data = yield* attempt(readBytes(path), null);
  if (!data) throw new Failed(`${path}: No such file or directory.`);
  const elf = readElf(data);
  if (!elf) throw new Failed(`"${path}": not in executable format: file format not recognized`);
  session.wide = elf.machine === 62;
  session.labels = symbols(elf).filter((one) => one.name !== '' && one.type < 3 && one.section > 0 && one.section < 0xff00)
    .map((one) => ({ name: one.name, address: one.value })).sort((a, b) => (a.address < b.address ? -1 : a.address > b.address ? 1 : 0));
  yield* print(`Reading symbols from ${path}...\n(No debugging symbols found in ${path})\n`);
}
