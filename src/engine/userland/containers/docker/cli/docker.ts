/** The docker command: options before the command, the table of commands, help. Source: docker/cli cmd/docker. */
import type { Program } from '../../../../kernel/sys.ts';
import { SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { isDir, statOf } from '../../../lib/files.ts';
import type { Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { BUILD } from '../version.ts';
import { build, builder } from './build.ts';
import { ApiError, type Client, Stop } from './client.ts';
import { type Command, runCommand } from './command.ts';
import { diff, logs, port, ps, rename, simple, top } from './containers.ts';
import { cp } from './copy.ts';
import { BadFlag, type Flags, parseFlags, readFlags } from './flags.ts';
import { commit, exportCommand, history, images, importCommand, load, rmi, saveCommand, tag } from './images.ts';
import { GLOBAL_OPTIONS, HELP, MANAGEMENT } from './help.ts';
import { containerInspect, imageInspect, inspect, networks, volumes } from './objects.ts';
import { manifestInspect } from './manifest.ts';
import { pull, push } from './pull.ts';
import { attach, createCommand, exec, run, start } from './run.ts';
import { stats } from './stats.ts';
import { df, prunes } from './reclaim.ts';
import { login, logout } from './login.ts';
import { contextInspect, contextLs, contextShow, contextUse } from './contexts.ts';
import { events, info, search, version } from './system.ts';
import { TemplateError } from '../../template.ts';

const COMMANDS: readonly Command[] = [
  run,
  createCommand,
  start,
  attach,
  exec,
  ps,
  ...simple,
  rename,
  top,
  port,
  diff,
  logs,
  cp,
  stats,
  inspect,
  containerInspect,
  images,
  imageInspect,
  history,
  tag,
  rmi,
  load,
  saveCommand,
  exportCommand,
  importCommand,
  commit,
  pull,
  push,
  manifestInspect,
  build,
  ...builder,
  ...networks,
  ...volumes,
  version,
  info,
  events,
  df,
  ...prunes,
  login, logout, contextInspect, contextLs, contextShow, contextUse,
  search,
];

const BY_NAME: ReadonlyMap<string, Command> = new Map(COMMANDS.flatMap((c) => c.names.map((n) => [n, c] as const)));

/** Commands that are part of docker, or of its plugins, and have no mechanism here. */
const ABSENT: Readonly<Record<string, string>> = {
  swarm: 'docker swarm',
  stack: 'docker stack',
  service: 'docker service',
  node: 'docker node',
  secret: 'docker secret',
  config: 'docker config',
  plugin: 'docker plugin',
  trust: 'docker trust',
  checkpoint: 'docker checkpoint',
};

const DEFAULT_HOST = 'unix:///var/run/docker.sock';

export const docker: Program = function* (argv, env) {
  try {
    return yield* main(argv.slice(1), env);
  } catch (error) {
    if (error instanceof Stop) yield* complain(`${error.message}\n`);
    else if (error instanceof ApiError) yield* complain(`Error response from daemon: ${error.message}\n`);
    else if (error instanceof TemplateError) yield* complain(`${error.message}\n`);
    else if (error instanceof SysError) {
      if (error.errno === 'EPIPE') return 1;
      yield* complain(`${error.message.toLowerCase()}\n`);
    } else throw error;
    const status = error instanceof Stop ? error.status : 1;
    yield* sys('exit_group', status);
    return status;
  }
};

function* main(argv: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  let globals: Flags;
  try {
    globals = parseFlags(readFlags(GLOBAL_OPTIONS), argv, 'in-order');
  } catch (error) {
    if (!(error instanceof BadFlag)) throw error;
    yield* complain(`${error.message}\nSee 'docker --help'.\n${HELP}\n`);
    return 125;
  }
  const words = globals.args;
  if (globals.has('version')) {
    yield* print(`Docker version ${BUILD.version}, build ${BUILD.cliCommit}\n`);
    return 0;
  }
  if (globals.has('help') || words[0] === 'help') return yield* help(words[0] === 'help' ? words.slice(1) : words);
  if (words.length === 0) {
    yield* complain(HELP);
    return 0;
  }
  const host = globals.get('host') ?? env.DOCKER_HOST ?? DEFAULT_HOST;
  const client: Client = { host, address: addressOf(host), env };
  const code = yield* dispatch(client, words);
  yield* sys('exit_group', code);
  return code;
}

/** Help leaves out what only a swarm has; a word that is no command shows all. */
const withoutSwarm = (group: string): string => group.replace(/^ .*\(cluster volumes only\)\n/m, '');

function* dispatch(client: Client, words: readonly string[]): Call<number> {
  const [first, second] = words as [string, string | undefined];
  const group = MANAGEMENT[first];
  if (group) {
    const command = second === undefined ? undefined : BY_NAME.get(`${first} ${second}`);
    if (command) return yield* runCommand(client, command, `${first} ${second}`, words.slice(2));
    if (second === undefined) {
      yield* (/^build/.test(first) ? print : complain)(withoutSwarm(group));
      return 0;
    }
    if (second === '--help' || second === '-h') {
      yield* print(withoutSwarm(group));
      return 0;
    }
    if (second.startsWith('-')) throw new Stop(`unknown flag: ${second}\nSee 'docker ${first} --help'.\n${group.trimEnd()}`, 125);
    if (group.includes(`\n  ${second} `)) throw new Stop(`not modelled: docker ${first} ${second}`);
    throw new Stop(group.trimEnd());
  }
  const command = BY_NAME.get(first);
  if (command) return yield* runCommand(client, command, first, words.slice(1));
  yield* plugin(client, words);
  if (ABSENT[first]) throw new Stop(`not modelled: ${ABSENT[first]}`);
  throw new Stop(`docker: '${first}' is not a docker command.\nSee 'docker --help'`);
}

const PLUGIN_DIRS = ['/usr/local/lib/docker/cli-plugins', '/usr/local/libexec/docker/cli-plugins', '/usr/lib/docker/cli-plugins', '/usr/libexec/docker/cli-plugins'];

/** Becomes the plugin of that name, if there is one that can be run. */
function* plugin(client: Client, words: readonly string[]): Call<void> {
  if (!/^[a-z][a-z0-9]*$/.test(words[0]!)) return;
  for (const dir of [`${client.env.HOME ?? ''}/.docker/cli-plugins`, ...PLUGIN_DIRS]) {
    const path = `${dir}/docker-${words[0]}`;
    const stat = yield* statOf(path);
    if (stat && !isDir(stat) && (stat.mode & 0o111) !== 0) yield* sys('execve', path, [path, ...words], { ...client.env, DOCKER_HOST: client.host });
  }
}

function* help(words: readonly string[]): Call<number> {
  const name = words.slice(0, MANAGEMENT[words[0] ?? ''] ? 2 : 1).join(' ');
  const command = BY_NAME.get(name);
  if (command) return yield* runCommand({ host: '', address: addressOf(DEFAULT_HOST), env: {} }, command, name, ['--help']);
  if (MANAGEMENT[name]) yield* print(MANAGEMENT[name]);
  else if (name === '') yield* print(HELP);
  else throw new Stop(`docker: '${name}' is not a docker command.\nSee 'docker --help'`);
  return 0;
}

function addressOf(host: string): Client['address'] {
  const unix = /^unix:\/\/(.+)$/.exec(host);
  if (unix) return { family: 'unix', path: unix[1]! };
  const tcp = /^tcp:\/\/([\d.]+)(?::(\d+))?$/.exec(host);
  if (tcp) return { family: 'inet', address: tcp[1]!, port: Number(tcp[2] ?? 2375) };
  throw new Stop(`unable to parse docker host \`${host}\``);
}
