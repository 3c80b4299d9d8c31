/**
 * kubectl 1.32: a table of commands, each a row of flags and a function. It reaches the cluster only through sockets, by the
 * configuration in ~/.kube/config. Not here: edit, attach, port-forward, proxy, cp, debug, autoscale, auth, kustomize, plugins.
 */
import { type Body, compute } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { type Client, connect, err, Fatal, out } from './client.ts';
import { type Flags, on, parseFlags, UsageError } from './flags.ts';
import { help } from './help.ts';
import * as apply from './apply.ts';
import * as change from './change.ts';
import * as create from './create.ts';
import * as misc from './misc.ts';
import * as nodes from './nodes.ts';
import * as pods from './pods.ts';
import * as query from './query.ts';
import * as rollout from './rollout.ts';

/** What a Go program of 55 MB takes on the processor to start, read its configuration and its cached discovery. */
const START = 40_000_000;

interface Command {
  flags: string;
  run(client: Client, flags: Flags): Call<number>;
  /** Tries at discovery that are logged when no server answers. */
  attempts?: number;
}

const COMMANDS: Record<string, Command> = {
  get: { flags: query.GET_FLAGS, run: query.get },
  describe: { flags: query.DESCRIBE_FLAGS, run: query.describeCommand },
  events: { flags: query.EVENTS_FLAGS, run: query.events },
  wait: { flags: query.WAIT_FLAGS, run: query.wait },
  explain: { flags: query.EXPLAIN_FLAGS, run: query.explain },
  create: { flags: create.CREATE_FLAGS, run: create.create },
  run: { flags: create.RUN_FLAGS, run: create.run, attempts: 1 },
  expose: { flags: create.EXPOSE_FLAGS, run: create.expose },
  apply: { flags: apply.APPLY_FLAGS, run: apply.apply },
  diff: { flags: apply.APPLY_FLAGS, run: apply.diff },
  replace: { flags: apply.REPLACE_FLAGS, run: apply.replace },
  delete: { flags: change.DELETE_FLAGS, run: change.remove },
  patch: { flags: change.PATCH_FLAGS, run: change.patch },
  scale: { flags: change.SCALE_FLAGS, run: change.scale },
  label: { flags: change.LABEL_FLAGS, run: (c, f) => change.mark(c, f, 'labels') },
  annotate: { flags: change.LABEL_FLAGS, run: (c, f) => change.mark(c, f, 'annotations') },
  rollout: { flags: rollout.ROLLOUT_FLAGS, run: rollout.rollout },
  set: { flags: rollout.SET_FLAGS, run: rollout.set },
  cordon: { flags: nodes.CORDON_FLAGS, run: (c, f) => nodes.cordon(c, f, true) },
  uncordon: { flags: nodes.CORDON_FLAGS, run: (c, f) => nodes.cordon(c, f, false) },
  drain: { flags: nodes.DRAIN_FLAGS, run: nodes.drain },
  taint: { flags: nodes.TAINT_FLAGS, run: nodes.taint },
  logs: { flags: pods.LOGS_FLAGS, run: pods.logs },
  exec: { flags: pods.EXEC_FLAGS, run: pods.exec, attempts: 4 },
  version: { flags: misc.VERSION_FLAGS, run: misc.version },
  'cluster-info': { flags: '', run: misc.clusterInfo },
  'api-resources': { flags: misc.API_RESOURCES_FLAGS, run: misc.apiResources },
  'api-versions': { flags: '', run: misc.apiVersions },
  config: { flags: misc.CONFIG_FLAGS, run: misc.config },
  plugin: { flags: 'name-only', run: misc.plugin },
  top: { flags: 'A/all-namespaces l/selector= containers sort-by= no-headers', run: misc.top },
};

const ABSENT = ['edit', 'attach', 'port-forward', 'proxy', 'cp', 'debug', 'autoscale', 'auth', 'kustomize', 'completion', 'certificate', 'alpha'];

export function* kubectl(argv: readonly string[], env: Readonly<Record<string, string>>): Body {
  try {
    yield* compute(START);
    return yield* dispatch(argv.slice(1), env);
  } catch (error) {
    if (!(error instanceof Fatal || error instanceof UsageError)) throw error;
    yield* err(`${error.message}\n`);
    return 1;
  }
}

function* dispatch(argv: readonly string[], env: Readonly<Record<string, string>>): Call<number> {
  const [name, rest] = split(argv);
  if (name === null || name === 'help' || name === '--help') {
    yield* out(help());
    return 0;
  }
  const command = Object.hasOwn(COMMANDS, name) ? COMMANDS[name]! : null;
  if (!command) {
    if (ABSENT.includes(name)) throw new Fatal(`error: not modelled: kubectl ${name}`);
    const near = Object.keys(COMMANDS).filter((c) => distance(c, name) <= 2 || c.startsWith(name));
    throw new Fatal(`Error: unknown command "${name}" for "kubectl"${near.length > 0 ? `\n\nDid you mean this?\n${near.map((c) => `\t${c}`).join('\n')}\n` : ''}`);
  }
  const flags = parseFlags(`kubectl ${name}`, rest, command.flags);
  if (on(flags, 'help')) {
    yield* out(`Usage:\n  kubectl ${name} [flags] [options]\n\nUse "kubectl options" for a list of global command-line options (applies to all commands).\n`);
    return 0;
  }
  const client = yield* connect(env, flags);
  client.attempts = command.attempts ?? 5;
  return yield* command.run(client, flags);
}

/** The command's name, and everything else: global flags may stand before it. */
function split(argv: readonly string[]): [string | null, string[]] {
  for (let i = 0; i < argv.length; i++) {
    const arg = argv[i]!;
    if (!arg.startsWith('-')) return [arg, [...argv.slice(0, i), ...argv.slice(i + 1)]];
    if (arg === '--help' || arg === '-h') return ['help', []];
    if (/^(-n|-s|--namespace|--context|--kubeconfig|--server|--cluster|--user|--request-timeout|--as)$/.test(arg)) i++;
  }
  return [null, []];
}

function distance(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    for (let j = 1; j <= b.length; j++) next[j] = Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1));
    row = next;
  }
  return row[b.length]!;
}
