/**
 * runc(8), the OCI runtime: the command line over create.ts, exec.ts, stats.ts and state.ts. Every subcommand is a row of
 * commands.ts. Source: runc 1.1 main.go. Left out: checkpoint and restore, rootless cgroups, Intel RDT, hooks.
 */
import { SIG, SysError } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { BadOption, type Options, parseOptions, lastValue as valueIn } from '../../lib/args.ts';
import { attempt, drain, exists, fork, reap, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import { text } from '../../../sim/text.ts';
import { pidsIn } from './cgroup.ts';
import { COMMANDS, generalHelp, GLOBAL_SPEC, helpOf } from './commands.ts';
import { create, type CreateOptions, deleteCommand, enterBundle, run, startCommand } from './create.ts';
import { exec } from './exec.ts';
import { featuresText } from './features.ts';
import { init } from './init.ts';
import { fatal, Fatal, type Settings } from './log.ts';
import { exampleSpec, rootlessSpec } from './spec.ts';
import { containersIn, described, load, ownerOf, statusOf } from './state.ts';
import { events, freeze, update } from './stats.ts';

const VERSION = 'runc version 1.1.15+ds1\ncommit: 1.1.15+ds1-2+b4\nspec: 1.2.0\ngo: go1.24.4\nlibseccomp: 2.6.0\n';

/** What errors of these are prefixed with. */
const SAYS: Readonly<Record<string, string>> = { run: 'runc run failed: ', create: 'runc create failed: ', exec: 'exec failed: ' };

type Command = (settings: Settings, o: Options, words: readonly string[]) => Call<number>;

export function* runc(argv: readonly string[]): Body {
  if (argv[1] === 'init') return yield* init();
  yield* sys('rt_sigaction', SIG.PIPE, { handler: 'ignore' });
  const settings: Settings = { root: '/run/runc', systemd: false, log: null, json: false, debug: false };
  try {
    const o = options(GLOBAL_SPEC, argv.slice(1));
    settings.root = valueIn(o, 'root') ?? settings.root;
    settings.systemd = o.on.has('systemd-cgroup');
    settings.debug = o.on.has('debug');
    settings.log = valueIn(o, 'log') ?? null;
    settings.json = valueIn(o, 'log-format') === 'json';
    if (o.on.has('version')) return yield* say(VERSION);
    const [name, ...rest] = o.words;
    if (o.on.has('help') || name === undefined || ((name === 'help' || name === 'h') && rest.length === 0)) return yield* say(generalHelp());
    return yield* subcommand(settings, name === 'help' || name === 'h' ? rest[0]! : name, name === 'help' || name === 'h' ? ['--help'] : rest);
  } catch (error) {
    if (error instanceof Fatal || error instanceof SysError) {
      yield* fatal(settings, error instanceof SysError ? error.message.toLowerCase() : error.message);
      return error instanceof Fatal ? error.status : 1;
    }
    if (!(error instanceof BadOption)) throw error;
    yield* print(`Incorrect Usage. ${error.message}\n\n${generalHelp()}`);
    yield* fatal(settings, error.message);
    return 1;
  }
}

/** As Go's flag package takes and refuses them. */
function options(spec: string, argv: readonly string[]): Options {
  try {
    return parseOptions(spec, argv, 'in-order');
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    const unknown = /^(?:unrecognized )?option '-?-?([^'=]*)[^ ]*(?: is ambiguous|$)|invalid option -- '(.)'/.exec(error.message);
    const lacking = /option '--([^']*)' requires|requires an argument -- '(.)'/.exec(error.message);
    throw new BadOption(unknown ? `flag provided but not defined: -${unknown[1] ?? unknown[2]}` : lacking ? `flag needs an argument: -${lacking[1] ?? lacking[2]}` : error.message);
  }
}

function* say(what: string): Call<number> {
  yield* print(what);
  return 0;
}

function* subcommand(settings: Settings, name: string, argv: readonly string[]): Call<number> {
  const help = COMMANDS[name];
  if (!help) throw new Fatal(`No help topic for '${name}'\n`, 3);
  let o: Options;
  try {
    o = options(`${help.spec} h/help`, argv);
    for (const name of ['pids-limit', 'blkio-weight', 'preserve-fds']) {
      const given = valueIn(o, name);
      if (given !== undefined && !/^-?\d+$/.test(given)) throw new BadOption(`invalid value ${JSON.stringify(given)} for flag -${name}: parse error`);
    }
  } catch (error) {
    if (!(error instanceof BadOption)) throw error;
    yield* print(`Incorrect Usage: ${error.message}\n\n${helpOf(name)}`);
    throw new Fatal(error.message);
  }
  if (o.on.has('help')) return yield* say(helpOf(name));
  const [least, most] = help.count;
  if (o.words.length < least || o.words.length > most) {
    yield* print(`Incorrect Usage.\n\n${helpOf(name)}`);
    throw new Fatal(`runc: ${JSON.stringify(name)} requires ${least === most ? 'exactly' : 'a minimum of'} ${least} argument(s)`);
  }
  try {
    return yield* (RUN[name] ?? absent)(settings, o, o.words);
  } catch (error) {
    const status = name === 'exec' ? 255 : 1;
    const prefix = SAYS[name] ?? '';
    if (error instanceof Fatal) throw new Fatal(prefix + error.message, status);
    if (error instanceof SysError) throw new Fatal(prefix + error.message.toLowerCase(), status);
    throw error;
  }
}

// biome-ignore lint/correctness/useYield: the type of a command
function* absent(): Call<number> {
  throw new Fatal('not modelled: checkpoint and restore (CRIU)');
}

function creation(o: Options): CreateOptions {
  return {
    id: o.words[0]!, bundle: valueIn(o, 'bundle') ?? '', consoleSocket: valueIn(o, 'console-socket') ?? '', pidFile: valueIn(o, 'pid-file') ?? '',
    detach: o.on.has('detach'), keep: o.on.has('keep'),
  };
}

const RUN: Readonly<Record<string, Command>> = {
  create: (settings, o) => create(settings, creation(o)),
  run: (settings, o) => run(settings, creation(o)),
  start: (settings, _o, [id]) => startCommand(settings, id!),
  delete: (settings, o, [id]) => deleteCommand(settings, id!, o.on.has('force')),
  exec: (settings, o, [id, ...args]) =>
    exec(settings, {
      id: id!, args, consoleSocket: valueIn(o, 'console-socket') ?? '', pidFile: valueIn(o, 'pid-file') ?? '', processFile: valueIn(o, 'process') ?? '', env: o.values.get('env') ?? [],
      cwd: valueIn(o, 'cwd') ?? '', user: valueIn(o, 'user') ?? '', gids: (o.values.get('additional-gids') ?? []).map(Number), caps: o.values.get('cap') ?? [], tty: o.on.has('tty'),
      detach: o.on.has('detach'), noNewPrivs: o.on.has('no-new-privs'), ignorePaused: o.on.has('ignore-paused'),
    }),
  *state(settings, _o, [id]) {
    const { ociVersion, pid, status, bundle, rootfs, created } = yield* described(settings, yield* load(settings, id!));
    return yield* say(JSON.stringify({ ociVersion, id, pid, status, bundle, rootfs, created, owner: '' }, null, 2));
  },
  list: listCommand,
  kill: killCommand,
  ps: psCommand,
  *pause(settings, _o, [id]) {
    const saved = yield* load(settings, id!);
    const status = yield* statusOf(settings, saved);
    if (status !== 'running' && status !== 'created') throw new Fatal('container not running');
    yield* freeze(saved.cgroup, 1);
    return 0;
  },
  *resume(settings, _o, [id]) {
    const saved = yield* load(settings, id!);
    if ((yield* statusOf(settings, saved)) !== 'paused') throw new Fatal('container not paused');
    yield* freeze(saved.cgroup, 0);
    return 0;
  },
  update: (settings, o, [id]) => update(settings, id!, (name) => valueIn(o, name)),
  *events(settings, o, [id]) {
    const seconds = /^(\d+(?:\.\d+)?)(ms|s|m)?$/.exec(valueIn(o, 'interval') ?? '5s');
    if (!seconds || Number(seconds[1]) === 0) throw new Fatal('duration interval must be greater than 0');
    return yield* events(settings, id!, o.on.has('stats'), Number(seconds[1]) * { ms: 1e6, s: 1e9, m: 60e9 }[(seconds[2] ?? 's') as 's']);
  },
  *spec(_settings, o) {
    const bundle = valueIn(o, 'bundle');
    if (bundle !== undefined) yield* enterBundle(bundle);
    if (yield* exists('config.json')) throw new Fatal('File config.json exists. Remove it first');
    yield* writeFile('config.json', JSON.stringify(o.on.has('rootless') ? rootlessSpec(yield* sys('geteuid'), yield* sys('getegid')) : exampleSpec(), null, '\t'), 0o666);
    return 0;
  },
  features: () => say(featuresText()),
};

function* listCommand(settings: Settings, o: Options): Call<number> {
  const all = yield* containersIn(settings);
  if (o.on.has('quiet')) return yield* say(all.map((c) => `${c.id}\n`).join(''));
  const rows = [];
  for (const saved of all) rows.push({ ...(yield* described(settings, saved)), owner: yield* ownerOf(settings, saved.id) });
  const format = valueIn(o, 'format') ?? 'table';
  if (format === 'json') return yield* say(`${rows.length === 0 ? 'null' : JSON.stringify(rows)}\n`);
  if (format !== 'table') throw new Fatal('invalid format option');
  const lines = ['ID\tPID\tSTATUS\tBUNDLE\tCREATED\tOWNER', ...rows.map((r) => [r.id, r.pid, r.status, r.bundle, r.created, r.owner].join('\t'))];
  return yield* say(`${tabulate(lines.join('\n'), 12, 3)}\n`);
}

/** A signal by number or name, with or without SIG. */
function signalOf(word: string): number {
  if (/^\d+$/.test(word)) return Number(word);
  const found = SIG[word.toUpperCase().replace(/^SIG/, '') as keyof typeof SIG] as number | undefined;
  if (found === undefined) throw new Fatal(`unknown signal ${JSON.stringify(word)}`);
  return found;
}

function* killCommand(settings: Settings, o: Options, [id, word]: readonly string[]): Call<number> {
  const saved = yield* load(settings, id!);
  const signal = signalOf(word ?? 'SIGTERM');
  if ((yield* statusOf(settings, saved)) === 'stopped') {
    if (!o.on.has('all')) throw new Fatal('container not running');
  }
  if (o.on.has('all')) for (const pid of yield* pidsIn(saved.cgroup)) yield* attempt(sys('kill', pid, signal), 0);
  else {
    try {
      yield* sys('kill', saved.initPid, signal);
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      throw new Fatal(`unable to signal init: ${error.message.toLowerCase()}`);
    }
  }
  return 0;
}

/** Runs ps(1) and shows its lines of processes in the container's cgroup. */
function* psCommand(settings: Settings, o: Options, [id, ...rest]: readonly string[]): Call<number> {
  const saved = yield* load(settings, id!);
  const format = valueIn(o, 'format') ?? 'table';
  if (format !== 'json' && format !== 'table') throw new Fatal('invalid format option');
  const pids = yield* pidsIn(saved.cgroup);
  if (format === 'json') return yield* say(`${JSON.stringify(pids)}\n`);
  const [from, to] = yield* sys('pipe2', 0);
  const child = yield* fork(function* () {
    yield* sys('dup3', to, 1, 0);
    yield* sys('close', to);
    yield* sys('close', from);
    yield* sys('rt_sigaction', SIG.PIPE, { handler: 'default' });
    yield* sys('execve', '/usr/bin/ps', ['ps', ...(rest.length > 0 ? rest : ['-ef'])], { PATH: '/usr/bin:/bin' });
    return 127;
  });
  yield* sys('close', to);
  const lines = text(yield* drain(from)).split('\n').filter((l) => l !== '');
  yield* sys('close', from);
  yield* reap(child);
  const column = (lines[0] ?? '').trim().split(/\s+/).indexOf('PID');
  if (column < 0) throw new Fatal("couldn't find PID field in ps output");
  const mine = lines.slice(1).filter((l) => pids.includes(Number(l.trim().split(/\s+/)[column])));
  return yield* say([lines[0], ...mine].map((l) => `${l}\n`).join(''));
}
