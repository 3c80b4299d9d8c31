/**
 * docker compose: docker's plugin, found by docker in its folder of plugins and run with the words after "docker". Options
 * before the command, the table of commands, help, what failures say. Source: docker/compose cmd/compose/compose.go of 2.26.
 */
import { SysError } from '../../../kernel/abi.ts';
import { type Program, sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { isTerminal } from '../docker/cli/attach.ts';
import { ApiError, type Client, Stop } from '../docker/cli/client.ts';
import { BadFlag, type Flags, parseFlags, readFlags } from '../docker/cli/flags.ts';
import { columns, flagUsages } from '../docker/cli/usage.ts';
import { TemplateError } from '../template.ts';
import { type ComposeCommand, type Context, runCompose } from './command.ts';
import { copy, downCommand, exec, images, kill, logs, pause, port, ps, restart, rm, stop, top, unpause, wait } from './commands.ts';
import { BAD_SYNTAX, ComposeError } from './document.ts';
import { build, config, ls, pull, version } from './misc.ts';
import { attach, events, push, scale, stats, watch } from './more.ts';
import type { Progress } from './progress.ts';
import { run } from './run.ts';
import { createCommand, startCommand, up } from './up.ts';

const COMMANDS: readonly ComposeCommand[] = [attach, events, push, scale, stats, watch, build, config, copy, createCommand, downCommand, exec, images, kill, logs, ls, pause, port, ps, pull, restart, rm, run, startCommand, stop, top, unpause, up, version, wait];
const BY_NAME: ReadonlyMap<string, ComposeCommand> = new Map([...COMMANDS.map((c) => [c.name, c] as const), ['convert', config] as const]);

const OPTIONS = `
      --ansi string                Control when to print ANSI control characters ("never"|"always"|"auto") (default "auto")
      --compatibility              Run compose in backward compatibility mode
      --dry-run                    Execute command in dry run mode
      --env-file stringArray       Specify an alternate environment file
  -f, --file stringArray           Compose configuration files
      --parallel int               Control max parallelism, -1 for unlimited (default -1)
      --profile stringArray        Specify a profile to enable
      --progress string            Set type of progress output (auto, tty, plain, quiet) (default "auto")
      --project-directory string   Specify an alternate working directory
                                   (default: the path of the, first specified, Compose file)
  -p, --project-name string        Project name
`;

function helpText(width: number): string {
  const rows = COMMANDS.map((c) => [c.name, c.short] as const).sort(([a], [b]) => (a < b ? -1 : 1));
  return `\nUsage:  docker compose [OPTIONS] COMMAND\n\nDefine and run multi-container applications with Docker\n\nOptions:\n${flagUsages(OPTIONS, width)}\n\nCommands:\n${rows.map(([n, d]) => `  ${n.padEnd(11)} ${d}\n`).join('')}\nRun 'docker compose COMMAND --help' for more information on a command.\n`;
}

export const compose: Program = function* (argv, env) {
  let status = 0;
  try {
    status = yield* main(argv.slice(1), env);
  } catch (error) {
    if (error instanceof ComposeError || error instanceof Stop) {
      yield* complain(`${error.message}\n`);
      status = error.status;
    } else if (error instanceof ApiError) {
      yield* complain(`Error response from daemon: ${error.message}\n`);
      status = 1;
    } else if (error instanceof TemplateError) {
      yield* complain(`${error.message}\n`);
      status = 1;
    } else if (error instanceof SysError) {
      if (error.errno !== 'EPIPE') yield* complain(`${error.message.toLowerCase()}\n`);
      status = 1;
    } else throw error;
  }
  yield* sys('exit_group', status);
  return status;
};

/** Called by docker the first word is "compose"; by itself it is not. */
function* main(argv: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  const words = argv[0] === 'compose' ? argv.slice(1) : argv;
  let flags: Flags;
  try {
    flags = parseFlags(readFlags(`${OPTIONS}  -v, --version   Show the Docker Compose version information\n  -h, --help   Print usage\n      --workdir string   x\n      --no-ansi   x\n      --verbose   x\n`), words, 'in-order');
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    throw new ComposeError(error.message, BAD_SYNTAX);
  }
  const [name, ...rest] = flags.args;
  const context = yield* contextOf(flags, env);
  // Docker itself takes -v and --version, and finds no command.
  if (name === undefined || flags.has('help') || name === 'help') {
    const about = name === 'help' ? BY_NAME.get(rest[0] ?? '') : undefined;
    if (about) return yield* runCompose(context, about, ['--help']);
    yield* print(helpText(yield* columns()));
    return 0;
  }
  if (flags.has('dry-run')) throw new ComposeError('not modelled: --dry-run');
  const command = BY_NAME.get(name);
  if (command) return yield* runCompose(context, command, rest);
  yield* print(helpText(yield* columns()));
  throw new ComposeError(`unknown docker command: ${JSON.stringify(`compose ${name}`)}`, BAD_SYNTAX);
}

const PROGRESS = ['auto', 'tty', 'plain', 'quiet'];

function* contextOf(flags: Flags, env: Readonly<Record<string, string>>): Call<Context> {
  const ansi = flags.get('ansi') ?? env.COMPOSE_ANSI ?? 'auto';
  const asked = flags.get('progress') ?? (env.COMPOSE_PROGRESS || 'auto');
  if (!PROGRESS.includes(asked)) throw new ComposeError(`unsupported --progress value ${JSON.stringify(asked)}`);
  const terminal = yield* isTerminal(2);
  const mode: Progress['mode'] = asked === 'auto' ? (ansi === 'never' || !terminal ? (ansi === 'always' && terminal ? 'tty' : 'plain') : 'tty') : (asked as Progress['mode']);
  const client: Client = { host: env.DOCKER_HOST ?? 'unix:///var/run/docker.sock', address: addressOf(env.DOCKER_HOST ?? 'unix:///var/run/docker.sock'), env };
  const profiles = flags.all('profile').flatMap((p) => p.split(','));
  return {
    client, session: { client, mode, terminal: terminal && ansi !== 'never', colour: ansi === 'always' || (ansi === 'auto' && (yield* isTerminal(1))) },
    asked: { files: flags.all('file'), profiles, envFiles: flags.all('env-file'), env, interpolate: true, ...(flags.get('project-name') ? { name: flags.get('project-name')! } : {}), ...((flags.get('project-directory') ?? flags.get('workdir')) ? { directory: (flags.get('project-directory') ?? flags.get('workdir'))! } : {}) },
  };
}

function addressOf(host: string): Client['address'] {
  const unix = /^unix:\/\/(.+)$/.exec(host);
  if (unix) return { family: 'unix', path: unix[1]! };
  const tcp = /^tcp:\/\/([\d.]+)(?::(\d+))?$/.exec(host);
  if (tcp) return { family: 'inet', address: tcp[1]!, port: Number(tcp[2] ?? 2375) };
  throw new ComposeError(`unable to parse docker host \`${host}\``);
}
