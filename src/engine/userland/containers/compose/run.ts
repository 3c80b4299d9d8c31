/** docker compose run: a container of its own for one command, its service's dependencies started before. Source: docker/compose cmd/compose/run.go, pkg/compose/run.go. */
import { AT_FDCWD, O_RDONLY } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import type { Call } from '../../lib/http.ts';
import { print } from '../../lib/io.ts';
import { converse, detachKeys, followSize, isTerminal } from '../docker/cli/attach.ts';
import { api, ApiError, connect, lines, stream } from '../docker/cli/client.ts';
import type { Flags } from '../docker/cli/flags.ts';
import { imageOf } from './body.ts';
import { canonicalService, shellWords } from './canonical.ts';
import { type ComposeCommand, projectOf } from './command.ts';
import { create, createContainer, ensureImages, start, waitCondition } from './converge.ts';
import type { Dict } from './document.ts';
import { createProgress } from './progress.ts';
import { type Project, selected } from './project.ts';
import { dependenciesOf, working } from './session.ts';
import { byKey } from '../../lib/bykey.ts';

const OPTIONS = `
      --build                       Build image before starting container
      --cap-add list                Add Linux capabilities
      --cap-drop list               Drop Linux capabilities
  -d, --detach                      Run container in background and print container ID
      --dry-run                     Execute command in dry run mode
      --entrypoint string           Override the entrypoint of the image
  -e, --env stringArray             Set environment variables
  -i, --interactive                 Keep STDIN open even if not attached (default true)
  -l, --label stringArray           Add or override a label
      --name string                 Assign a name to the container
  -T, --no-TTY                      Disable pseudo-TTY allocation (default: auto-detected) (default true)
      --no-deps                     Don't start linked services
  -p, --publish stringArray         Publish a container's port(s) to the host
      --quiet-pull                  Pull without printing progress information
      --remove-orphans              Remove containers for services not defined in the Compose file
      --rm                          Automatically remove the container when it exits
  -P, --service-ports               Run command with all service's ports enabled and mapped to the host
      --use-aliases                 Use the service's network useAliases in the network(s) the container connects to
  -u, --user string                 Run as specified username or uid
  -v, --volume stringArray          Bind mount a volume
  -w, --workdir string              Working directory inside the container
`;

/** 12 hexadecimal digits of chance. */
function* newSlug(): Call<string> {
  const fd = yield* sys('openat', AT_FDCWD, '/dev/urandom', O_RDONLY);
  const data = yield* sys('read', fd, 6);
  yield* sys('close', fd);
  return [...data].map((b) => b.toString(16).padStart(2, '0')).join('');
}

/** The service as the command line changes it. */
function changed(p: Project, name: string, flags: Flags, command: readonly string[], tty: boolean): Dict {
  const base = p.services[name]!;
  const more = canonicalService(name, {
    ...(flags.all('env').length > 0 ? { environment: flags.all('env') } : {}), ...(flags.all('volume').length > 0 ? { volumes: flags.all('volume') } : {}), ...(flags.all('publish').length > 0 ? { ports: flags.all('publish') } : {}), ...(flags.all('label').length > 0 ? { labels: flags.all('label') } : {}),
  }, { directory: p.directory, home: p.environment.HOME ?? '/' });
  const env = Object.fromEntries(Object.entries((more.environment ?? {}) as Dict).map(([k, v]) => [k, v ?? p.environment[k] ?? null]));
  const entrypoint = flags.get('entrypoint');
  return {
    ...base, ...(command.length > 0 ? { command } : entrypoint !== undefined ? { command: null } : {}), ...(entrypoint !== undefined ? { entrypoint: shellWords(entrypoint) } : {}), environment: byKey({ ...(base.environment ?? {}), ...env }),
    volumes: [...((base.volumes ?? []) as Dict[]), ...((more.volumes ?? []) as Dict[])], ports: [...(flags.has('service-ports') ? ((base.ports ?? []) as Dict[]) : []), ...((more.ports ?? []) as Dict[])], labels: { ...(base.labels ?? {}), ...(more.labels ?? {}) },
    ...(flags.get('user') ? { user: flags.get('user') } : {}), ...(flags.get('workdir') ? { working_dir: flags.get('workdir') } : {}), tty, stdin_open: flags.get('interactive') !== 'false',
    cap_add: [...(base.cap_add ?? []), ...flags.all('cap-add')], cap_drop: [...(base.cap_drop ?? []), ...flags.all('cap-drop')], container_name: undefined,
  };
}

export const run: ComposeCommand = {
  name: 'run', usage: '[OPTIONS] SERVICE [COMMAND] [ARGS...]', short: 'Run a one-off command on a service', options: OPTIONS, args: [1, -1], inOrder: true, counts: 'minimum',
  *run(c, flags) {
    const [name, ...command] = flags.args as [string, ...string[]];
    const s = c.session;
    const p = yield* projectOf(c, [name], !flags.has('no-deps'));
    const needs = flags.has('no-deps') ? [] : dependenciesOf(p, name).filter((n) => p.services[n]);
    yield* ensureImages(s, p, { build: flags.has('build') });
    const others = needs.length > 0 ? selected(p, needs, true) : null;
    yield* working(s, 'Creating', function* (w): Call<void> {
      yield* create(s, w, others ? { ...others, networks: p.networks, volumes: p.volumes } : { ...p, services: {}, disabled: { ...p.disabled, ...p.services } }, { recreate: 'diverged', services: [], removeOrphans: flags.has('remove-orphans') });
    });
    if (others) yield* working(s, 'Running', (w) => start(s, w, others, Object.keys(others.services)));
    yield* waitFor(s, p, name);
    const tty = !flags.has('no-TTY') && !flags.has('detach') && (yield* isTerminal(1));
    const stdin = !flags.has('detach') && flags.get('interactive') !== 'false';
    const slug = yield* newSlug();
    const container = flags.get('name') ?? `${p.name}-${name}-run-${slug}`;
    const imageId = (yield* api(c.client, 'GET', `/images/${encodeURIComponent(imageOf(p, name))}/json`)).Id;
    const id = yield* createContainer(s, { project: p, name, service: changed(p, name, flags, command, tty), number: 1, imageId, oneoff: { slug, aliases: flags.has('use-aliases'), remove: flags.has('rm'), stdin } }, container, container);
    if (flags.has('detach')) {
      yield* api(c.client, 'POST', `/containers/${id}/start`);
      yield* print(`${id}\n`);
      return 0;
    }
    const joined = yield* connect(c.client, `/containers/${id}/attach`, { query: { stream: '1', stdin: stdin ? '1' : undefined, stdout: '1', stderr: '1' } });
    const waiting = yield* stream(c.client, 'POST', `/containers/${id}/wait`, { query: { condition: flags.has('rm') ? 'removed' : 'next-exit' } });
    try {
      yield* api(c.client, 'POST', `/containers/${id}/start`);
    } catch (error) {
      if (error instanceof ApiError && !flags.has('rm')) yield* api(c.client, 'DELETE', `/containers/${id}`, { query: { force: 1 } });
      throw error;
    }
    if (tty) yield* followSize(c.client, `/containers/${id}`);
    yield* converse({ ...joined, tty, stdin, detachKeys: detachKeys('ctrl-p,ctrl-q') });
    let status = 125;
    yield* lines(waiting, function* (answer) {
      status = Number(answer.StatusCode ?? 125);
      yield* [];
    });
    return status;
  },
};

/** What the service waits for before it starts, as `up` does. */
function* waitFor(s: Parameters<typeof start>[0], p: Project, name: string): Call<void> {
  for (const [dep, d] of Object.entries((p.services[name]!.depends_on ?? {}) as Dict)) {
    if (d.condition !== 'service_started' && p.services[dep]) yield* waitCondition(s, createProgress('none'), p, { name, dep, condition: String(d.condition), required: d.required !== false });
  }
}
