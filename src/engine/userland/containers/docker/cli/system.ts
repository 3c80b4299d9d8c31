/** docker info, version, events, context and buildx as far as they are there. Source: docker/cli command/system. */
import { binarySize, isoNano, nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { execute, goJson, parseTemplate, type Template, TemplateError, told } from '../../template.ts';
import { type Any, api, ApiError, filtersOf, lines, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import { parsed } from './table.ts';
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
      yield* print(`${format === 'json' ? goJson(data) : yield* byFormat(format, versionType(data), 'version')}\n`);
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

/** Throws Stop with what is wrong with the format, after what came before it. */
function* byFormat(format: string, data: Any, name = ''): Call<string> {
  const template = parsed(format, 'template parsing error', 64, name);
  try {
    return execute(template, data, '');
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    yield* print(`${error.out}\n`);
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
    if (format !== '') yield* print(`${format === 'json' ? goJson(data) : yield* byFormat(format, fieldsOf('system.dockerInfo', data))}\n`);
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
    const when = (name: string): string | undefined => (flags.get(name) ? timestamp(flags.get(name)!, now) : undefined);
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
