/** docker compose push, scale, events, stats, attach, watch. Source: docker/compose cmd/compose/{push,scale,events,stats,attach,watch}.go, pkg/compose of 2.26. */
import { SIG } from '../../../kernel/abi.ts';
import { type Body, sys } from '../../../kernel/sys.ts';
import { isoNano } from '../../lib/clock.ts';
import { attempt } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { ApiError, lines, stream } from '../docker/cli/client.ts';
import { runCommand } from '../docker/cli/command.ts';
import { attach as dockerAttach } from '../docker/cli/run.ts';
import { stats as dockerStats } from '../docker/cli/stats.ts';
import { FORMAT_HELP } from '../docker/cli/table.ts';
import { goJson } from '../gofmt.ts';
import { parseReference } from '../oci.ts';
import { imageOf, LABEL } from './body.ts';
import { type ComposeCommand, numberOf, projectOf, projectOrName } from './command.ts';
import { oneOf } from './commands.ts';
import { create, ensureImages, start } from './converge.ts';
import { type Any, ComposeError, type Dict } from './document.ts';
import { event, together } from './progress.ts';
import { checkServices, containersOf, labels, working } from './session.ts';

export const push: ComposeCommand = {
  name: 'push', usage: '[OPTIONS] [SERVICE...]', short: 'Push service images', args: [0, -1],
  options: `
      --dry-run                Execute command in dry run mode
      --ignore-push-failures   Push what it can and ignores images with push failures
      --include-deps           Also push images of services declared as dependencies
  -q, --quiet                  Push without printing progress information
`,
  *run(c, flags) {
    const s = flags.has('quiet') ? { ...c.session, mode: 'quiet' as const } : c.session;
    const p = yield* projectOf(c, flags.args, flags.has('include-deps'));
    yield* working(s, 'Pushing', function* (w): Call<void> {
      yield* together(Object.keys(p.services).map(function* (name): Call<void> {
        const service = p.services[name]!;
        if (!service.build || !service.image) return yield* event(w, name, 'done', '', 'Skipped');
        let failure: string | null = null;
        yield* event(w, name, 'working', '', 'Pushing');
        const parsed = parseReference(imageOf(p, name));
        try {
          if ('error' in parsed) throw new ApiError(parsed.error, 400);
          const opened = yield* stream(c.client, 'POST', `/images/${encodeURIComponent(parsed.name)}/push`, { query: { tag: parsed.tag } });
          yield* lines(opened, function* (m: Any) {
            if (m.error) failure = m.error;
            yield* [];
          });
          yield* opened.close();
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          failure = error.message;
        }
        if (failure !== null && !flags.has('ignore-push-failures')) throw new ComposeError(failure);
        if (failure !== null) yield* event(w, name, 'warning', 'Warning', failure);
        else yield* event(w, name, 'done', '', 'Pushed');
      }));
    });
    return 0;
  },
};

export const scale: ComposeCommand = {
  name: 'scale', usage: '[SERVICE=REPLICAS...]', short: 'Scale services ', args: [1, -1], options: "\n      --dry-run   Execute command in dry run mode\n      --no-deps   Don't start linked services\n",
  *run(c, flags) {
    const wanted = new Map<string, number>();
    for (const one of flags.args) {
      const cut = one.indexOf('=');
      const [name, n] = [one.slice(0, cut), one.slice(cut + 1)];
      if (cut < 1 || n === '') throw new ComposeError(`invalid scale specifier: ${one}`);
      if (!/^[-+]?\d+$/.test(n)) throw new ComposeError(`invalid scale specifier: can't parse replica value as int: ${one}`);
      wanted.set(name, Number(n));
    }
    const p = yield* projectOf(c, [...wanted.keys()], !flags.has('no-deps'));
    const services = { ...p.services };
    for (const [name, n] of wanted) services[name] = { ...services[name], scale: n };
    const whole = { ...p, services };
    yield* ensureImages(c.session, whole, { build: false });
    yield* working(c.session, 'Scaling', function* (w): Call<void> {
      yield* create(c.session, w, whole, { recreate: 'diverged', services: [...wanted.keys()], removeOrphans: false });
      yield* start(c.session, w, whole, Object.keys(services));
    });
    return 0;
  },
};

export const events: ComposeCommand = {
  name: 'events', usage: '[OPTIONS] [SERVICE...]', short: 'Receive real time events from containers', args: [0, -1], options: '\n      --dry-run   Execute command in dry run mode\n      --json      Output events as a stream of json objects\n',
  *run(c, flags) {
    const { project, name } = yield* projectOrName(c);
    if (project) checkServices(project, flags.args);
    let cancelled = false;
    const opened = yield* stream(c.client, 'GET', '/events', { query: { filters: labels(`${LABEL.project}=${name}`) } });
    const onSignal = function* (): Body {
      cancelled = true;
      yield* attempt(opened.close(), undefined);
      yield* complain('canceled\n');
      yield* sys('exit_group', 130);
    };
    for (const signal of [SIG.INT, SIG.TERM]) yield* sys('rt_sigaction', signal, { handler: onSignal, restart: true });
    yield* lines(opened, function* (m: Any) {
      const attributes: Dict = m.Actor?.Attributes ?? {};
      const service = attributes[LABEL.service];
      if (m.Type !== 'container' || service === undefined || attributes[LABEL.oneoff] === 'True' || (flags.args.length > 0 && !flags.args.includes(service))) return;
      const own = Object.fromEntries(Object.entries(attributes).filter(([k]) => !k.startsWith('com.docker.compose.')).sort(([a], [b]) => (a < b ? -1 : 1)));
      const action = m.status ?? m.Action;
      if (flags.has('json')) yield* print(`${goJson({ action, attributes: own, id: m.id ?? m.Actor.ID, service, time: isoNano(m.timeNano), type: 'container' }, undefined, true)}\n`);
      else yield* print(`${isoNano(m.timeNano).replace('T', ' ').slice(0, 26)} container ${action} ${m.id ?? m.Actor.ID} (${Object.entries(own).map(([k, v]) => `${k}=${v}`).join(', ')})\n\n`);
    });
    return cancelled ? 130 : 0;
  },
};

export const stats: ComposeCommand = {
  name: 'stats', usage: '[OPTIONS] [SERVICE]', short: 'Display a live stream of container(s) resource usage statistics', args: [0, 1],
  options: `
  -a, --all             Show all containers (default shows just running)
      --dry-run         Execute command in dry run mode
${FORMAT_HELP}
      --no-stream       Disable streaming stats and only pull the first result
      --no-trunc        Do not truncate output
`,
  *run(c, flags) {
    const { project, name } = yield* projectOrName(c);
    if (project) checkServices(project, flags.args);
    const rows = (yield* containersOf(c.session, name, 'none', flags.has('all'))).filter((r) => flags.args.length === 0 || flags.args.includes(r.service));
    if (rows.length === 0) return 0;
    const argv = [...['no-stream', 'no-trunc'].filter((f) => flags.has(f)).map((f) => `--${f}`), ...(flags.get('format') ? ['--format', flags.get('format')!] : []), ...rows.map((r) => r.id)];
    return yield* runCommand(c.client, dockerStats, 'stats', argv);
  },
};

export const attach: ComposeCommand = {
  name: 'attach', usage: '[OPTIONS] SERVICE', short: "Attach local standard input, output, and error streams to a service's running container", args: [1, 1], counts: 'minimum',
  options: `
      --detach-keys string   Override the key sequence for detaching from a container.
      --dry-run              Execute command in dry run mode
      --index int            index of the container if service has multiple replicas.
      --no-stdin             Do not attach STDIN
      --sig-proxy            Proxy all received signals to the process (default true)
`,
  *run(c, flags) {
    const row = yield* oneOf(c, flags.args[0]!, numberOf(flags, 'index'), true);
    const argv = [...(flags.has('no-stdin') ? ['--no-stdin'] : []), ...(flags.get('detach-keys') ? ['--detach-keys', flags.get('detach-keys')!] : []), ...(flags.get('sig-proxy') === 'false' ? ['--sig-proxy=false'] : []), row.id];
    return yield* runCommand(c.client, dockerAttach, 'attach', argv);
  },
};

export const watch: ComposeCommand = {
  name: 'watch', usage: '[SERVICE...]', short: 'Watch build context for service and rebuild/refresh containers when files are updated', args: [0, -1],
  options: '\n      --dry-run   Execute command in dry run mode\n      --no-up     Do not build & start services before watching\n      --quiet     hide build output\n',
  *run(c, flags) {
    const p = yield* projectOf(c, flags.args);
    if (!Object.values(p.services).some((s) => s.develop?.watch)) throw new ComposeError("none of the selected services is configured for watch, consider setting an 'develop' section");
    throw new ComposeError('not modelled: docker compose watch');
  },
};
