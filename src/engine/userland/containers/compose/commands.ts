/** Commands of compose on what runs: down, stop, kill, restart, rm, ps, logs, top, port, images, pause, exec, cp. Source: docker/compose cmd/compose/*.go, pkg/compose/*.go of 2.26. */
import { sys } from '../../../kernel/sys.ts';
import { decimalSize, humanDuration, isoNano, nowNs } from '../../lib/clock.ts';
import type { Call } from '../../lib/http.ts';
import { complain, print } from '../../lib/io.ts';
import { tabulate } from '../../kube/kubectl/tabwriter.ts';
import { isTerminal } from '../docker/cli/attach.ts';
import { api, ApiError, stream } from '../docker/cli/client.ts';
import { runCommand } from '../docker/cli/command.ts';
import { portsText } from '../docker/cli/containers.ts';
import { cp } from '../docker/cli/copy.ts';
import type { Flags } from '../docker/cli/flags.ts';
import { exec as dockerExec } from '../docker/cli/run.ts';
import { rowsText, type Row as Fields } from '../docker/cli/table.ts';
import { ellipsis, shortId } from '../docker/cli/values.ts';
import { timestamp } from '../docker/cli/when.ts';
import { goJson } from '../template.ts';
import { parseReference } from '../oci.ts';
import { type ComposeCommand, type Context, numberOf, projectOrName } from './command.ts';
import { type Any, ComposeError } from './document.ts';
import { down, dropRow, stopInOrder, stopRows } from './down.ts';
import { createScreen, follow } from './output.ts';
import { event, type Progress, together } from './progress.ts';
import type { Project } from './project.ts';
import { checkServices, containersOf, projectOf as projectOfRows, type Row, shownName, working } from './session.ts';
import { byKey } from '../../lib/bykey.ts';

const seg = encodeURIComponent;

interface Scope {
  p: Project;
  name: string;
  rows: Row[];
}

/** The project and its containers, those of the services named. Throws ComposeError. */
function* scope(c: Context, services: readonly string[], oneoff: 'none' | 'too' | 'only' = 'none', all = true): Call<Scope> {
  const { project, name } = yield* projectOrName(c);
  const rows = yield* containersOf(c.session, name, oneoff, all);
  const p = project ?? projectOfRows(name, rows);
  checkServices(p, services);
  return { p, name, rows: services.length === 0 ? rows : rows.filter((r) => services.includes(r.service)) };
}

const namesOf = (s: Scope, services: readonly string[]): string[] => (services.length > 0 ? [...services] : [...new Set([...Object.keys(s.p.services), ...s.rows.map((r) => r.service)])]);

export const downCommand: ComposeCommand = {
  name: 'down', usage: '[OPTIONS] [SERVICES]', short: 'Stop and remove containers, networks', args: [0, -1],
  options: `
      --dry-run          Execute command in dry run mode
      --remove-orphans   Remove containers for services not defined in the Compose file
      --rmi string       Remove images used by services. "local" remove only images that don't have a custom tag ("local"|"all")
  -t, --timeout int      Specify a shutdown timeout in seconds
  -v, --volumes          Remove named volumes declared in the "volumes" section of the Compose file and anonymous volumes attached to containers
`,
  *run(c, flags) {
    const images = flags.get('rmi') ?? '';
    if (!['', 'all', 'local'].includes(images)) throw new ComposeError(`invalid value for --rmi: ${JSON.stringify(images)}`);
    const { project, name } = yield* projectOrName(c);
    if (project) checkServices(project, flags.args);
    yield* working(c.session, 'Running', (w) => down(c.session, w, project, name, { services: flags.args, removeOrphans: flags.has('remove-orphans'), volumes: flags.has('volumes'), images, timeout: numberOf(flags, 'timeout') }));
    return 0;
  },
};

const TIMEOUT = '\n      --dry-run       Execute command in dry run mode\n  -t, --timeout int   Specify a shutdown timeout in seconds\n';

export const stop: ComposeCommand = {
  name: 'stop', usage: '[OPTIONS] [SERVICE...]', short: 'Stop services', options: TIMEOUT, args: [0, -1],
  *run(c, flags) {
    const s = yield* scope(c, flags.args);
    yield* working(c.session, 'Stopping', (w) => stopInOrder(s.p, s.rows, namesOf(s, flags.args), (mine) => stopRows(c.session, w, mine, numberOf(flags, 'timeout'))));
    return 0;
  },
};

export const restart: ComposeCommand = {
  name: 'restart', usage: '[OPTIONS] [SERVICE...]', short: 'Restart service containers', args: [0, -1],
  options: `${TIMEOUT.trimEnd()}\n      --no-deps       Don't restart dependent services\n`,
  *run(c, flags) {
    const s = yield* scope(c, flags.args);
    yield* working(c.session, 'Restarting', (w) => each(w, s.rows, ['Restarting', 'Started'], (r) => api(c.client, 'POST', `/containers/${r.id}/restart`, { query: { t: numberOf(flags, 'timeout') } })));
    return 0;
  },
};

function* each(w: Progress, rows: readonly Row[], [during, after]: readonly [string, string], call: (r: Row) => Call<unknown>): Call<void> {
  if (rows.length === 0) return;
  yield* together(rows.map(function* (r): Call<void> {
    if (!/ausing$/.test(during)) yield* event(w, `Container ${r.name}`, 'working', during);
    try {
      yield* call(r);
    } catch (error) {
      if (error instanceof ApiError) yield* event(w, `Container ${r.name}`, 'error', `Error while ${during}`);
      throw error;
    }
    yield* event(w, `Container ${r.name}`, 'done', after);
  }));
}

export const kill: ComposeCommand = {
  name: 'kill', usage: '[OPTIONS] [SERVICE...]', short: 'Force stop service containers', args: [0, -1],
  options: `
      --dry-run          Execute command in dry run mode
      --remove-orphans   Remove containers for services not defined in the Compose file
  -s, --signal string    SIGNAL to send to the container (default "SIGKILL")
`,
  *run(c, flags) {
    const s = yield* scope(c, flags.args, 'too', false);
    if (s.rows.length === 0) throw new ComposeError('no container to kill');
    yield* working(c.session, 'Killing', (w) => each(w, s.rows, ['Killing', 'Killed'], (r) => api(c.client, 'POST', `/containers/${r.id}/kill`, { query: { signal: flags.get('signal') ?? 'SIGKILL' } })));
    return 0;
  },
};

function freezing(name: 'pause' | 'unpause', short: string, words: readonly [string, string]): ComposeCommand {
  return {
    name, usage: '[SERVICE...]', short, options: '\n      --dry-run   Execute command in dry run mode\n', args: [0, -1],
    *run(c, flags) {
      const s = yield* scope(c, flags.args, 'none', false);
      // They tell only of the end.
      yield* working(c.session, 'Running', (w) => each(w, s.rows, words, (r) => api(c.client, 'POST', `/containers/${r.id}/${name}`)));
      return 0;
    },
  };
}

export const pause = freezing('pause', 'Pause services', ['Pausing', 'Paused']);
export const unpause = freezing('unpause', 'Unpause services', ['Unpausing', 'Unpaused']);

export const rm: ComposeCommand = {
  name: 'rm', usage: '[OPTIONS] [SERVICE...]', short: 'Removes stopped service containers', args: [0, -1],
  long: 'By default, anonymous volumes attached to containers will not be removed. You\ncan override this with -v. To list all volumes, use "docker volume ls".\n\nAny data which is not in a volume will be lost.',
  options: `
      --dry-run   Execute command in dry run mode
  -f, --force     Don't ask to confirm removal
  -s, --stop      Stop the containers, if required, before removing
  -v, --volumes   Remove any anonymous volumes attached to containers
`,
  *run(c, flags) {
    const s = yield* scope(c, flags.args);
    if (flags.has('stop')) yield* working(c.session, 'Stopping', (w) => stopInOrder(s.p, s.rows, namesOf(s, flags.args), (mine) => stopRows(c.session, w, mine, undefined)));
    const gone = (yield* scope(c, flags.args)).rows.filter((r) => r.state !== 'running');
    if (gone.length === 0) {
      yield* complain('No stopped containers\n');
      return 0;
    }
    const question = `Going to remove ${gone.map((r) => r.name).join(', ')}`;
    if (flags.has('force')) yield* print(`${question}\n`);
    else if (!(yield* agreed(question))) return 0;
    yield* working(c.session, 'Running', (w) => together(gone.map((r) => dropRow(c.session, w, r, flags.has('volumes')))));
    return 0;
  },
};

function* agreed(question: string): Call<boolean> {
  yield* print(`? ${question} [yN] `);
  const answer = yield* sys('read', 0, 256);
  return answer[0] === 0x79 || answer[0] === 0x59;
}

const PS_TITLES: Fields = {
  ID: 'CONTAINER ID', Name: 'NAME', Image: 'IMAGE', Command: 'COMMAND', Project: 'PROJECT', Service: 'SERVICE', RunningFor: 'CREATED', CreatedAt: 'CREATED AT', Status: 'STATUS', State: 'STATE', Ports: 'PORTS', Size: 'SIZE', Labels: 'LABELS',
};

export const ps: ComposeCommand = {
  name: 'ps', usage: '[OPTIONS] [SERVICE...]', short: 'List containers', args: [0, -1],
  options: `
  -a, --all                  Show all stopped containers (including those created by the run command)
      --dry-run              Execute command in dry run mode
      --filter string        Filter services by a property (supported filters: status)
      --format string        Format output using a custom template:
                             'table':            Print output in table format with column headers (default)
                             'table TEMPLATE':   Print output in table format using the given Go template
                             'json':             Print in JSON format
                             'TEMPLATE':         Print output using the given Go template.
                             Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates (default "table")
      --no-trunc             Don't truncate output
      --orphans              Include orphaned services (not declared by project) (default true)
  -q, --quiet                Only display IDs
      --services             Display services
      --status stringArray   Filter services by status. Values: [paused | restarting | removing | running | dead | created | exited]
`,
  *run(c, flags) {
    const status = [...flags.all('status'), ...statusFilter(flags.get('filter'))];
    const all = flags.has('all') || status.length > 0;
    const s = yield* scope(c, flags.args, all ? 'too' : 'none', all);
    const rows = s.rows.filter((r) => (status.length === 0 || status.includes(r.state)) && (flags.get('orphans') !== 'false' || s.p.services[r.service]));
    if (flags.has('quiet')) yield* print(rows.map((r) => `${r.id}\n`).join(''));
    else if (flags.has('services')) yield* print(`${[...new Set(rows.map((r) => r.service))].join('\n')}\n`);
    else {
      const format = flags.get('format') ?? '';
      const whole = flags.has('no-trunc');
      const now = yield* nowNs();
      const fields: Fields[] = [];
      for (const r of rows) fields.push(yield* psFields(c, s.name, r, whole, now));
      if (format === 'json') yield* print(fields.map((f, i) => `${goJson(byKey({ ...f, ExitCode: Number(f.ExitCode), Publishers: publishers(rows[i]!) }), undefined, true)}\n`).join(''));
      else yield* print(rowsText(format, 'Name Image Command Service RunningFor Status Ports', PS_TITLES, fields, 'formatter.ContainerContext'));
    }
    return 0;
  },
};

function statusFilter(filter: string | undefined): string[] {
  if (filter === undefined || filter === '') return [];
  const cut = filter.indexOf('=');
  if (cut < 0) throw new ComposeError('arguments to --filter should be in form KEY=VAL');
  if (filter.slice(0, cut) !== 'status') throw new ComposeError(`unknown filter ${filter.slice(0, cut)}`);
  return [filter.slice(cut + 1)];
}

const publishers = (r: Row): Any[] | null => ((r.raw.Ports ?? []).length === 0 ? null : (r.raw.Ports as Any[]).map((p) => ({ URL: p.IP ?? '', TargetPort: p.PrivatePort, PublishedPort: p.PublicPort ?? 0, Protocol: p.Type })));

function* psFields(c: Context, project: string, r: Row, whole: boolean, now: number): Call<Fields> {
  const raw = r.raw;
  const info = yield* api(c.client, 'GET', `/containers/${r.id}/json`);
  const created = raw.Created * 1e9;
  const mounts = ((raw.Mounts ?? []) as Any[]).map((m) => m.Name ?? m.Source);
  return {
    ID: whole ? r.id : r.id.slice(0, 12), Name: r.name, Names: r.name, Project: project, Service: r.service, Image: raw.Image, Command: JSON.stringify(whole ? raw.Command : ellipsis(raw.Command, 20)), RunningFor: `${humanDuration(now - created)} ago`,
    CreatedAt: isoNano(created).replace('T', ' ').replace('Z', ' +0000 UTC'), Status: raw.Status, State: r.state, Ports: portsText(raw.Ports ?? []), Health: info.State.Health?.Status ?? '', ExitCode: String(r.state === 'running' ? 0 : info.State.ExitCode),
    Labels: Object.entries(r.labels).sort(([a], [b]) => (a < b ? -1 : 1)).map(([k, v]) => `${k}=${v}`).join(','), Networks: Object.keys(raw.NetworkSettings?.Networks ?? {}).join(','), Mounts: mounts.map((m: string) => (whole ? m : ellipsis(m, 15))).join(','),
    LocalVolumes: String(((raw.Mounts ?? []) as Any[]).filter((m) => m.Type === 'volume').length), Size: '0B',
  };
}

export const logs: ComposeCommand = {
  name: 'logs', usage: '[OPTIONS] [SERVICE...]', short: 'View output from containers', args: [0, -1],
  options: `
      --dry-run         Execute command in dry run mode
  -f, --follow          Follow log output
      --index int       index of the container if service has multiple replicas
      --no-color        Produce monochrome output
      --no-log-prefix   Don't print prefix in logs
      --since string    Show logs since timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
  -n, --tail string     Number of lines to show from the end of the logs for each container (default "all")
  -t, --timestamps      Show timestamps
      --until string    Show logs before a timestamp (e.g. 2013-01-02T13:23:37Z) or relative (e.g. 42m for 42 minutes)
`,
  *run(c, flags) {
    const s = yield* scope(c, flags.args);
    const index = numberOf(flags, 'index');
    if (index !== undefined && flags.args.length !== 1) throw new ComposeError('--index requires one service to be selected');
    const rows = s.rows.filter((r) => index === undefined || r.number === index);
    const screen = createScreen(c.session.colour && !flags.has('no-color'), !flags.has('no-log-prefix'), rows.map((r) => shownName(r, s.name)));
    screen.joined = true;
    const one = (r: Row): Call<void> => copyLogs(c, flags, screen, r, shownName(r, s.name));
    if (flags.has('follow')) yield* together(rows.map(one));
    else for (const r of rows) yield* one(r);
    return 0;
  },
};

function* copyLogs(c: Context, flags: Flags, screen: ReturnType<typeof createScreen>, r: Row, name: string): Call<void> {
  const now = yield* nowNs();
  const when = (flag: string): string | undefined => (flags.get(flag) ? timestamp(flags.get(flag)!, now, flag) : undefined);
  const info = yield* api(c.client, 'GET', `/containers/${r.id}/json`);
  const opened = yield* stream(c.client, 'GET', `/containers/${r.id}/logs`, {
    query: { stdout: 1, stderr: 1, since: when('since'), until: when('until'), timestamps: flags.has('timestamps') ? 1 : undefined, follow: flags.has('follow') ? 1 : undefined, tail: flags.get('tail') ?? 'all' },
  });
  yield* follow(screen, name, info.Config.Tty, () => opened.readChunk());
  yield* opened.close();
}

export const top: ComposeCommand = {
  name: 'top', usage: '[SERVICES...]', short: 'Display the running processes', options: '\n      --dry-run   Execute command in dry run mode\n', args: [0, -1],
  *run(c, flags) {
    const s = yield* scope(c, flags.args, 'none', false);
    for (const r of s.rows) {
      const found = yield* api(c.client, 'GET', `/containers/${r.id}/top`);
      const lines = [found.Titles.join('\t'), ...found.Processes.map((p: string[]) => `${p.join('\t')}\t`)];
      yield* print(`${r.name}\n${tabulate(lines.join('\n'), 0, 3)}\n\n`);
    }
    return 0;
  },
};

/** The one container of a service: the first, or the one of a number. Throws ComposeError. */
export function* oneOf(c: Context, service: string, index: number | undefined, running: boolean): Call<Row> {
  const s = yield* scope(c, [service], 'none', !running);
  const row = s.rows.sort((a, b) => a.number - b.number).find((r) => index === undefined || index === 0 || r.number === index);
  if (!row) throw new ComposeError(`service ${JSON.stringify(service)} is not running${index ? ` container #${index}` : ''}`);
  return row;
}

export const port: ComposeCommand = {
  name: 'port', usage: '[OPTIONS] SERVICE PRIVATE_PORT', short: 'Print the public port for a port binding', args: [2, -1], counts: 'minimum',
  options: '\n      --dry-run           Execute command in dry run mode\n      --index int         Index of the container if service has multiple replicas\n      --protocol string   tcp or udp (default "tcp")\n',
  *run(c, flags) {
    const [service, text] = flags.args as [string, string];
    if (!/^\d+$/.test(text) || Number(text) > 65535) throw new ComposeError(`strconv.ParseUint: parsing ${JSON.stringify(text)}: ${/^\d+$/.test(text) ? 'value out of range' : 'invalid syntax'}`);
    const row = yield* oneOf(c, service, numberOf(flags, 'index'), true);
    const protocol = flags.get('protocol') ?? 'tcp';
    const ports = (row.raw.Ports ?? []) as Any[];
    const found = ports.find((p) => p.PrivatePort === Number(text) && p.Type === protocol);
    if (!found) throw new ComposeError(`no port ${text}/${protocol} for container ${row.name}: ${ports.map((p) => `${p.PublicPort ?? 0}/${p.Type}`).join(', ')}`);
    yield* print(`${found.IP ?? ''}:${found.PublicPort ?? 0}\n`);
    return 0;
  },
};

export const images: ComposeCommand = {
  name: 'images', usage: '[OPTIONS] [SERVICE...]', short: 'List images used by the created containers', args: [0, -1],
  options: '\n      --dry-run         Execute command in dry run mode\n      --format string   Format the output. Values: [table | json] (default "table")\n  -q, --quiet           Only display IDs\n',
  *run(c, flags) {
    const s = yield* scope(c, flags.args, 'too');
    const found: { row: Row; image: Any }[] = [];
    for (const row of s.rows) found.push({ row, image: yield* api(c.client, 'GET', `/images/${seg(row.raw.ImageID)}/json`) });
    if (flags.has('quiet')) {
      yield* print([...new Set(found.map((f) => String(f.image.Id).replace(/^sha256:/, '')))].map((id) => `${id}\n`).join(''));
      return 0;
    }
    const parts = found.map(({ row, image }) => {
      const parsed = parseReference(String(image.RepoTags?.[0] ?? '<none>:<none>'));
      return { ID: image.Id, ContainerName: row.name, Repository: 'error' in parsed ? '<none>' : parsed.name, Tag: 'error' in parsed ? '<none>' : parsed.tag, Size: image.Size };
    });
    if (flags.get('format') === 'json') yield* print(`${JSON.stringify(parts)}\n`);
    else yield* print(`${tabulate(['CONTAINER\tREPOSITORY\tTAG\tIMAGE ID\tSIZE', ...parts.map((p) => `${p.ContainerName}\t${p.Repository}\t${p.Tag}\t${shortId(p.ID)}\t${decimalSize(p.Size, 3)}`)].join('\n'), 20, 1)}\n`);
    return 0;
  },
};

export const exec: ComposeCommand = {
  name: 'exec', usage: '[OPTIONS] SERVICE COMMAND [ARGS...]', short: 'Execute a command in a running container', args: [2, -1], inOrder: true, counts: 'minimum',
  options: `
  -d, --detach            Detached mode: Run command in the background
      --dry-run           Execute command in dry run mode
  -e, --env stringArray   Set environment variables
      --index int         Index of the container if service has multiple replicas
  -T, --no-TTY            Disable pseudo-TTY allocation
      --privileged        Give extended privileges to the process
  -u, --user string       Run the command as this user
  -w, --workdir string    Path to workdir directory for this command
`,
  shown: `
  -d, --detach            Detached mode: Run command in the background
      --dry-run           Execute command in dry run mode
  -e, --env stringArray   Set environment variables
      --index int         Index of the container if service has multiple replicas
  -T, --no-TTY docker\x01compose\x01exec   Disable pseudo-TTY allocation. By default docker compose exec allocates a TTY. (default true)
      --privileged        Give extended privileges to the process
  -u, --user string       Run the command as this user
  -w, --workdir string    Path to workdir directory for this command
`,
  *run(c, flags) {
    const [service, ...command] = flags.args as [string, ...string[]];
    const row = yield* oneOf(c, service, numberOf(flags, 'index'), true);
    const tty = !flags.has('no-TTY') && !flags.has('detach') && (yield* isTerminal(1));
    const argv = [
      ...(flags.has('detach') ? ['-d'] : ['-i']), ...(tty ? ['-t'] : []), ...flags.all('env').flatMap((e) => ['-e', e]), ...(flags.has('privileged') ? ['--privileged'] : []), ...(flags.get('user') ? ['-u', flags.get('user')!] : []),
      ...(flags.get('workdir') ? ['-w', flags.get('workdir')!] : []), row.id, ...command,
    ];
    return yield* runCommand(c.client, dockerExec, 'exec', argv);
  },
};

export const copy: ComposeCommand = {
  name: 'cp', usage: '[OPTIONS] SERVICE:SRC_PATH DEST_PATH|-\n\tdocker compose cp [OPTIONS] SRC_PATH|- SERVICE:DEST_PATH', short: 'Copy files/folders between a service container and the local filesystem', args: [2, 2],
  options: '\n  -a, --archive       Archive mode (copy all uid/gid information)\n      --dry-run       Execute command in dry run mode\n  -L, --follow-link   Always follow symbol link in SRC_PATH\n      --index int     Index of the container if service has multiple replicas\n',
  *run(c, flags) {
    const ends: string[] = [];
    let row: Row | null = null;
    for (const end of flags.args) {
      const cut = end.indexOf(':');
      if (cut < 0 || /^[./]/.test(end)) ends.push(end);
      else {
        row = yield* containerOf(c, end.slice(0, cut), numberOf(flags, 'index'));
        ends.push(`${row.name}${end.slice(cut)}`);
      }
    }
    if (row === null) throw new ComposeError('unknown copy direction');
    if (ends.every((e, i) => e !== flags.args[i])) throw new ComposeError('copying between services is not supported');
    const found = row;
    const id = found.name;
    const what = `copy ${ends[0]} to ${ends[1]}`;
    yield* working(c.session, 'Copying', function* (w): Call<void> {
      yield* event(w, id, 'working', 'Copying', what);
      yield* cp.run(c.client, { ...flags, on: new Map([['quiet', ['true']]]), has: (n) => n === 'quiet' || flags.has(n), args: ends.map((e) => (e.startsWith(`${id}:`) ? `${found.id}${e.slice(id.length)}` : e)) });
      yield* event(w, id, 'done', 'Copied', what);
    });
    return 0;
  },
};

/** As oneOf, stopped ones too, in the words of cp. */
function* containerOf(c: Context, service: string, index: number | undefined): Call<Row> {
  const { name } = yield* projectOrName(c);
  const rows = (yield* containersOf(c.session, name)).filter((r) => r.service === service).sort((a, b) => a.number - b.number);
  const row = rows.find((r) => index === undefined || r.number === index);
  if (!row) throw new ComposeError(`no container found for service ${JSON.stringify(service)}`);
  return row;
}

export const wait: ComposeCommand = {
  name: 'wait', usage: 'SERVICE [SERVICE...] [OPTIONS]', short: 'Block until the first service container stops', args: [1, -1], options: '\n      --down-project   Drops project when the first container stops\n      --dry-run        Execute command in dry run mode\n',
  *run(c, flags) {
    const s = yield* scope(c, flags.args, 'none', false);
    if (s.rows.length === 0) throw new ComposeError(`no containers for project ${JSON.stringify(s.name)}`);
    let status = 0;
    for (const r of s.rows) {
      const answer = yield* api(c.client, 'POST', `/containers/${r.id}/wait`);
      status = answer.StatusCode;
      yield* print(`container ${JSON.stringify(r.name)} exited with status code ${status}\n`);
    }
    if (flags.has('down-project')) yield* working(c.session, 'Running', (w) => down(c.session, w, s.p, s.name, { services: [], removeOrphans: false, volumes: false, images: '', timeout: undefined }));
    return status;
  },
};
