/** docker compose up, create, start: the project brought up, and its output followed until it ends or Ctrl-C. Source: docker/compose cmd/compose/up.go, pkg/compose/up.go, attach.go. */
import { SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { attempt } from '../../lib/files.ts';
import { type Call, thread } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { api, ApiError, connect } from '../docker/cli/client.ts';
import type { Flags } from '../docker/cli/flags.ts';
import { wake, type Waiters, waitWhile } from '../docker/daemon/waiters.ts';
import { scaleOf } from './body.ts';
import { type ComposeCommand, type Context, numberOf, projectOf, projectOrName } from './command.ts';
import { create, ensureImages, start, waitCondition } from './converge.ts';
import { ComposeError } from './document.ts';
import { stopInOrder, stopRows } from './down.ts';
import { createScreen, follow, register, type Screen, tell } from './output.ts';
import { createProgress, together } from './progress.ts';
import type { Project } from './project.ts';
import { containersOf, projectOf as projectOfRows, type Row, type Session, shownName, working } from './session.ts';

const UP_OPTIONS = `
      --abort-on-container-exit   Stops all containers if any container was stopped. Incompatible with -d
      --always-recreate-deps      Recreate dependent containers. Incompatible with --no-recreate.
      --attach stringArray        Restrict attaching to the specified services. Incompatible with --attach-dependencies.
      --attach-dependencies       Automatically attach to log output of dependent services
      --build                     Build images before starting containers
  -d, --detach                    Detached mode: Run containers in the background
      --dry-run                   Execute command in dry run mode
      --exit-code-from string     Return the exit code of the selected service container. Implies --abort-on-container-exit
      --force-recreate            Recreate containers even if their configuration and image haven't changed
      --no-attach stringArray     Do not attach (stream logs) to the specified services
      --no-build                  Don't build an image, even if it's policy
      --no-color                  Produce monochrome output
      --no-deps                   Don't start linked services
      --no-log-prefix             Don't print prefix in logs
      --no-recreate               If containers already exist, don't recreate them. Incompatible with --force-recreate.
      --no-start                  Don't start the services after creating them
      --pull string               Pull image before running ("always"|"missing"|"never") (default "policy")
      --quiet-pull                Pull without printing progress information
      --remove-orphans            Remove containers for services not defined in the Compose file
  -V, --renew-anon-volumes        Recreate anonymous volumes instead of retrieving data from the previous containers
      --scale scale               Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present.
  -t, --timeout int               Use this timeout in seconds for container shutdown when attached or when containers are already running
      --timestamps                Show timestamps
      --wait                      Wait for services to be running|healthy. Implies detached mode.
      --wait-timeout int          Maximum duration to wait for the project to be running|healthy
  -w, --watch                     Watch source code and rebuild/refresh containers when files are updated.
`;

/** What --scale says, put into the services. Throws ComposeError. */
export function scaled(p: Project, scales: readonly string[]): Project {
  const services = { ...p.services };
  for (const one of scales) {
    const [name = '', n, ...more] = one.split('=');
    if (n === undefined || more.length > 0 || n === '') throw new ComposeError(`invalid --scale option ${JSON.stringify(one)}. Should be SERVICE=NUM`);
    if (!/^\d+$/.test(n)) throw new ComposeError(`strconv.Atoi: parsing ${JSON.stringify(n)}: invalid syntax`);
    if (!services[name]) throw new ComposeError(`no such service: ${name}: not found`);
    services[name] = { ...services[name], scale: Number(n) };
  }
  return { ...p, services };
}

function check(flags: Flags): void {
  const pull = flags.get('pull');
  if (pull !== undefined && !['always', 'missing', 'never', 'build', 'policy'].includes(pull)) throw new ComposeError(`invalid --pull option ${JSON.stringify(pull)}`);
  const both = (a: string, b: string, text: string): void => {
    if (flags.has(a) && flags.has(b)) throw new ComposeError(text);
  };
  both('force-recreate', 'no-recreate', '--force-recreate and --no-recreate are incompatible');
  both('always-recreate-deps', 'no-recreate', '--always-recreate-deps and --no-recreate are incompatible');
  both('build', 'no-build', '--build and --no-build are incompatible');
  both('detach', 'abort-on-container-exit', '--detach cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies');
  both('detach', 'attach-dependencies', '--detach cannot be combined with --abort-on-container-exit, --attach or --attach-dependencies');
}

export const up: ComposeCommand = {
  name: 'up', usage: '[OPTIONS] [SERVICE...]', short: 'Create and start containers', options: UP_OPTIONS, args: [0, -1],
  *run(c, flags) {
    check(flags);
    const s = c.session;
    const p = scaled(yield* projectOf(c, flags.args, !flags.has('no-deps')), flags.all('scale'));
    if (Object.keys(p.services).length === 0) throw new ComposeError('no service selected');
    const from = flags.get('exit-code-from');
    if (from !== undefined && !p.services[from]) throw new ComposeError(`no such service: ${from}`);
    const attached = !flags.has('detach') && !flags.has('wait') && !flags.has('no-start');
    const timeout = numberOf(flags, 'timeout');
    yield* ensureImages(s, p, { build: flags.has('build'), pull: flags.get('pull'), quiet: flags.has('quiet-pull'), noBuild: flags.has('no-build') });
    const names = Object.keys(p.services);
    yield* working(s, 'Running', function* (w): Call<void> {
      yield* create(s, w, p, {
        recreate: flags.has('force-recreate') ? 'force' : flags.has('no-recreate') ? 'never' : 'diverged', services: flags.has('always-recreate-deps') ? [] : flags.args, removeOrphans: flags.has('remove-orphans'), renewVolumes: flags.has('renew-anon-volumes'), ...(timeout === undefined ? {} : { timeout }),
      });
      if (attached || flags.has('no-start')) return;
      yield* start(s, w, p, names);
      // What others wait to see completed is waited for in that way.
      const awaited = (n: string): string => (names.some((other) => p.services[other]!.depends_on?.[n]?.condition === 'service_completed_successfully') ? 'service_completed_successfully' : 'running_or_healthy');
      if (flags.has('wait')) yield* together(names.filter((n) => scaleOf(p.services[n]!) > 0).map((n) => waitCondition(s, w, p, { name: n, dep: n, condition: awaited(n), required: true })));
    });
    if (!attached) return 0;
    return yield* attachAll(c, p, flags);
  },
};

interface Attached {
  s: Session;
  p: Project;
  screen: Screen;
  /** Containers that still run. */
  running: Set<string>;
  codes: Map<string, number>;
  waiters: Waiters;
  interrupts: number;
  /** Some container has ended. */
  ended: boolean;
}

function* attachAll(c: Context, p: Project, flags: Flags): Call<number> {
  const s = c.session;
  const rows = (yield* containersOf(s, p.name)).filter((r) => p.services[r.service]);
  const only = flags.all('attach');
  const wanted = (r: Row): boolean => p.services[r.service]!.attach !== false && !flags.all('no-attach').includes(r.service) && (only.length > 0 ? only.includes(r.service) : flags.args.length === 0 || flags.has('attach-dependencies') || flags.args.includes(r.service));
  const shown = rows.filter(wanted);
  const a: Attached = { s, p, screen: createScreen(s.colour && !flags.has('no-color'), !flags.has('no-log-prefix')), running: new Set(), codes: new Map(), waiters: new Set(), interrupts: 0, ended: false };
  for (const r of shown) register(a.screen, shownName(r, p.name));
  yield* print(`Attaching to ${shown.map((r) => shownName(r, p.name)).join(', ')}\n`);
  const onSignal = function* (): Body {
    a.interrupts++;
    yield* wake(a.waiters);
  };
  for (const signal of [SIG.INT, SIG.TERM]) yield* sys('rt_sigaction', signal, { handler: onSignal, restart: true });
  for (const r of rows) a.running.add(r.id);
  for (const r of shown.filter((x) => x.state === 'running')) yield* attachOne(a, r);
  for (const r of rows.filter((x) => !shown.includes(x) && x.state === 'running')) yield* thread(() => watchOne(a, r));
  const quiet = createProgress('none');
  let failure: unknown = null;
  let starting = true;
  yield* thread(function* (): Body {
    try {
      yield* start(s, quiet, p, Object.keys(p.services), (r) => (shown.some((x) => x.id === r.id) ? attachOne(a, r) : watched(a, r)));
    } catch (error) {
      failure = error;
    }
    starting = false;
    yield* wake(a.waiters);
    return 0;
  });
  const abort = flags.has('abort-on-container-exit') || flags.get('exit-code-from') !== undefined;
  yield* waitWhile(a.waiters, () => a.interrupts === 0 && failure === null && (starting || a.running.size > 0) && !(abort && a.ended));
  if (failure !== null) throw failure;
  if (a.interrupts > 0) return yield* stopAttached(a, flags);
  if (abort && a.running.size > 0) {
    yield* complain('Aborting on container exit...\n');
    yield* stopAll(a, numberOf(flags, 'timeout'));
  }
  const from = flags.get('exit-code-from');
  if (from === undefined) return 0;
  const row = rows.find((r) => r.service === from);
  return (row && ((a.codes.get(row.id) ?? (yield* api(s.client, 'GET', `/containers/${row.id}/json`)).State.ExitCode) as number)) ?? 0;
}

/** Ctrl-C: everything is stopped; once more, killed. */
function* stopAttached(a: Attached, flags: Flags): Call<number> {
  a.screen.silent = true;
  yield* print('Gracefully stopping... (press Ctrl+C again to force)\n');
  let over = false;
  yield* thread(function* (): Body {
    yield* waitWhile(a.waiters, () => a.interrupts < 2 && !over);
    if (over) return 0;
    for (const r of yield* containersOf(a.s, a.p.name, 'none', false)) {
      try {
        yield* api(a.s.client, 'POST', `/containers/${r.id}/kill`);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
      }
    }
    return 0;
  });
  yield* stopAll(a, numberOf(flags, 'timeout'));
  over = true;
  yield* wake(a.waiters);
  yield* complain('canceled\n');
  return 130;
}

function* stopAll(a: Attached, timeout: number | undefined): Call<void> {
  const rows = (yield* containersOf(a.s, a.p.name)).filter((r) => a.p.services[r.service]);
  yield* working(a.s, 'Stopping', (w) => stopInOrder(a.p, rows, Object.keys(a.p.services), (mine) => stopRows(a.s, w, mine, timeout)));
}

/** Joins a container's output; a thread copies it until it has ended. */
function* attachOne(a: Attached, r: Row): Call<void> {
  const name = shownName(r, a.p.name);
  const tty = a.p.services[r.service]!.tty === true;
  const opened = yield* connect(a.s.client, `/containers/${r.id}/attach`, { query: { stream: '1', stdout: '1', stderr: '1' } });
  yield* thread(function* (): Body {
    yield* follow(a.screen, name, tty, function* () {
      const data = yield* attempt(sys('read', opened.stream.fd, 65536), new Uint8Array(0));
      return data.length > 0 ? data : null;
    }, opened.rest);
    yield* attempt(opened.stream.close(), undefined);
    yield* afterEnd(a, r, true);
    return 0;
  });
}

function* watched(a: Attached, r: Row): Call<void> {
  yield* thread(() => watchOne(a, r));
}

function* watchOne(a: Attached, r: Row): Body {
  yield* api(a.s.client, 'POST', `/containers/${r.id}/wait`, { query: { condition: 'next-exit' } });
  yield* afterEnd(a, r, false);
  return 0;
}

const POLL = 100_000_000;

/** Tells of the end; a container that its policy starts again is joined again. */
function* afterEnd(a: Attached, r: Row, shown: boolean): Call<void> {
  let told = false;
  for (;;) {
    let state: { Running: boolean; Restarting: boolean; Status: string; ExitCode: number };
    try {
      state = (yield* api(a.s.client, 'GET', `/containers/${r.id}/json`)).State;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      break;
    }
    if (state.Status === 'running' && !state.Restarting) {
      if (!told) {
        yield* sys('nanosleep', POLL);
        if (shown && a.interrupts === 0) continue;
      } else if (shown) return yield* attachOne(a, r);
    }
    if (!told) {
      a.codes.set(r.id, state.ExitCode);
      if (shown && a.interrupts === 0) yield* tell(a.screen, shownName(r, a.p.name), `exited with code ${state.ExitCode}`);
      told = true;
    }
    if (!state.Restarting || a.interrupts > 0) break;
    yield* sys('nanosleep', POLL);
  }
  a.running.delete(r.id);
  a.ended = true;
  yield* wake(a.waiters);
}

export const createCommand: ComposeCommand = {
  name: 'create', usage: '[OPTIONS] [SERVICE...]', short: 'Creates containers for a service', args: [0, -1],
  options: `
      --build               Build images before starting containers
      --dry-run             Execute command in dry run mode
      --force-recreate      Recreate containers even if their configuration and image haven't changed
      --no-build            Don't build an image, even if it's policy
      --no-recreate         If containers already exist, don't recreate them. Incompatible with --force-recreate.
      --pull string         Pull image before running ("always"|"missing"|"never"|"build") (default "policy")
      --quiet-pull          Pull without printing progress information
      --remove-orphans      Remove containers for services not defined in the Compose file
      --scale scale         Scale SERVICE to NUM instances. Overrides the scale setting in the Compose file if present.
`,
  *run(c, flags) {
    check(flags);
    const p = scaled(yield* projectOf(c, flags.args), flags.all('scale'));
    yield* ensureImages(c.session, p, { build: flags.has('build'), pull: flags.get('pull'), noBuild: flags.has('no-build') });
    yield* working(c.session, 'Creating', (w) => create(c.session, w, p, { recreate: flags.has('force-recreate') ? 'force' : flags.has('no-recreate') ? 'never' : 'diverged', services: flags.args, removeOrphans: flags.has('remove-orphans') }));
    return 0;
  },
};

export const startCommand: ComposeCommand = {
  name: 'start', usage: '[SERVICE...]', short: 'Start services', options: '\n      --dry-run   Execute command in dry run mode\n', args: [0, -1],
  *run(c, flags) {
    const { project, name } = yield* projectOrName(c);
    const p = project ?? projectOfRows(name, yield* containersOf(c.session, name));
    const names = flags.args.length > 0 ? flags.args : Object.keys(p.services);
    for (const n of names) if (!p.services[n]) throw new ComposeError(`no such service: ${n}`);
    yield* working(c.session, 'Running', (w) => start(c.session, w, p, names));
    return 0;
  },
};
