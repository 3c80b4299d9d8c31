/** docker run, create, start, attach, exec: the commands that join a container's streams. Source: docker/cli container/*.go. */
import { AT_FDCWD, O_CREAT, O_EXCL, O_WRONLY, SysError } from '../../../../kernel/abi.ts';
import { sys } from '../../../../kernel/sys.ts';
import { attempt, exists } from '../../../lib/files.ts';
import { type Call, type Stream, writeAll } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { bytes } from '../../../../sim/text.ts';
import { parseReference } from '../../oci.ts';
import { converse, detachKeys, followSize, isTerminal, proxySignals } from './attach.ts';
import { type Any, api, ApiError, type Client, connect, lines, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';
import { pullTo } from './pull.ts';
import { CREATE_OPTIONS, createBody, environment } from './runflags.ts';

const DEFAULT_KEYS = 'ctrl-p,ctrl-q';

const RUN_OPTIONS = CREATE_OPTIONS.replace(
  '      --device list',
  '  -d, --detach                           Run container in background and print container ID\n      --detach-keys string               Override the key sequence for detaching a container\n      --device list',
).replace('before creating ("always", "|missing"', 'before running ("always", "missing"').replace(
  '      --stop-signal',
  '      --sig-proxy                        Proxy received signals to the process (default true)\n      --stop-signal',
);

export const run: Command = {
  names: ['run', 'container run'],
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  short: 'Create and run a new container from an image',
  options: RUN_OPTIONS,
  args: [1, -1],
  inOrder: true,
  *run(client, flags) {
    const fail = refusal('run');
    const attached = !flags.has('detach');
    if (!attached && flags.on.has('attach'))
      throw new Stop('Conflicting options: -a and -d', 1);
    const made = yield* create(client, flags, 'run');
    if (typeof made === 'number') return made;
    const { id, body } = made;
    if (!attached) return yield* startDetached(client, id);
    const joined = yield* join(client, id, flags, {
      tty: body.Tty,
      stdin: body.AttachStdin,
      stdout: body.AttachStdout,
      stderr: body.AttachStderr,
    });
    const waiting = yield* stream(client, 'POST', `/containers/${id}/wait`, {
      query: { condition: body.HostConfig.AutoRemove ? 'removed' : 'next-exit' },
    });
    try {
      yield* api(client, 'POST', `/containers/${id}/start`);
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      yield* attempt(joined.stream.close(), undefined);
      if (body.HostConfig.AutoRemove) yield* statusOf(waiting);
      yield* fail(`Error response from daemon: ${error.message}`, 'plain');
      return startStatus(error.message);
    }
    if (body.Tty) yield* followSize(client, `/containers/${id}`);
    else if (flags.get('sig-proxy') !== 'false') yield* proxySignals(client, id);
    if ((yield* converse(joined)) === 'detached') return 0;
    return yield* statusOf(waiting);
  },
};

function* startDetached(client: Client, id: string): Call<number> {
  try {
    yield* api(client, 'POST', `/containers/${id}/start`);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    yield* print(`${id}\n`);
    yield* refusal('run')(`Error response from daemon: ${error.message}`, 'plain');
    return startStatus(error.message);
  }
  yield* print(`${id}\n`);
  return 0;
}

export const createCommand: Command = {
  names: ['create', 'container create'],
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  short: 'Create a new container',
  options: CREATE_OPTIONS,
  args: [1, -1],
  inOrder: true,
  *run(client, flags) {
    const made = yield* create(client, flags, 'create');
    if (typeof made === 'number') return made;
    yield* print(`${made.id}\n`);
    return 0;
  },
};

/** "docker: MESSAGE." and, asked to, where help is; docker's own failures are 125. */
function refusal(command: 'run' | 'create') {
  return function* (message: string, help: 'help' | 'plain'): Call<number> {
    yield* complain(`docker: ${message.replace(/\.$/, '')}.\n${help === 'help' ? `See 'docker ${command} --help'.\n` : ''}`);
    return 125;
  };
}

function startStatus(message: string): number {
  if (/executable file not found|no such file or directory|system cannot find the file specified/.test(message)) return 127;
  return /permission denied|is a directory/i.test(message) ? 126 : 125;
}

const SYSTEMS = /^(?:aix|android|darwin|dragonfly|freebsd|illumos|ios|js|linux|macos|netbsd|openbsd|plan9|solaris|windows|zos)$/i;
const PROCESSORS = /^(?:386|i386|amd64|x86_64|x86-64|arm|armhf|armel|arm64|aarch64|loong64|mips|mipsle|mips64|mips64le|ppc64|ppc64le|riscv|riscv64|s390|s390x|sparc|sparc64|wasm)$/i;

/** What is wrong with a --platform, or null. Source: containerd platforms.Parse. */
function platformFault(text: string): string | null {
  const parts = text.split('/');
  if (text === '') return null;
  const bad = parts.find((p) => !/^[\w-]+$/.test(p));
  if (bad !== undefined) return `${JSON.stringify(bad)} is an invalid component of ${JSON.stringify(text)}: platform specifier component must match "^[A-Za-z0-9_-]+$": invalid argument`;
  if (parts.length > 3) return `${JSON.stringify(text)}: cannot parse platform specifier: invalid argument`;
  return parts.length === 1 && !SYSTEMS.test(text) && !PROCESSORS.test(text) ? `${JSON.stringify(text)}: unknown operating system or architecture: invalid argument` : null;
}

/** Creates the container, its image fetched if need be; a number is the exit status of a failure already told. */
function* create(client: Client, flags: Flags, command: 'run' | 'create'): Call<{ id: string; body: Any } | number> {
  const fail = refusal(command);
  let body: Any;
  try {
    ({ body } = yield* createBody(client, flags));
  } catch (error) {
    if (!(error instanceof Stop)) throw error;
    if (error.status === 125) throw new Stop(`${error.message}\nSee 'docker ${command} --help'.`, 125);
    return yield* fail(error.message, 'help');
  }
  const platform = platformFault(flags.get('platform') ?? '');
  if (platform !== null) return yield* fail(`error parsing specified platform: ${platform}`, 'help');
  const pull = flags.get('pull') ?? 'missing';
  if (!['always', 'missing', 'never'].includes(pull))
    return yield* fail(`invalid pull option: '${pull}': must be one of "always", "missing" or "never"`, 'help');
  const noTty = body.Tty && body.AttachStdin && !flags.has('detach') && command === 'run' && !(yield* isTerminal(0));
  if (noTty) throw new Stop('the input device is not a TTY');
  if (body.HostConfig.AutoRemove && body.HostConfig.RestartPolicy.Name !== 'no')
    return yield* fail('Conflicting options: --restart and --rm', 'help');
  // What comes now docker create tells without docker's name before it.
  const late = function* (message: string): Call<number> {
    if (command === 'create') throw new Stop(message);
    return yield* fail(message, 'help');
  };
  const cidfile = flags.get('cidfile');
  if (cidfile && (yield* exists(cidfile))) return yield* late(`container ID file found, make sure the other container isn't running or delete ${cidfile}`);
  const unwritable = cidfile ? yield* cidFault(cidfile) : null;
  if (unwritable !== null) return yield* late(`failed to create the container ID file: open ${cidfile}: ${unwritable}`);
  if (body.HostConfig.OomKillDisable && body.HostConfig.Memory === 0)
    yield* complain("WARNING: Disabling the OOM killer on containers without setting a '-m/--memory' limit may be dangerous.\n");
  for (const server of body.HostConfig.Dns) {
    if (/^(?:127\.|::1$)/.test(server)) yield* complain(`WARNING: Localhost DNS setting (--dns=${server}) may fail in containers.\n`);
  }
  const reference = parseReference(body.Image);
  const byId = /^(sha256:)?[0-9a-f]{64}$/.test(body.Image);
  if ('error' in reference && !byId) return yield* late(reference.error);
  try {
    if (pull === 'always') yield* pullTo(client, body.Image, 2, flags.has('quiet'));
    const id = yield* post(client, flags, body, pull === 'missing');
    if (cidfile) yield* writeCid(cidfile, id);
    return { id, body };
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return yield* late(`Error response from daemon: ${error.message}`);
  }
}

function* post(client: Client, flags: Flags, body: Any, mayPull: boolean): Call<string> {
  const query = { name: flags.get('name'), platform: flags.get('platform') };
  try {
    const made = yield* api(client, 'POST', '/containers/create', { query, body });
    for (const warning of made.Warnings ?? []) yield* complain(`WARNING: ${warning}\n`);
    return made.Id;
  } catch (error) {
    // Whatever is not found is taken to be the image.
    if (!(error instanceof ApiError) || error.status !== 404 || !mayPull) throw error;
    const parsed = parseReference(body.Image);
    const shown = 'error' in parsed ? body.Image : parsed.digest ? body.Image : `${parsed.name}:${parsed.tag}`;
    yield* complain(`Unable to find image '${shown}' locally\n`);
    yield* pullTo(client, body.Image, 2, flags.has('quiet'));
    return (yield* api(client, 'POST', '/containers/create', { query, body })).Id;
  }
}

/** Why the file of the id cannot be made, or null. */
function* cidFault(path: string): Call<string | null> {
  try {
    yield* sys('close', yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o644));
    yield* sys('unlinkat', AT_FDCWD, path, 0);
    return null;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return error.message.toLowerCase();
  }
}

function* writeCid(path: string, id: string): Call<void> {
  const fd = yield* sys('openat', AT_FDCWD, path, O_WRONLY | O_CREAT | O_EXCL, 0o644);
  yield* writeAll(fd, bytes(id));
  yield* sys('close', fd);
}

interface Wanted {
  tty: boolean;
  stdin: boolean;
  stdout: boolean;
  stderr: boolean;
  logs?: boolean;
}

function* join(client: Client, id: string, flags: Flags, want: Wanted) {
  const keys = flags.get('detach-keys') ?? DEFAULT_KEYS;
  const flag = (on: boolean): string | undefined => (on ? '1' : undefined);
  const opened = yield* connect(client, `/containers/${id}/attach`, {
    query: { stream: '1', stdin: flag(want.stdin), stdout: flag(want.stdout), stderr: flag(want.stderr), logs: flag(want.logs ?? false), detachKeys: flags.get('detach-keys') },
  });
  return { ...opened, tty: want.tty, stdin: want.stdin, detachKeys: detachKeys(keys) };
}

function* statusOf(waiting: Stream): Call<number> {
  let status = 125;
  yield* lines(waiting, function* (answer) {
    if (answer.Error?.Message) yield* complain(`Error waiting for container: ${answer.Error.Message}\n`);
    else status = answer.StatusCode;
  });
  yield* attempt(waiting.close(), undefined);
  return status;
}

export const start: Command = {
  names: ['start', 'container start'],
  usage: '[OPTIONS] CONTAINER [CONTAINER...]',
  short: 'Start one or more stopped containers',
  args: [1, -1],
  options: `
  -a, --attach               Attach STDOUT/STDERR and forward signals
      --detach-keys string   Override the key sequence for detaching a container
  -i, --interactive          Attach container's STDIN
`,
  *run(client, flags) {
    if (flags.has('attach') || flags.has('interactive')) return yield* startAttached(client, flags);
    const failed: string[] = [];
    for (const name of flags.args) {
      try {
        yield* api(client, 'POST', `/containers/${encodeURIComponent(name)}/start`);
        yield* print(`${name}\n`);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        yield* complain(`Error response from daemon: ${error.message}\n`);
        failed.push(name);
      }
    }
    if (failed.length > 0) throw new Stop(`Error: failed to start containers: ${failed.join(', ')}`);
    return 0;
  },
};

function* startAttached(client: Client, flags: Flags): Call<number> {
  if (flags.args.length > 1) throw new Stop('you cannot start and attach multiple containers at once');
  const info = yield* api(client, 'GET', `/containers/${encodeURIComponent(flags.args[0]!)}/json`);
  const tty: boolean = info.Config.Tty;
  const stdin = flags.has('interactive') && info.Config.OpenStdin;
  if (tty && stdin && !(yield* isTerminal(0))) throw new Stop('the input device is not a TTY');
  const joined = yield* join(client, info.Id, flags, { tty, stdin, stdout: true, stderr: true });
  const waiting = yield* stream(client, 'POST', `/containers/${info.Id}/wait`, {
    query: { condition: info.HostConfig.AutoRemove ? 'removed' : 'next-exit' },
  });
  yield* api(client, 'POST', `/containers/${info.Id}/start`);
  if (tty) yield* followSize(client, `/containers/${info.Id}`);
  else yield* proxySignals(client, info.Id);
  if ((yield* converse(joined)) === 'detached') return 0;
  return yield* statusOf(waiting);
}

/** What inspect says of a container that runs. Asked again once attached, as one that ended in between would tell nothing. Throws Stop. */
function* attachable(client: Client, name: string): Call<Any> {
  const info = yield* api(client, 'GET', `/containers/${encodeURIComponent(name)}/json`);
  if (!info.State.Running) throw new Stop('You cannot attach to a stopped container, start it first');
  if (info.State.Paused) throw new Stop('You cannot attach to a paused container, unpause it first');
  if (info.State.Restarting) throw new Stop('You cannot attach to a restarting container, wait until it is running');
  return info;
}

export const attach: Command = {
  names: ['attach', 'container attach'],
  usage: '[OPTIONS] CONTAINER',
  short: 'Attach local standard input, output, and error streams to a running container',
  args: [1, 1],
  options: `
      --detach-keys string   Override the key sequence for detaching a container
      --no-stdin             Do not attach STDIN
      --sig-proxy            Proxy all received signals to the process (default true)
`,
  *run(client, flags) {
    const info = yield* attachable(client, flags.args[0]!);
    const stdin = !flags.has('no-stdin') && info.Config.OpenStdin;
    if (info.Config.Tty && stdin && !(yield* isTerminal(0))) throw new Stop('the input device is not a TTY');
    const waiting = yield* stream(client, 'POST', `/containers/${info.Id}/wait`, { query: { condition: 'not-running' } });
    const joined = yield* join(client, info.Id, flags, { tty: info.Config.Tty, stdin, stdout: true, stderr: true });
    yield* attachable(client, info.Id);
    if (info.Config.Tty) yield* followSize(client, `/containers/${info.Id}`);
    else if (flags.get('sig-proxy') !== 'false') yield* proxySignals(client, info.Id);
    if ((yield* converse(joined)) === 'detached') throw new Stop('read escape sequence');
    return yield* statusOf(waiting);
  },
};

export const exec: Command = {
  names: ['exec', 'container exec'],
  usage: '[OPTIONS] CONTAINER COMMAND [ARG...]',
  short: 'Execute a command in a running container',
  args: [2, -1],
  inOrder: true,
  options: `
  -d, --detach               Detached mode: run command in the background
      --detach-keys string   Override the key sequence for detaching a container
  -e, --env list             Set environment variables
      --env-file list        Read in a file of environment variables
  -i, --interactive          Keep STDIN open even if not attached
      --privileged           Give extended privileges to the command
  -t, --tty                  Allocate a pseudo-TTY
  -u, --user string          Username or UID (format: "<name|uid>[:<group|gid>]")
  -w, --workdir string       Working directory inside the container
`,
  *run(client, flags) {
    const [name, ...cmd] = flags.args as [string, ...string[]];
    const env = yield* environment(client, flags);
    const detach = flags.has('detach');
    const tty = flags.has('tty');
    const stdin = flags.has('interactive') && !detach;
    yield* api(client, 'GET', `/containers/${encodeURIComponent(name)}/json`);
    if (tty && stdin && !(yield* isTerminal(0))) throw new Stop('the input device is not a TTY');
    const made = yield* api(client, 'POST', `/containers/${encodeURIComponent(name)}/exec`, {
      body: {
        User: flags.get('user') ?? '',
        Privileged: flags.has('privileged'),
        Tty: tty,
        AttachStdin: stdin,
        AttachStdout: !detach,
        AttachStderr: !detach,
        Detach: detach,
        DetachKeys: flags.get('detach-keys') ?? '',
        Env: env,
        WorkingDir: flags.get('workdir') ?? '',
        Cmd: cmd,
      },
    });
    if (detach) {
      yield* api(client, 'POST', `/exec/${made.Id}/start`, { body: { Detach: true, Tty: tty } });
      return 0;
    }
    const opened = yield* connect(client, `/exec/${made.Id}/start`, { body: { Detach: false, Tty: tty } });
    if (tty) yield* followSize(client, `/exec/${made.Id}`);
    const joined = { ...opened, tty, stdin, detachKeys: detachKeys(flags.get('detach-keys') ?? DEFAULT_KEYS) };
    if ((yield* converse(joined)) === 'detached') throw new Stop('read escape sequence');
    return (yield* api(client, 'GET', `/exec/${made.Id}/json`)).ExitCode ?? 0;
  },
};
