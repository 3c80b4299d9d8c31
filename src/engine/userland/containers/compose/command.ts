/** A command of compose: its usage, flags as its help prints them, and what it works on. */
import { SysError } from '../../../kernel/abi.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import type { Client } from '../docker/cli/client.ts';
import { BadFlag, type Flags, parseFlags, readFlags } from '../docker/cli/flags.ts';
import { columns, flagUsages } from '../docker/cli/usage.ts';
import { BAD_SYNTAX, ComposeError, FILE_NOT_FOUND } from './document.ts';
import { type Asked, loadProject, normalName, type Project, selected } from './project.ts';
import { type Session, warn } from './session.ts';

export interface Context {
  session: Session;
  client: Client;
  asked: Asked;
}

export interface ComposeCommand {
  name: string;
  usage: string;
  short: string;
  options: string;
  /** At least, at most (-1: no end). */
  args: readonly [number, number];
  /** Flags end at the first word. */
  inOrder?: true;
  /** Further words after the short ones. */
  long?: string;
  aliases?: string;
  /** The options where help shows others than are read: words that pflag takes for a value's name. */
  shown?: string;
  /** How a wrong number of words is told: in cobra's own words, or compose's. */
  counts?: 'cobra' | 'minimum';
  run(c: Context, flags: Flags): Call<number>;
}

export function* runCompose(c: Context, command: ComposeCommand, argv: readonly string[]): Call<number> {
  let flags: Flags;
  try {
    flags = parseFlags(readFlags(`${command.options}\n      --dry-run   Execute command in dry run mode`), argv, command.inOrder ? 'in-order' : 'permute');
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    throw new ComposeError(error.message, BAD_SYNTAX);
  }
  const usage = `Usage:  docker compose ${command.name} ${command.usage}`.trimEnd();
  if (flags.has('help')) {
    const aliases = command.aliases ? `\nAliases:\n  ${command.aliases}\n` : '';
    yield* print(`\n${usage}\n\n${command.short}\n${command.long ? `\n${command.long}\n` : ''}${aliases}\nOptions:\n${flagUsages(command.shown ?? command.options, yield* columns()).replaceAll('\x01', ' ')}\n`);
    return 0;
  }
  if (flags.has('dry-run')) throw new ComposeError('not modelled: --dry-run');
  const [least, most] = command.args;
  const n = flags.args.length;
  if (n < least && command.counts === 'minimum') throw new ComposeError(`requires at least ${least} arg(s), only received ${n}`);
  if (n !== least && least === most && most > 0) throw new ComposeError(`"docker compose ${command.name}" requires exactly ${least} ${least === 1 ? 'argument' : 'arguments'}.\nSee 'docker compose ${command.name} --help'.\n\n${usage}\n\n${command.short}`);
  if (n < least) throw new ComposeError(`"docker compose ${command.name}" requires at least ${least} ${least === 1 ? 'argument' : 'arguments'}.\nSee 'docker compose ${command.name} --help'.\n\n${usage}\n\n${command.short}`);
  if (most >= 0 && n > most) throw new ComposeError(`"docker compose ${command.name}" ${most === 0 ? 'accepts no arguments' : `requires at most ${most} ${most === 1 ? 'argument' : 'arguments'}`}.\nSee 'docker compose ${command.name} --help'.\n\n${usage}\n\n${command.short}`);
  return yield* command.run(c, flags);
}

/** The project of the files, its warnings told; only these services and what they need. */
export function* projectOf(c: Context, services: readonly string[] = [], dependencies = true): Call<Project> {
  const p = yield* loadProject(c.asked);
  for (const w of p.warnings) yield* warn(c.session, w);
  return selected(p, services, dependencies);
}

/** The project, or only its name where a command can do without a file: -p was given, or a name is in the environment. */
export function* projectOrName(c: Context): Call<{ project: Project | null; name: string }> {
  try {
    const project = yield* projectOf(c);
    return { project, name: project.name };
  } catch (error) {
    const name = c.asked.name ?? c.asked.env.COMPOSE_PROJECT_NAME;
    if (!(error instanceof ComposeError) || error.status !== FILE_NOT_FOUND || !name || c.asked.files.length > 0) throw error;
    return { project: null, name: normalName(name) };
  }
}

export const numberOf = (flags: Flags, name: string): number | undefined => (flags.get(name) === undefined ? undefined : Number(flags.get(name)));

export function* quietly(call: Call<void>): Call<void> {
  try {
    yield* call;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    yield* complain('');
  }
}
