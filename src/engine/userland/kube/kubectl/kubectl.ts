/**
 * kubectl 1.32: a table of commands, each a row of flags and a function; some have commands of their own below them. It reaches
 * the cluster only through sockets, by the configuration in ~/.kube/config. Not here: plugins, certificates.
 */
import { type Body, compute } from '../../../kernel/sys.ts';
import { SysError } from '../../../kernel/abi.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, connect, err, Fatal, out } from './client.ts';
import { type Flags, on, parseFlags, positions, UsageError } from './flags.ts';
import { commandHelp, help, listed, options } from './help.ts';
import * as access from './access.ts';
import * as apply from './apply.ts';
import * as attach from './attach.ts';
import * as change from './change.ts';
import * as config from './config.ts';
import * as copy from './copy.ts';
import * as create from './create.ts';
import * as debug from './debug.ts';
import { DRAIN_FLAGS, drain } from './drain.ts';
import * as edit from './edit.ts';
import * as events from './events.ts';
import * as explain from './explain.ts';
import * as forward from './forward.ts';
import * as kustomize from './kustomize.ts';
import * as misc from './misc.ts';
import * as nodes from './nodes.ts';
import * as pods from './pods.ts';
import * as query from './query.ts';
import * as rollout from './rollout.ts';
import * as run from './run.ts';
import * as set from './set.ts';
import * as top from './top.ts';
import * as wait from './wait.ts';
import { editDistance } from '../../lib/nearest.ts';

/** What a Go program of 55 MB takes on the processor to start, read its configuration and its cached discovery. */
const START = 150_000_000;

interface Command {
  flags: string;
  run(client: Client, flags: Flags): Call<number>;
  /** Tries at discovery that are logged when no server answers. */
  attempts?: number;
  /** Flags of what stands below it, "secret generic"; with `group` there is nothing else. */
  subs?: Readonly<Record<string, string>>;
  aliases?: Readonly<Record<string, string>>;
  group?: true;
}

const COMMANDS: Record<string, Command> = {
  get: { flags: query.GET_FLAGS, run: query.get },
  describe: { flags: query.DESCRIBE_FLAGS, run: query.describeCommand },
  events: { flags: events.EVENTS_FLAGS, run: events.events },
  wait: { flags: wait.WAIT_FLAGS, run: wait.wait },
  explain: { flags: explain.EXPLAIN_FLAGS, run: explain.explain },
  create: { flags: create.CREATE_FLAGS, run: create.create, subs: create.CREATE_SUBS, aliases: create.CREATE_ALIASES },
  run: { flags: run.RUN_FLAGS, run: run.run, attempts: 1 },
  expose: { flags: run.EXPOSE_FLAGS, run: run.expose },
  autoscale: { flags: run.AUTOSCALE_FLAGS, run: run.autoscale },
  apply: { flags: apply.APPLY_FLAGS, run: apply.apply, subs: apply.APPLY_SUBS },
  diff: { flags: apply.DIFF_FLAGS, run: apply.diff },
  replace: { flags: apply.REPLACE_FLAGS, run: apply.replace },
  edit: { flags: edit.EDIT_FLAGS, run: edit.edit },
  delete: { flags: change.DELETE_FLAGS, run: change.remove },
  patch: { flags: change.PATCH_FLAGS, run: change.patch },
  scale: { flags: change.SCALE_FLAGS, run: change.scale },
  label: { flags: change.LABEL_FLAGS, run: (c, f) => change.mark(c, f, 'labels') },
  annotate: { flags: change.LABEL_FLAGS, run: (c, f) => change.mark(c, f, 'annotations') },
  rollout: { flags: '', run: rollout.rollout, subs: rollout.ROLLOUT_SUBS, group: true },
  set: { flags: '', run: set.set, subs: set.SET_SUBS, aliases: { res: 'resources', sa: 'serviceaccount' }, group: true },
  cordon: { flags: nodes.CORDON_FLAGS, run: (c, f) => nodes.cordon(c, f, true) },
  uncordon: { flags: nodes.CORDON_FLAGS, run: (c, f) => nodes.cordon(c, f, false) },
  drain: { flags: DRAIN_FLAGS, run: drain },
  taint: { flags: nodes.TAINT_FLAGS, run: nodes.taint },
  logs: { flags: pods.LOGS_FLAGS, run: pods.logs },
  exec: { flags: pods.EXEC_FLAGS, run: pods.exec, attempts: 4 },
  attach: { flags: attach.ATTACH_FLAGS, run: attach.attach, attempts: 4 },
  cp: { flags: copy.CP_FLAGS, run: copy.cp, attempts: 4 },
  'port-forward': { flags: forward.FORWARD_FLAGS, run: forward.portForward, attempts: 4 },
  proxy: { flags: forward.PROXY_FLAGS, run: forward.proxy },
  debug: { flags: debug.DEBUG_FLAGS, run: debug.debug },
  version: { flags: misc.VERSION_FLAGS, run: misc.version },
  'cluster-info': { flags: '', run: misc.clusterInfo, subs: { dump: misc.DUMP_FLAGS } },
  'api-resources': { flags: misc.API_RESOURCES_FLAGS, run: misc.apiResources },
  'api-versions': { flags: '', run: misc.apiVersions },
  config: { flags: '', run: config.config, subs: config.CONFIG_SUBS, aliases: { use: 'use-context' }, group: true },
  auth: { flags: '', run: access.auth, subs: access.AUTH_SUBS, group: true },
  kustomize: { flags: kustomize.KUSTOMIZE_FLAGS, run: kustomize.kustomize },
  plugin: { flags: '', run: misc.plugin, subs: { list: 'name-only' }, group: true },
  completion: { flags: '', run: misc.completion },
  top: { flags: '', run: top.top, subs: { node: top.NODE_FLAGS, pod: top.POD_FLAGS }, aliases: { nodes: 'node', no: 'node', pods: 'pod', po: 'pod' }, group: true },
  certificate: { flags: '', run: misc.certificate, subs: { approve: '', deny: '' }, group: true },
};

export function* kubectl(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  try {
    yield* compute(START);
    return yield* dispatch(argv.slice(1), env);
  } catch (error) {
    if (error instanceof SysError && error.errno === 'EPIPE') return 1;
    if (error instanceof SysError) {
      yield* err(`error: ${error.message.toLowerCase()}\n`);
      return 1;
    }
    if (!(error instanceof Fatal || error instanceof UsageError)) throw error;
    if (error.message !== '') yield* err(`${error.message}\n`);
    return error instanceof Fatal ? error.status : 1;
  }
}

function* dispatch(argv: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  const at = positions(argv, '')[0];
  const name = at === undefined ? null : argv[at]!;
  if (name === null) parseFlags('kubectl', argv, '');
  if (name === null || name === 'help') {
    const about = name === 'help' && at !== undefined ? argv.slice(at + 1).filter((a) => !a.startsWith('-')) : [];
    if (about.length > 0 && !COMMANDS[about[0]!]) throw new Fatal(`Unknown help topic [\`${about.join('` `')}\`]`);
    yield* out(about.length > 0 ? commandHelp(about.slice(0, 2).join(' '), rowOf(about)) : help());
    return 0;
  }
  if (name === 'options') {
    yield* out(options());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : null;
  if (!command) {
    if (name.startsWith('-')) throw new UsageError(`Error: unknown flag: ${name}\nSee 'kubectl --help' for usage.`);
    const near = listed().filter((c) => editDistance(c, name.toLowerCase()) <= 2 || c.startsWith(name.toLowerCase()));
    throw new Fatal(`Error: unknown command "${name}" for "kubectl"${near.length > 0 ? `\n\nDid you mean this?\n${near.map((c) => `\t${c}`).join('\n')}\n` : ''}`);
  }
  return yield* start(name, command, [...argv.slice(0, at), ...argv.slice(at! + 1)], env);
}

function* start(name: string, command: Command, rest: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  const below = subOf(command, rest);
  const row = below === null ? command.flags : command.subs![below]!;
  const full = `kubectl ${name}${below === null ? '' : ` ${below}`}`;
  const flags = parseFlags(full, rest, row);
  if (on(flags, 'help')) {
    yield* out(commandHelp(full.slice(8), row));
    return 0;
  }
  const grouped = command.group || (name === 'create' && ['secret', 'service', 'svc'].includes(flags.args[0] ?? ''));
  if (below === null && grouped) {
    const path = command.group ? full : `${full} ${flags.args[0] === 'svc' ? 'service' : flags.args[0]}`;
    const args = command.group ? flags.args : flags.args.slice(1);
    if (args.length > 0) throw new Fatal(`error: unknown command ${JSON.stringify(args.join(' '))}\nSee '${path} -h' for help and examples`);
    yield* out(commandHelp(path.slice(8), command.group ? row : ''));
    return 1;
  }
  if (below !== null && command.aliases?.[flags.args[0]!]) flags.args[0] = command.aliases[flags.args[0]!]!;
  const client = yield* connect(env, flags);
  client.attempts = command.attempts ?? 5;
  return yield* command.run(client, flags);
}

/** Which of the commands below one is meant by the words that are no flags. */
function subOf(command: Command, rest: readonly string[]): string | null {
  if (!command.subs) return null;
  const every = `${command.flags} ${Object.values(command.subs).join(' ')}`;
  const words = positions(rest, every).map((i) => rest[i]!);
  const first = command.aliases?.[words[0] ?? ''] ?? words[0] ?? '';
  for (const key of [`${first} ${words[1] ?? ''}`, first]) if (Object.hasOwn(command.subs, key)) return key;
  return null;
}

function rowOf(words: readonly string[]): string {
  const command = COMMANDS[words[0]!]!;
  return command.subs?.[words.slice(1, 3).join(' ')] ?? command.subs?.[words[1] ?? ''] ?? command.flags;
}

/** Every command with its flags, for those who try them all. */
export const COMMAND_FLAGS: readonly (readonly [string, string])[] = Object.entries(COMMANDS).flatMap(([name, c]) => [[name, c.flags] as const, ...Object.entries(c.subs ?? {}).map(([sub, row]) => [`${name} ${sub}`, row] as const)]);

