/**
 * crictl: the container runtime interface by hand. Every command is a row with its options; lists are tables, JSON or YAML.
 * Source: kubernetes-sigs/cri-tools 1.32 cmd/crictl. Left out: attach, port-forward, checkpoint, events, metrics, completion,
 * go templates, profiles of the configuration file.
 */
import { SysError, TCGETS } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { BadOption, type Options, parseOptions } from '../../lib/args.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { isoSeconds, nowNs } from '../../lib/clock.ts';
import { COMMANDS } from './commands.ts';
import { CrictlError } from './output.ts';

const GLOBAL = 'c/config= D/debug h/help i/image-endpoint= r/runtime-endpoint= t/timeout= v/version';

export function* crictl(argv: readonly string[]): Body {
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
    if (given.words.length < command.least) throw new CrictlError('ID cannot be empty');
    return (yield* command.run(given)) ?? 0;
  } catch (error) {
    if (error instanceof CrictlError || error instanceof BadOption) yield* fatal(error.message);
    else if (error instanceof SysError) yield* fatal(error.message.toLowerCase());
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

/** As logrus says it to a terminal and to a file. */
function* fatal(message: string): Call<void> {
  const terminal = (yield* attempt(sys('ioctl', 2, TCGETS), null)) !== null;
  yield* complain(terminal ? `FATA[0000] ${message} \n` : `time="${isoSeconds(yield* nowNs())}" level=fatal msg=${JSON.stringify(message)}\n`);
}

function help(): string {
  const width = Math.max(...Object.keys(COMMANDS).map((n) => n.length)) + 2;
  const rows = Object.entries(COMMANDS).sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, c]) => `   ${name.padEnd(width)}${c.usage}`);
  return `NAME:\n   crictl - client for CRI\n\nUSAGE:\n   crictl [global options] command [command options] [arguments...]\n\nVERSION:\n   v1.32.0\n\nCOMMANDS:\n${rows.join('\n')}\n`;
}
