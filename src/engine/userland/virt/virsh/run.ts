/**
 * virsh from words to status: finds the command, sorts its words and options, looks the domain up, runs it. A line of several
 * commands (";") is read whole before the first runs, so a mistake in any runs none; the status is the last one's.
 */
import type { Call, DomainInfo } from '../libvirt/domains.ts';
import { LibvirtError } from '../libvirt/xml.ts';
import { type Command, COMMANDS, type Context, type Parsed } from './commands.ts';

export const NOBODY: DomainInfo = {
  id: null, name: '', uuid: '', title: '', description: '', state: '', reason: '', vcpus: 0, vcpusNow: 0, memory: 0, current: 0, persistent: false, autostart: false, cpuTime: null, pty: '', hasConsole: false,
};

/** Commands of the real program that are absent here: their name is known, so it is not called unknown. */
const UNMODELLED = new Set(
  ('allocpages attach-device attach-disk attach-interface backup-begin backup-dumpxml blkdeviotune blkiotune blockcommit blockcopy blockjob blockpull blockresize capabilities change-media checkpoint-create checkpoint-list ' +
    'connect cpu-baseline cpu-compare cpu-models cpu-stats detach-device detach-device-alias detach-disk detach-interface domblkinfo domblkthreshold domcapabilities domdirtyrate-calc domfsfreeze domfsthaw domfstrim ' +
    'domif-getlink domif-setlink domiftune domlaunchsecinfo dompmwakeup domxml-from-native domxml-to-native edit event freecell freepages guestvcpus guest-agent-timeout hypervisor-cpu-baseline iface-list ' +
    'managedsave-dumpxml migrate net-create net-define net-dhcp-leases net-dumpxml net-edit net-info net-uuid net-name net-undefine net-update net-autostart nodedev-list nodedev-dumpxml ' +
    'node-memory-tune nodesuspend numatune nwfilter-define nwfilter-dumpxml perf pool-create pool-create-as pool-define pool-define-as pool-info pool-list pool-refresh pool-start pool-destroy restore save-image-dumpxml ' +
    'save-image-edit schedinfo secret-define setvcpu snapshot-create snapshot-create-as snapshot-current snapshot-delete snapshot-dumpxml snapshot-info snapshot-list snapshot-parent snapshot-revert update-device ' +
    'vol-clone vol-create vol-create-as vol-delete vol-dumpxml vol-info vol-list vol-path vol-resize').split(' '),
);

export interface Ready {
  name: string;
  command: Command | 'help' | 'quit';
  parsed: Parsed;
}

/** One command, `words` without "virsh" itself. */
export function* runCommand(c: Context, words: readonly string[]): Call<number> {
  return (yield* runCommands(c, [words])).status;
}

export interface Ran {
  status: number;
  /** quit or exit was among them. */
  quit: boolean;
}

export function* runCommands(c: Context, lines: readonly (readonly string[])[]): Call<Ran> {
  const ready = prepareAll(c, lines);
  return ready ? yield* runReady(c, ready) : { status: 1, quit: false };
}

/** Reads all of it; null, having said why, when a command is not one. Nothing has run, nobody was connected to. */
export function prepareAll(c: Pick<Context, 'error'>, lines: readonly (readonly string[])[]): Ready[] | null {
  const ready: Ready[] = [];
  for (const words of lines) {
    if (words.length === 0) continue;
    const one = prepare(c, words);
    if (!one) return null;
    ready.push(one);
  }
  return ready;
}

/** Does any of these talk to a hypervisor? */
export const needsConnection = (ready: readonly Ready[]): boolean => ready.some(({ command, name }) => command !== 'help' && command !== 'quit' && name !== 'echo');

export function* runReady(c: Context, ready: readonly Ready[]): Call<Ran> {
  let status = 0;
  for (const one of ready) {
    if (one.command === 'quit') return { status, quit: true };
    status = (yield* runOne(c, one)) ? 0 : 1;
    yield* c.flush?.() ?? nothing();
  }
  return { status, quit: false };
}

function* nothing(): Call<void> {}

function* runOne(c: Context, { command, parsed, name }: Ready): Call<boolean> {
  if (command === 'quit') return true;
  let ok = false;
  const began = c.clock ? yield* c.clock() : 0;
  try {
    if (command === 'help') ok = help(c, parsed.words);
    else {
      const domain = command.words[0] === 'domain' || (command.words[0] === 'domain?' && parsed.words[0] !== undefined) ? yield* lookup(c, parsed.words[0]!) : NOBODY;
      ok = domain !== null && (yield* command.run(c, parsed, domain));
    }
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    c.error(error.message);
  }
  if (!c.quiet && name !== 'echo') c.print('\n');
  if (c.clock) c.print(`(Time: ${(((yield* c.clock()) - began) / 1e6).toFixed(3)} ms)\n\n`);
  return ok;
}

function* lookup(c: Context, name: string): Call<DomainInfo | null> {
  const found = (yield* c.call('lookup', { domain: name })) as DomainInfo | null;
  if (!found) c.error(`failed to get domain '${name}'`);
  return found;
}

function prepare(c: Pick<Context, 'error'>, words: readonly string[]): Ready | null {
  const [name = '', ...rest] = words;
  if (name === 'quit' || name === 'exit') return { name, command: 'quit', parsed: { words: [], flags: {} } };
  if (name === 'help') return { name, command: 'help', parsed: { words: rest, flags: {} } };
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    c.error(UNMODELLED.has(name) ? `not modelled: ${name}` : `unknown command: '${name}'`);
    return null;
  }
  if (rest.includes('--help')) return { name, command: 'help', parsed: { words: [name], flags: {} } };
  const parsed = parse(c, name, command, rest);
  return parsed ? { name, command, parsed } : null;
}

function parse(c: Pick<Context, 'error'>, name: string, command: Command, rest: readonly string[]): Parsed | null {
  const parsed: Parsed = { words: [], flags: {} };
  const refuse = (text: string): null => {
    c.error(text);
    return null;
  };
  const names = command.words.map((w) => w.replace(/[?*]$/, ''));
  const placed = new Map<number, string>();
  const free = (): number => {
    let n = 0;
    while (placed.has(n)) n++;
    return n;
  };
  const many = command.words.at(-1)?.endsWith('*') ?? false;
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (!word.startsWith('--') || word === '--') {
      if (free() >= names.length && !many) return refuse(`unexpected data '${word}'`);
      placed.set(free(), word);
      continue;
    }
    const [option, inline] = word.slice(2).split(/=(.*)/s) as [string, string | undefined];
    const at = names.indexOf(option);
    if (at >= 0 || command.values?.includes(option)) {
      const value = inline ?? rest[++i];
      if (value === undefined) return refuse(`expected syntax: --${option} <${command.numbers?.includes(option) ? 'number' : 'string'}>`);
      if (at >= 0) placed.set(at, value);
      else parsed.flags[option] = value;
    } else if (command.flags?.includes(option)) parsed.flags[option] = true;
    else return refuse(`command '${name}' doesn't support option --${option}`);
  }
  parsed.words = Array.from({ length: Math.max(-1, ...placed.keys()) + 1 }, (_, n) => placed.get(n) ?? '');
  const missing = command.words.findIndex((w, n) => !/[?*]$/.test(w) && !placed.has(n));
  if (missing >= 0) return refuse(`command '${name}' requires ${missing === 0 || !command.numbers?.includes(names[missing]!) ? `<${names[missing]}>` : `--${names[missing]}`} option`);
  return parsed;
}

function help(c: Context, words: readonly string[]): boolean {
  const [name] = words;
  if (name === undefined) {
    c.print("Grouped commands:\n\n Domain Management (help keyword 'domain'):\n");
    for (const [one, command] of Object.entries(COMMANDS)) c.print(`    ${one.padEnd(30)} ${command.summary}\n`);
    return true;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (!command) {
    c.error(`command or command group '${name}' doesn't exist`);
    return false;
  }
  const takes = [
    ...command.words.map((w) => (w.endsWith('?') ? ` [<${w.slice(0, -1)}>]` : ` <${w}>`)), ...(command.flags ?? []).map((f) => ` [--${f}]`), ...(command.values ?? []).map((v) => ` [--${v} <string>]`),
  ];
  c.print(`  NAME\n    ${name} - ${command.summary}\n\n  SYNOPSIS\n    ${name}${takes.join('')}\n\n`);
  return true;
}

/** A line as virsh splits it: words, quotes, backslash; commands apart by ";". Null: an unfinished quote. */
export function splitLine(line: string): string[][] | null {
  const commands: string[][] = [[]];
  let word: string | null = null;
  let quote = '';
  for (let i = 0; i < line.length; i++) {
    const c = line[i]!;
    if (quote !== '') {
      if (c === quote) quote = '';
      else word += c === '\\' && quote === '"' && i + 1 < line.length ? line[++i]! : c;
    } else if (c === '"' || c === "'") {
      quote = c;
      word ??= '';
    } else if (c === '\\' && i + 1 < line.length) word = (word ?? '') + line[++i]!;
    else if (/[\s;]/.test(c) || (c === '#' && word === null)) {
      if (word !== null) commands.at(-1)!.push(word);
      word = null;
      if (c === ';' || c === '\n') commands.push([]);
      if (c === '#') while (i + 1 < line.length && line[i + 1] !== '\n') i++;
    } else word = (word ?? '') + c;
  }
  if (quote !== '') return null;
  if (word !== null) commands.at(-1)!.push(word);
  return commands.filter((words) => words.length > 0);
}
