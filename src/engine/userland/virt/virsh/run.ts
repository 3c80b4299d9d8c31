/** virsh from words to status: finds the command, sorts its words and options, looks the domain up, runs it. */
import type { Call, DomainInfo } from '../libvirt/domains.ts';
import { LibvirtError } from '../libvirt/xml.ts';
import { type Command, COMMANDS, type Context, type Parsed } from './commands.ts';

const NOBODY: DomainInfo = {
  id: null, name: '', uuid: '', title: '', description: '', state: '', reason: '', vcpus: 0, vcpusNow: 0, memory: 0, current: 0, persistent: false, autostart: false, cpuTime: null, pty: '', hasConsole: false,
};

/** `words` without "virsh" itself. Prints a closing empty line after every command, as virsh does. */
export function* runCommand(c: Context, words: readonly string[]): Call<number> {
  const [name, ...rest] = words;
  if (name === undefined || name === 'help') {
    help(c);
    return 0;
  }
  const command = COMMANDS[name];
  if (!command || !Object.hasOwn(COMMANDS, name)) {
    c.error(`unknown command: '${name}'`);
    return 1;
  }
  const parsed = parse(c, name, command, rest);
  if (!parsed) return 1;
  let ok = false;
  try {
    const domain = command.words[0] === 'domain' ? yield* lookup(c, parsed.words[0]!) : NOBODY;
    ok = domain !== null && (yield* command.run(c, parsed, domain));
  } catch (error) {
    if (!(error instanceof LibvirtError)) throw error;
    c.error(error.message);
  }
  c.print('\n');
  return ok ? 0 : 1;
}

function* lookup(c: Context, name: string): Call<DomainInfo | null> {
  const found = (yield* c.call('lookup', { domain: name })) as DomainInfo | null;
  if (!found) c.error(`failed to get domain '${name}'`);
  return found;
}

function parse(c: Context, name: string, command: Command, rest: readonly string[]): Parsed | null {
  const parsed: Parsed = { words: [], flags: {} };
  const refuse = (text: string): null => {
    c.error(text);
    return null;
  };
  for (let i = 0; i < rest.length; i++) {
    const word = rest[i]!;
    if (!word.startsWith('--') || word === '--') {
      if (parsed.words.length >= command.words.length) return refuse(`unexpected data '${word}'`);
      parsed.words.push(word);
      continue;
    }
    const [option, inline] = word.slice(2).split(/=(.*)/s) as [string, string | undefined];
    if (command.words.some((w) => w.replace('?', '') === option)) {
      const value = inline ?? rest[++i];
      if (value === undefined) return refuse(`expected syntax: --${option} <string>`);
      parsed.words.push(value);
    } else if (command.values?.includes(option)) {
      const value = inline ?? rest[++i];
      if (value === undefined) return refuse(`expected syntax: --${option} <string>`);
      parsed.flags[option] = value;
    } else if (command.flags?.includes(option)) parsed.flags[option] = true;
    else return refuse(`command '${name}' doesn't support option --${option}`);
  }
  const missing = command.words.filter((w) => !w.endsWith('?'))[parsed.words.length];
  if (missing !== undefined) return refuse(`command '${name}' requires <${missing}> option`);
  return parsed;
}

function help(c: Context): void {
  c.print("Grouped commands:\n\n Domain Management (help keyword 'domain'):\n");
  for (const [name, command] of Object.entries(COMMANDS)) c.print(`    ${name.padEnd(30)} ${command.summary}\n`);
  c.print('\n');
}
