/** docker info, version, events, system df, the prunes, context and buildx as far as they are there. Source: docker/cli command/system. */
import { decimalSize, binarySize, humanDuration, isoNano, nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { execute, goJson, parseTemplate, type Template, TemplateError, told } from '../../template.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { type Any, api, ApiError, type Client, filtersOf, lines, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';
import { ellipsisOfId } from './containers.ts';
import { prompt, pruneNetworks } from './objects.ts';
import { parsed, printRows } from './table.ts';
import { ellipsis, shortId } from './values.ts';
import { BUILD } from '../version.ts';
import { timestamp } from './when.ts';

const FORMAT =
  "\n  -f, --format string   Format output using a custom template:\n                        'json':             Print in JSON format\n                        'TEMPLATE':         Print output using the given Go template.\n                        Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates\n";
const PLUGIN = {
  SchemaVersion: '0.1.0',
  Vendor: 'Docker Inc.',
  Version: '0.13.1+ds1',
  ShortDescription: 'Docker Buildx',
  Name: 'buildx',
  Path: '/usr/libexec/docker/cli-plugins/docker-buildx',
};

export const version: Command = {
  names: ['version'],
  usage: '[OPTIONS]',
  short: 'Show the Docker version information',
  args: [0, 0],
  options: FORMAT,
  *run(client, flags) {
    let server: Any = null;
    let failure: Error | null = null;
    try {
      server = yield* api(client, 'GET', '/version');
    } catch (error) {
      if (!(error instanceof Stop) && !(error instanceof ApiError)) throw error;
      failure = error;
    }
    const mine = {
      Version: BUILD.version,
      ApiVersion: '1.45',
      DefaultAPIVersion: '1.45',
      GitCommit: BUILD.cliCommit,
      GoVersion: BUILD.go,
      Os: 'linux',
      Arch: 'amd64',
      BuildTime: BUILD.time,
      Context: 'default',
    };
    const format = flags.get('format') ?? '';
    if (format !== '') {
      const data = { Client: mine, Server: server };
      yield* print(`${format === 'json' ? goJson(data) : byFormat(format, versionType(data))}\n`);
    } else yield* print(versionText(mine, server));
    if (failure) throw failure;
    return 0;
  },
};

/** A struct of what JSON has, under the names of Go's fields. */
const fieldsOf = (name: string, data: Any, fields: Any = data): Any => told({ ...fields }, { name, fields: Object.keys(fields), original: data });

function versionType({ Client, Server }: Any): Any {
  const go = ({ ApiVersion, MinAPIVersion, ...rest }: Any): Any => ({ ...rest, APIVersion: ApiVersion, ...(MinAPIVersion === undefined ? {} : { MinAPIVersion }) });
  const client = fieldsOf('system.clientVersion', Client, go(Client));
  const server = Server && fieldsOf('*types.Version', Server, go(Server));
  return fieldsOf('system.versionInfo', { Client, Server }, { Client: client, Server: server });
}

/** A message as events.Message has its fields. */
function eventType(e: Any): Any {
  return fieldsOf('*events.Message', e, {
    Status: e.status ?? '', ID: e.id ?? '', From: e.from ?? '', Type: e.Type, Action: e.Action, Actor: fieldsOf('events.Actor', e.Actor), Scope: e.scope ?? '', Time: e.time, TimeNano: e.timeNano,
  });
}

/** Throws Stop with what is wrong with the format. */
function byFormat(format: string, data: Any): string {
  const template = parsed(format, 64);
  try {
    return execute(template, data, '');
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Stop(error.message);
  }
}

function versionText(mine: Any, server: Any): string {
  const row = (indent: string, label: string, value: string, width: number): string => `${indent}${`${label}:`.padEnd(width)}${value}\n`;
  const rows = (indent: string, list: [string, string][]): string => list.map(([label, value]) => row(indent, label, value, 19)).join('');
  let out = `Client:\n${rows(' ', [
    ['Version', mine.Version],
    ['API version', mine.ApiVersion],
    ['Go version', mine.GoVersion],
    ['Git commit', mine.GitCommit],
    ['Built', mine.BuildTime],
    ['OS/Arch', 'linux/amd64'],
    ['Context', 'default'],
  ])}`;
  if (!server) return out;
  const s = server.Components[0].Details;
  out += `\nServer:\n Engine:\n${[
    ['Version', server.Version],
    ['API version', `${s.ApiVersion} (minimum version ${s.MinAPIVersion})`],
    ['Go version', s.GoVersion],
    ['Git commit', s.GitCommit],
    ['Built', BUILD.time],
    ['OS/Arch', 'linux/amd64'],
    ['Experimental', 'false'],
  ]
    .map(([l, v]) => row('  ', l!, v!, 18))
    .join('')}`;
  for (const c of server.Components.slice(1))
    out += ` ${c.Name}:\n${row('  ', 'Version', c.Version, 18)}${row('  ', 'GitCommit', c.Details.GitCommit, 18)}`;
  return out;
}

export const info: Command = {
  names: ['info', 'system info'],
  usage: '[OPTIONS]',
  short: 'Display system-wide information',
  args: [0, 0],
  options: FORMAT,
  *run(client, flags) {
    const server = yield* api(client, 'GET', '/info');
    const clientInfo = {
      Debug: false,
      Version: BUILD.version,
      GitCommit: BUILD.cliCommit,
      GoVersion: BUILD.go,
      Os: 'linux',
      Arch: 'amd64',
      BuildTime: BUILD.time,
      Context: 'default',
      Plugins: [PLUGIN],
      Warnings: null,
    };
    const format = flags.get('format') ?? '';
    const data = { ...server, ClientInfo: clientInfo };
    if (format !== '') yield* print(`${format === 'json' ? goJson(data) : byFormat(format, fieldsOf('system.dockerInfo', data))}\n`);
    else yield* print(infoText(server));
    return 0;
  },
};

function infoText(s: Any): string {
  const security: string[] = s.SecurityOptions.flatMap((o: string) => {
    const parts = o.split(',').map((p) => p.split('='));
    return [`  ${parts[0]![1]}`, ...parts.slice(1).map(([k, v]) => `   ${k![0]!.toUpperCase()}${k!.slice(1)}: ${v}`)];
  });
  const out = [
    'Client:',
    ` Version:    ${BUILD.version}`,
    ' Context:    default',
    ' Debug Mode: false',
    ' Plugins:',
    '  buildx: Docker Buildx (Docker Inc.)',
    `    Version:  ${PLUGIN.Version}`,
    `    Path:     ${PLUGIN.Path}`,
    '',
    'Server:',
    ` Containers: ${s.Containers}`,
    `  Running: ${s.ContainersRunning}`,
    `  Paused: ${s.ContainersPaused}`,
    `  Stopped: ${s.ContainersStopped}`,
    ` Images: ${s.Images}`,
    ` Server Version: ${s.ServerVersion}`,
    ` Storage Driver: ${s.Driver}`,
    ...s.DriverStatus.map(([k, v]: string[]) => `  ${k}: ${v}`),
    ` Logging Driver: ${s.LoggingDriver}`,
    ` Cgroup Driver: ${s.CgroupDriver}`,
    ` Cgroup Version: ${s.CgroupVersion}`,
    ' Plugins:',
    `  Volume: ${s.Plugins.Volume.join(' ')}`,
    `  Network: ${s.Plugins.Network.join(' ')}`,
    `  Log: ${s.Plugins.Log.join(' ')}`,
    ' Swarm: inactive',
    ` Runtimes: ${Object.keys(s.Runtimes).sort().join(' ')}`,
    ` Default Runtime: ${s.DefaultRuntime}`,
    ` Init Binary: ${s.InitBinary}`,
    ` containerd version: ${s.ContainerdCommit.ID}`,
    ` runc version: ${s.RuncCommit.ID}`,
    ` init version: ${s.InitCommit.ID}`,
    ' Security Options:',
    ...security,
    ` Kernel Version: ${s.KernelVersion}`,
    ` Operating System: ${s.OperatingSystem}`,
    ` OSType: ${s.OSType}`,
    ` Architecture: ${s.Architecture}`,
    ` CPUs: ${s.NCPU}`,
    ` Total Memory: ${binarySize(s.MemTotal)}`,
    ` Name: ${s.Name}`,
    ` ID: ${s.ID}`,
    ` Docker Root Dir: ${s.DockerRootDir}`,
    ' Debug Mode: false',
    ' Experimental: false',
    ' Insecure Registries:',
    ...s.RegistryConfig.InsecureRegistryCIDRs.map((c: string) => `  ${c}`),
    ' Live Restore Enabled: false',
    '',
  ];
  return `${out.join('\n')}\n`;
}

export const events: Command = {
  names: ['events', 'system events'],
  usage: '[OPTIONS]',
  short: 'Get real time events from the server',
  args: [0, 0],
  options: `
  -f, --filter filter   Filter output based on conditions provided
      --format string   Format output using a custom template:
                        'json':             Print in JSON format
                        'TEMPLATE':         Print output using the given Go template.
                        Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates
      --since string    Show all events created since timestamp
      --until string    Stream events until this timestamp
`,
  *run(client, flags) {
    const now = yield* nowNs();
    const when = (name: string): string | undefined => (flags.get(name) ? timestamp(flags.get(name)!, now, name) : undefined);
    const format = flags.get('format') ?? '';
    const template = format === '' || format === 'json' ? null : formatOf(format);
    const opened = yield* stream(client, 'GET', '/events', {
      query: { since: when('since'), until: when('until'), filters: filtersOf(flags.all('filter')) },
    });
    yield* lines(opened, function* (e) {
      yield* print(`${template ? execute(template, eventType(e), '') : format === 'json' ? goJson(e) : eventText(e)}\n`);
    });
    return 0;
  },
};

/** The format, tried on an empty message first. Throws Stop. */
function formatOf(format: string): Template {
  try {
    const template = parseTemplate(format);
    execute(template, eventType({ Type: '', Action: '', Actor: { ID: '', Attributes: {} }, time: 0, timeNano: 0 }), '');
    return template;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new Stop(`Error parsing format: ${error.message}`, 64);
  }
}

function eventText(e: Any): string {
  const attributes = Object.entries(e.Actor.Attributes as Record<string, string>)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([k, v]) => `${k}=${v}`);
  const [seconds, fraction] = [Math.floor(e.timeNano / 1e9), e.timeNano % 1e9];
  const time = `${isoNano(seconds * 1e9).slice(0, 19)}.${String(Math.floor(fraction)).padStart(9, '0')}Z`;
  return `${time} ${e.Type} ${e.Action} ${e.Actor.ID}${attributes.length > 0 ? ` (${attributes.join(', ')})` : ''}`;
}

const reclaim = (free: number, total: number): string =>
  `${decimalSize(free, 4)}${total > 0 ? ` (${Math.floor((free * 100) / total)}%)` : ''}`;

export const df: Command = {
  names: ['system df'],
  usage: '[OPTIONS]',
  short: 'Show docker disk usage',
  args: [0, 0],
  options:
    '\n      --format string   Format output using a custom template\n  -v, --verbose         Show detailed information on space usage\n',
  *run(client, flags) {
    const d = yield* api(client, 'GET', '/system/df');
    if (flags.has('verbose')) {
      yield* print(dfVerbose(d, yield* nowNs()));
      return 0;
    }
    const images: Any[] = d.Images ?? [];
    const containers: Any[] = d.Containers ?? [];
    const volumes: Any[] = d.Volumes ?? [];
    const cache: Any[] = d.BuildCache ?? [];
    const sum = (list: Any[], of: (x: Any) => number): number => list.reduce((n, x) => n + of(x), 0);
    const used = sum(
      images.filter((i) => i.Containers > 0),
      (i) => i.Size - i.SharedSize,
    );
    const free = d.LayersSize - used;
    const stopped = containers.filter((c) => !/^(running|paused|restarting)$/.test(c.State));
    const idle = volumes.filter((v) => v.UsageData.RefCount === 0);
    const rows = [
      ['Images', images.length, images.filter((i) => i.Containers > 0).length, decimalSize(d.LayersSize), reclaim(free, d.LayersSize)],
      [
        'Containers',
        containers.length,
        containers.length - stopped.length,
        decimalSize(sum(containers, (c) => c.SizeRw ?? 0)),
        reclaim(
          sum(stopped, (c) => c.SizeRw ?? 0),
          sum(containers, (c) => c.SizeRw ?? 0),
        ),
      ],
      [
        'Local Volumes',
        volumes.length,
        volumes.length - idle.length,
        decimalSize(sum(volumes, (v) => v.UsageData.Size)),
        reclaim(
          sum(idle, (v) => v.UsageData.Size),
          sum(volumes, (v) => v.UsageData.Size),
        ),
      ],
      [
        'Build Cache',
        cache.length,
        cache.filter((c) => c.InUse).length,
        decimalSize(
          sum(
            cache.filter((c) => !c.Shared),
            (c) => c.Size,
          ),
        ),
        decimalSize(
          sum(
            cache.filter((c) => !c.Shared && !c.InUse),
            (c) => c.Size,
          ),
        ),
      ],
    ].map(([Type, Total, Active, Size, Reclaimable]) => ({
      Type: String(Type),
      TotalCount: String(Total),
      Active: String(Active),
      Size: String(Size),
      Reclaimable: String(Reclaimable),
    }));
    yield* printRows(
      flags.get('format') ?? '',
      'Type TotalCount Active Size Reclaimable',
      { Type: 'TYPE', TotalCount: 'TOTAL', Active: 'ACTIVE', Size: 'SIZE', Reclaimable: 'RECLAIMABLE' },
      rows,
    );
    return 0;
  },
};

function dfVerbose(d: Any, now: number): string {
  const ago = (seconds: number): string => `${humanDuration(now - seconds * 1e9)} ago`;
  const section = (title: string, head: string, rows: string[][]): string =>
    `${title}\n\n${tabulate([head, ...rows.map((r) => r.join('\t'))].join('\n'), 10, 3)}\n\n`;
  const images = (d.Images ?? []).flatMap((i: Any) =>
    ((i.RepoTags ?? []).length > 0 ? i.RepoTags : ['<none>:<none>']).map((t: string) => {
      const cut = t.lastIndexOf(':');
      return [
        t.slice(0, cut),
        t.slice(cut + 1),
        shortId(i.Id),
        ago(i.Created),
        decimalSize(i.Size, 3),
        decimalSize(i.SharedSize),
        decimalSize(i.Size - i.SharedSize),
        String(i.Containers),
      ];
    }),
  );
  const containers = (d.Containers ?? []).map((c: Any) => [
    shortId(c.Id),
    ellipsisOfId(c.Image),
    JSON.stringify(ellipsis(c.Command, 20)),
    String((c.Mounts ?? []).filter((m: Any) => m.Driver === 'local').length),
    decimalSize(c.SizeRw ?? 0, 3),
    ago(c.Created),
    c.Status,
    c.Names[0].slice(1),
  ]);
  const volumes = (d.Volumes ?? []).map((v: Any) => [v.Name, String(v.UsageData.RefCount), decimalSize(v.UsageData.Size, 3)]);
  const cache: Any[] = d.BuildCache ?? [];
  const shown = cache.map((c) => [
    c.ID.slice(0, 12),
    c.Type,
    decimalSize(c.Size, 3),
    ago(c.CreatedAt),
    ago(c.LastUsedAt),
    String(c.UsageCount),
    String(c.Shared),
  ]);
  return (
    section('Images space usage:', 'REPOSITORY\tTAG\tIMAGE ID\tCREATED\tSIZE\tSHARED SIZE\tUNIQUE SIZE\tCONTAINERS', images) +
    section('Containers space usage:', 'CONTAINER ID\tIMAGE\tCOMMAND\tLOCAL VOLUMES\tSIZE\tCREATED\tSTATUS\tNAMES', containers) +
    section('Local Volumes space usage:', 'VOLUME NAME\tLINKS\tSIZE', volumes) +
    section(
      `Build cache usage: ${decimalSize(cache.filter((c) => !c.Shared).reduce((n, c) => n + c.Size, 0))}`,
      'CACHE ID\tCACHE TYPE\tSIZE\tCREATED\tLAST USED\tUSAGE\tSHARED',
      shown,
    ).replace(/\n$/, '')
  );
}

function* pruneOf(
  client: Client,
  kind: 'containers' | 'images' | 'volumes',
  query: Record<string, string | undefined>,
): Call<{ text: string; space: number }> {
  const gone = yield* api(client, 'POST', `/${kind}/prune`, { query });
  const list: Any[] = gone[{ containers: 'ContainersDeleted', images: 'ImagesDeleted', volumes: 'VolumesDeleted' }[kind]] ?? [];
  const title = { containers: 'Deleted Containers:', images: 'Deleted Images:', volumes: 'Deleted Volumes:' }[kind];
  const names = list.map((x) => (typeof x === 'string' ? x : x.Untagged ? `untagged: ${x.Untagged}` : `deleted: ${x.Deleted}`));
  return { text: names.length > 0 ? `${title}\n${names.map((n) => `${n}\n`).join('')}\n` : '', space: gone.SpaceReclaimed ?? 0 };
}

const FORCE =
  '      --filter filter   Provide filter values (e.g. "label=<key>=<value>")\n  -f, --force           Do not prompt for confirmation\n';

function pruner(
  names: string[],
  short: string,
  kind: 'containers' | 'images' | 'volumes',
  warning: (flags: Flags) => string,
  more = '',
): Command {
  return {
    names,
    usage: '[OPTIONS]',
    short,
    args: [0, 0],
    options: `\n${more}${FORCE}`,
    *run(client, flags) {
      if (!(yield* prompt(flags, warning(flags)))) return 0;
      const filters = [
        ...flags.all('filter'),
        ...(kind === 'images' && flags.has('all') ? ['dangling=false'] : kind === 'volumes' && flags.has('all') ? ['all=true'] : []),
      ];
      const { text, space } = yield* pruneOf(client, kind, { filters: filtersOf(filters) });
      yield* print(`${text}Total reclaimed space: ${decimalSize(space)}\n`);
      return 0;
    },
  };
}

export const prunes: readonly Command[] = [
  pruner(['container prune'], 'Remove all stopped containers', 'containers', () => 'This will remove all stopped containers.'),
  pruner(
    ['image prune'],
    'Remove unused images',
    'images',
    (f) =>
      f.has('all')
        ? 'This will remove all images without at least one container associated to them.'
        : 'This will remove all dangling images.',
    '  -a, --all             Remove all unused images, not just dangling ones\n',
  ),
  pruner(
    ['volume prune'],
    'Remove unused local volumes',
    'volumes',
    (f) =>
      f.has('all')
        ? 'This will remove all local volumes not used by at least one container.'
        : 'This will remove anonymous local volumes not used by at least one container.',
    '  -a, --all             Remove all unused volumes, not just anonymous ones\n',
  ),
  {
    names: ['system prune'],
    usage: '[OPTIONS]',
    short: 'Remove unused data',
    args: [0, 0],
    options: `\n  -a, --all             Remove all unused images not just dangling ones\n${FORCE}      --volumes         Prune anonymous volumes\n`,
    *run(client, flags) {
      const all = flags.has('all');
      const list = [
        'all stopped containers',
        'all networks not used by at least one container',
        ...(flags.has('volumes') ? ['all anonymous volumes not used by at least one container'] : []),
        all ? 'all images without at least one container associated to them' : 'all dangling images',
        all ? 'all build cache' : 'unused build cache',
      ];
      if (!(yield* prompt(flags, `This will remove:\n${list.map((l) => `  - ${l}\n`).join('')}`))) return 0;
      let space = 0;
      const one = function* (kind: 'containers' | 'images' | 'volumes', filters: string[]): Call<void> {
        const gone = yield* pruneOf(client, kind, { filters: filtersOf([...flags.all('filter'), ...filters]) });
        space += gone.space;
        yield* print(gone.text);
      };
      yield* one('containers', []);
      yield* pruneNetworks(client, flags);
      if (flags.has('volumes')) yield* one('volumes', []);
      yield* one('images', all ? ['dangling=false'] : []);
      const cache = yield* api(client, 'POST', '/build/prune', { query: { all: all ? 1 : undefined } });
      space += cache.SpaceReclaimed ?? 0;
      if ((cache.CachesDeleted ?? []).length > 0)
        yield* print(`Deleted build cache objects:\n${cache.CachesDeleted.map((c: string) => `${c}\n`).join('')}\n`);
      yield* print(`Total reclaimed space: ${decimalSize(space)}\n`);
      return 0;
    },
  },
];

export const contextLs: Command = {
  names: ['context ls', 'context list'],
  usage: '[OPTIONS]',
  short: 'List contexts',
  args: [0, 0],
  options: '\n      --format string   Format output using a custom template\n  -q, --quiet           Only show context names\n',
  *run(client, flags) {
    const rows = [{ Name: 'default *', Description: 'Current DOCKER_HOST based configuration', DockerEndpoint: client.host, Error: '' }];
    yield* printRows(
      flags.get('format') ?? '',
      'Name Description DockerEndpoint Error',
      { Name: 'NAME', Description: 'DESCRIPTION', DockerEndpoint: 'DOCKER ENDPOINT', Error: 'ERROR' },
      rows,
    );
    return 0;
  },
};

export const search: Command = {
  names: ['search'],
  usage: '[OPTIONS] TERM',
  short: 'Search Docker Hub for images',
  args: [1, 1],
  options:
    "\n  -f, --filter filter   Filter output based on conditions provided\n      --limit int       Max number of search results\n      --no-trunc        Don't truncate output\n",
  *run(client, flags) {
    yield* api(client, 'GET', '/images/search', { query: { term: flags.args[0]!, limit: flags.get('limit') ?? 25 } });
    return 0;
  },
};
