/**
 * crictl: the container runtime interface by hand. Every command is a row with its options; lists are tables, JSON or YAML.
 * Source: kubernetes-sigs/cri-tools 1.32 cmd/crictl. Left out: attach, port-forward, checkpoint, events, metrics, completion,
 * go templates, profiles of the configuration file.
 */
import { SysError } from '../../../kernel/abi.ts';
import type { Body } from '../../../kernel/sys.ts';
import { BadOption, type Options, parseOptions } from '../../lib/args.ts';
import { print } from '../../lib/io.ts';
import { COMMANDS } from './commands.ts';
import { connect } from './endpoint.ts';
import { CrictlError, logged } from './output.ts';

const GLOBAL = 'c/config= D/debug h/help i/image-endpoint= r/runtime-endpoint= t/timeout= v/version';

export function* crictl(argv: readonly string[], env: Readonly<Record<string, string>> = {}): Body {
  try {
    const o = options(GLOBAL, argv.slice(1));
    if (o.on.has('version')) {
      yield* print('crictl version v1.32.0\n');
      return 0;
    }
    const [name, ...rest] = o.words;
    if (name === undefined || o.on.has('help') || name === 'help') {
      yield* print(help());
      return 0;
    }
    const command = COMMANDS[name];
    if (!command) throw new CrictlError(`unknown command "${name}"`);
    const given = options(`${command.spec} h/help`, rest);
    if (given.on.has('help')) {
      yield* print(`NAME:\n   crictl ${name} - ${command.usage}\n\nUSAGE:\n   crictl ${name} [command options] ${command.args}\n`);
      return 0;
    }
    if (command.kinds.length > 0) yield* connect(o, env, command.kinds);
    if (given.words.length < command.least) throw new CrictlError('ID cannot be empty');
    return (yield* command.run(given)) ?? 0;
  } catch (error) {
    if (error instanceof CrictlError || error instanceof BadOption) yield* logged('fatal', error.message);
    else if (error instanceof SysError) yield* logged('fatal', error.message.toLowerCase());
    else throw error;
    return 1;
  }
}

function options(spec: string, argv: readonly string[]): Options {
  try {
    return parseOptions(spec, argv, 'in-order');
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    const m = /unrecognized option '-?-?([^'=]*)|invalid option -- '(.)'/.exec(error.message);
    throw new BadOption(m ? `flag provided but not defined: -${m[1] ?? m[2]}` : error.message);
  }
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((n) => n.length)) + 2;
  const rows = Object.entries(COMMANDS).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, c]) => `   ${name.padEnd(width)}${c.usage}`);
  return `NAME:\n   crictl - client for CRI\n\nUSAGE:\n   crictl [global options] command [command options] [arguments...]\n\nVERSION:\n   v1.32.0\n\nCOMMANDS:\n${rows.join('\n')}\n`;
}
