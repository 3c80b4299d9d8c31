/** A command of docker: its words, usage, flags as its help prints them, how many arguments it takes, and what it does. */
import type { Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { type Client, Stop } from './client.ts';
import { BadFlag, type Flags, parseFlags, readFlags } from './flags.ts';
import { columns, flagUsages } from './usage.ts';

export interface Command {
  /** Every name, the shown one first: "run", "container run". */
  names: readonly string[];
  /** What follows "docker NAME" in its usage. */
  usage: string;
  short: string;
  options: string;
  /** At least, at most (-1: no end). */
  args: readonly [number, number];
  /** The plugin's command that runs in its place, which tells its own faults. */
  plugin?(env: Readonly<Record<string, string>>): string | null;
  /** Flags end at the first word. */
  inOrder?: true;
  run(client: Client, flags: Flags): Call<number>;
}

/** Runs it with what follows its name. */
export function* runCommand(client: Client, command: Command, name: string, argv: readonly string[]): Call<number> {
  let flags: Flags;
  try {
    flags = parseFlags(readFlags(command.options), argv, command.inOrder ? 'in-order' : 'permute');
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    yield* complain(`${error.message}\nSee 'docker ${command.plugin?.(client.env) ?? name} --help'.\n`);
    return 125;
  }
  if (flags.has('help')) {
    yield* print(`\n${usageOf(command, name, yield* columns())}`);
    return 0;
  }
  const wrong = arity(command.args, flags.args.length);
  if (wrong)
    throw new Stop(
      `"docker ${name}" ${wrong}.\nSee 'docker ${name} --help'.\n\nUsage:  docker ${name} ${command.usage}\n\n${command.short}`,
    );
  return yield* command.run(client, flags);
}

function arity([least, most]: readonly [number, number], given: number): string | null {
  const word = (n: number): string => (n === 1 ? 'argument' : 'arguments');
  if (most === 0 && given > 0) return 'accepts no arguments';
  if (least === most && given !== least) return `requires exactly ${least} ${word(least)}`;
  if (most === -1) return given < least ? `requires at least ${least} ${word(least)}` : null;
  if (least === 0) return given > most ? `requires at most ${most} ${word(most)}` : null;
  return given < least || given > most ? `requires at least ${least} and at most ${most} ${word(most)}` : null;
}

function usageOf(command: Command, name: string, width: number): string {
  const aliases =
    command.names.length > 1
      ? `\nAliases:\n  ${[...command.names.filter((n) => n.includes(' ')), ...command.names.filter((n) => !n.includes(' '))].map((n) => `docker ${n}`).join(', ')}\n`
      : '';
  const options = command.options.trim() === '' ? '' : `\nOptions:\n${flagUsages(command.options, width)}\n`;
  return `Usage:  docker ${name} ${command.usage}\n\n${command.short}\n${aliases}${options}`;
}
