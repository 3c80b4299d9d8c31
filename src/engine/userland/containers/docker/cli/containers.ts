/** Commands on containers that only ask and print. Source: docker/cli command/container, formatter/container.go. */
import { type Call, type Stream } from '../../../lib/http.ts';
import { decimalSize, goTime, humanDuration, nowNs } from '../../../lib/clock.ts';
import { complain, print } from '../../../lib/io.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { joinBytes } from '../../../../sim/wire.ts';
import { frames } from './attach.ts';
import { writeAll } from '../../../lib/http.ts';
import { type Any, api, ApiError, type Client, filtersOf, Stop, stream } from './client.ts';
import type { Command } from './command.ts';
import { restartPolicy } from './runflags.ts';
import { FORMAT_HELP, printRows, type Row } from './table.ts';
import { ellipsis, nanoCpus, shortId, sizeBytes } from './values.ts';
import { timestamp } from './when.ts';

const PS_TITLES: Row = {
  ID: 'CONTAINER ID',
  Image: 'IMAGE',
  Command: 'COMMAND',
  RunningFor: 'CREATED',
  CreatedAt: 'CREATED AT',
  Status: 'STATUS',
  State: 'STATE',
  Ports: 'PORTS',
  Names: 'NAMES',
  Size: 'SIZE',
  Labels: 'LABELS',
  Mounts: 'MOUNTS',
  LocalVolumes: 'LOCAL VOLUMES',
  Networks: 'NETWORKS',
};

export const ps: Command = {
  names: ['ps', 'container ls', 'container list', 'container ps'],
  usage: '[OPTIONS]',
  short: 'List containers',
  args: [0, 0],
  options: `
  -a, --all             Show all containers (default shows just running)
  -f, --filter filter   Filter output based on conditions provided
${FORMAT_HELP}
  -n, --last int        Show n last created containers (includes all states) (default -1)
  -l, --latest          Show the latest created container (includes all states)
      --no-trunc        Don't truncate output
  -q, --quiet           Only display container IDs
  -s, --size            Display total file sizes
`,
  *run(client, flags) {
    const last = flags.has('latest') ? 1 : Number(flags.get('last') ?? -1);
    const format = flags.get('format') ?? '';
    const size = flags.has('size') || /\.Size\b/.test(format);
    const found = yield* api(client, 'GET', '/containers/json', {
      query: {
        all: flags.has('all') || last > 0 ? 1 : undefined,
        limit: last > 0 ? last : undefined,
        size: size ? 1 : undefined,
        filters: filtersOf(flags.all('filter')),
      },
    });
    const whole = flags.has('no-trunc');
    if (flags.has('quiet') && format === '') {
      yield* print(found.map((c: Any) => `${whole ? c.Id : shortId(c.Id)}\n`).join(''));
      return 0;
    }
    const now = yield* nowNs();
    if (format === 'raw') {
      yield* print(found.map((c: Any) => rawRow(psRow(c, whole, now), flags.has('size'))).join(''));
      return 0;
    }
    const columns = `ID Image Command RunningFor Status Ports Names${flags.has('size') ? ' Size' : ''}`;
    yield* printRows(
      format,
      columns,
      PS_TITLES,
      found.map((c: Any) => psRow(c, whole, now)),
      'formatter.ContainerContext',
    );
    return 0;
  },
};

/** A container as `--format raw` tells of it: a field a line, then an empty one. */
function rawRow(row: Row, size: boolean): string {
  const padded = (text: string | undefined): string => (text ? ` ${text}` : '');
  const { ID, Image, Command, CreatedAt, State, Status, Names, Labels, Ports, Size } = row;
  return `container_id: ${ID}\nimage: ${Image}\ncommand: ${Command}\ncreated_at: ${CreatedAt}\nstate:${padded(State)}\nstatus:${padded(Status)}\nnames: ${Names}\nlabels:${padded(Labels)}\nports:${padded(Ports)}\n${size ? `size: ${Size}\n` : ''}\n`;
}

function psRow(c: Any, whole: boolean, now: number): Row {
  const mounts: Any[] = c.Mounts ?? [];
  const name = (m: Any): string => m.Name || m.Source;
  const size = decimalSize(c.SizeRw ?? 0, 3);
  return {
    ID: whole ? c.Id : shortId(c.Id),
    Image: whole ? c.Image : ellipsisOfId(c.Image),
    Command: JSON.stringify(whole ? c.Command : ellipsis(c.Command, 20)),
    CreatedAt: goTime(c.Created * 1e9),
    RunningFor: `${humanDuration(now - c.Created * 1e9)} ago`,
    Status: c.Status,
    State: c.State,
    Ports: portsText(c.Ports ?? []),
    Names: c.Names.map((n: string) => n.replace(/^\//, ''))
      .filter((n: string) => !n.includes('/'))
      .join(','),
    Size: c.SizeRootFs ? `${size} (virtual ${decimalSize(c.SizeRootFs, 3)})` : size,
    Labels: Object.entries(c.Labels ?? {})
      .map(([k, v]) => `${k}=${v}`)
      .sort()
      .join(','),
    Mounts: mounts.map((m) => (whole ? name(m) : ellipsis(name(m), 15))).join(','),
    LocalVolumes: String(mounts.filter((m) => m.Driver === 'local').length),
    Networks: Object.keys(c.NetworkSettings?.Networks ?? {})
      .sort()
      .join(','),
  };
}

/** An image's name; of an id its first digits. */
export function ellipsisOfId(image: string): string {
  return /^sha256:[0-9a-f]{64}$/.test(image) ? shortId(image) : image || '<no image>';
}

/** Ports as one text: contiguous ones whose numbers agree as ranges, then the mapped. */
export function portsText(ports: readonly Any[]): string {
  const sorted = [...ports].sort(
    (a, b) =>
      a.PrivatePort - b.PrivatePort ||
      compare(a.IP ?? '', b.IP ?? '') ||
      (a.PublicPort ?? 0) - (b.PublicPort ?? 0) ||
      compare(a.Type, b.Type),
  );
  const groups = new Map<string, { first: number; last: number }>();
  const out: string[] = [];
  const mapped: string[] = [];
  const form = (key: string, g: { first: number; last: number }): string => {
    const cut = key.lastIndexOf('/');
    const range = g.first === g.last ? `${g.first}` : `${g.first}-${g.last}`;
    return cut < 0 ? `${range}/${key}` : `${key.slice(0, cut)}:${range}->${range}/${key.slice(cut + 1)}`;
  };
  for (const p of sorted) {
    if (p.IP && p.PublicPort !== p.PrivatePort) {
      mapped.push(`${p.IP}:${p.PublicPort}->${p.PrivatePort}/${p.Type}`);
      continue;
    }
    const key = p.IP ? `${p.IP}/${p.Type}` : p.Type;
    const group = groups.get(key);
    if (group && p.PrivatePort === group.last + 1) group.last = p.PrivatePort;
    else {
      if (group) out.push(form(key, group));
      groups.set(key, { first: p.PrivatePort, last: p.PrivatePort });
    }
  }
  return [...out, ...[...groups].map(([key, g]) => form(key, g)), ...mapped].join(', ');
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

/** Does one thing to each container named and prints the name; failures are told together at the end. */
function each(
  names: string[],
  usage: string,
  short: string,
  options: string,
  act: (client: Client, name: string, flags: Parameters<Command['run']>[1]) => Call<string | null>,
): Command {
  return {
    names,
    usage,
    short,
    options,
    args: [1, -1],
    *run(client, flags) {
      const errors: string[] = [];
      for (const name of flags.args) {
        try {
          const shown = yield* act(client, name, flags);
          if (shown !== null) yield* print(`${shown}\n`);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          errors.push(`Error response from daemon: ${error.message}`);
        }
      }
      if (errors.length > 0) throw new Stop(errors.join('\n'));
      return 0;
    },
  };
}

const at = (name: string, what: string): string => `/containers/${encodeURIComponent(name)}/${what}`;
const MANY = '[OPTIONS] CONTAINER [CONTAINER...]';
const SIGNAL = '  -s, --signal string   Signal to send to the container';

export const simple: readonly Command[] = [
  each(
    ['stop', 'container stop'],
    MANY,
    'Stop one or more running containers',
    `\n${SIGNAL}\n  -t, --time int        Seconds to wait before killing the container\n`,
    function* (client, name, flags) {
      yield* api(client, 'POST', at(name, 'stop'), { query: { t: flags.get('time'), signal: flags.get('signal') } });
      return name;
    },
  ),
  each(
    ['restart', 'container restart'],
    MANY,
    'Restart one or more containers',
    `\n${SIGNAL}\n  -t, --time int        Seconds to wait before killing the container\n`,
    function* (client, name, flags) {
      yield* api(client, 'POST', at(name, 'restart'), { query: { t: flags.get('time'), signal: flags.get('signal') } });
      return name;
    },
  ),
  each(['kill', 'container kill'], MANY, 'Kill one or more running containers', `\n${SIGNAL}\n`, function* (client, name, flags) {
    yield* api(client, 'POST', at(name, 'kill'), { query: { signal: flags.get('signal') } });
    return name;
  }),
  each(
    ['pause', 'container pause'],
    'CONTAINER [CONTAINER...]',
    'Pause all processes within one or more containers',
    '',
    function* (client, name) {
      yield* api(client, 'POST', at(name, 'pause'));
      return name;
    },
  ),
  each(
    ['unpause', 'container unpause'],
    'CONTAINER [CONTAINER...]',
    'Unpause all processes within one or more containers',
    '',
    function* (client, name) {
      yield* api(client, 'POST', at(name, 'unpause'));
      return name;
    },
  ),
  each(
    ['wait', 'container wait'],
    'CONTAINER [CONTAINER...]',
    'Block until one or more containers stop, then print their exit codes',
    '',
    function* (client, name) {
      const answer = yield* api(client, 'POST', at(name, 'wait'));
      return String(answer.StatusCode);
    },
  ),
  each(
    ['rm', 'container rm', 'container remove'],
    MANY,
    'Remove one or more containers',
    `
  -f, --force     Force the removal of a running container (uses SIGKILL)
  -l, --link      Remove the specified link
  -v, --volumes   Remove anonymous volumes associated with the container
`,
    function* (client, name, flags) {
      const clean = name.replace(/^\/+/, '');
      if (clean === '') throw new ApiError('Container name cannot be empty', 400);
      try {
        yield* api(client, 'DELETE', `/containers/${encodeURIComponent(clean)}`, {
          query: { force: flags.has('force') ? 1 : undefined, v: flags.has('volumes') ? 1 : undefined, link: flags.has('link') ? 1 : undefined },
        });
      } catch (error) {
        if (!(error instanceof ApiError) || !flags.has('force') || error.status !== 404) throw error;
        yield* complain(`Error response from daemon: ${error.message}\n`);
        return null;
      }
      return name;
    },
  ),
  each(
    ['update', 'container update'],
    MANY,
    'Update configuration of one or more containers',
    `
      --blkio-weight uint16        Block IO (relative weight), between 10 and 1000, or 0 to disable (default 0)
      --cpu-period int             Limit CPU CFS (Completely Fair Scheduler) period
      --cpu-quota int              Limit CPU CFS (Completely Fair Scheduler) quota
  -c, --cpu-shares int             CPU shares (relative weight)
      --cpus decimal               Number of CPUs
      --cpuset-cpus string         CPUs in which to allow execution (0-3, 0,1)
      --cpuset-mems string         MEMs in which to allow execution (0-3, 0,1)
  -m, --memory bytes               Memory limit
      --memory-reservation bytes   Memory soft limit
      --memory-swap bytes          Swap limit equal to memory plus swap: -1 to enable unlimited swap
      --pids-limit int             Tune container pids limit (set -1 for unlimited)
      --restart string             Restart policy to apply when a container exits
`,
    function* (client, name, flags) {
      const size = (flag: string): number => (flags.get(flag) === '-1' ? -1 : (sizeBytes(flags.get(flag) ?? '0') ?? 0));
      const body = {
        BlkioWeight: Number(flags.get('blkio-weight') ?? 0),
        CpuShares: Number(flags.get('cpu-shares') ?? 0),
        Memory: size('memory'),
        NanoCpus: nanoCpus(flags.get('cpus') ?? '0'),
        CpuPeriod: Number(flags.get('cpu-period') ?? 0),
        CpuQuota: Number(flags.get('cpu-quota') ?? 0),
        CpusetCpus: flags.get('cpuset-cpus') ?? '',
        CpusetMems: flags.get('cpuset-mems') ?? '',
        MemoryReservation: size('memory-reservation'),
        MemorySwap: size('memory-swap'),
        PidsLimit: flags.has('pids-limit') ? Number(flags.get('pids-limit')) : null,
        RestartPolicy: flags.has('restart') ? restartPolicy(flags.get('restart')!) : { Name: '', MaximumRetryCount: 0 },
      };
      if (flags.on.size === 0) throw new Stop('you must provide one or more flags when using this command');
      const answer = yield* api(client, 'POST', at(name, 'update'), { body });
      for (const warning of answer?.Warnings ?? []) yield* complain(`${warning}\n`);
      return name;
    },
  ),
];

export const rename: Command = {
  names: ['rename', 'container rename'],
  usage: 'CONTAINER NEW_NAME',
  short: 'Rename a container',
  options: '',
  args: [2, 2],
  *run(client, flags) {
    const [from, to] = flags.args.map((a) => a.trim()) as [string, string];
    if (from === '' || to === '') throw new Stop('Error: Neither old nor new names may be empty');
    try {
      yield* api(client, 'POST', at(from, 'rename'), { query: { name: to } });
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      yield* complain(`Error response from daemon: ${error.message}\n`);
      throw new Stop(`Error: failed to rename container named ${from}`);
    }
    return 0;
  },
};

export const top: Command = {
  names: ['top', 'container top'],
  usage: 'CONTAINER [ps OPTIONS]',
  short: 'Display the running processes of a container',
  options: '',
  args: [1, -1],
  inOrder: true,
  *run(client, flags) {
    const [name, ...args] = flags.args as [string, ...string[]];
    const answer = yield* api(client, 'GET', at(name, 'top'), { query: { ps_args: args.length > 0 ? args.join(' ') : undefined } });
    yield* print(`${tabulate([answer.Titles, ...answer.Processes].map((r: string[]) => r.join('\t')).join('\n'), 20, 3)}\n`);
    return 0;
  },
};

export const port: Command = {
  names: ['port', 'container port'],
  usage: 'CONTAINER [PRIVATE_PORT[/PROTO]]',
  short: 'List port mappings or a specific mapping for the container',
  options: '',
  args: [1, 2],
  *run(client, flags) {
    const [name, wanted] = flags.args as [string, string | undefined];
    const info = yield* api(client, 'GET', at(name, 'json'));
    const ports: Record<string, { HostIp: string; HostPort: string }[] | null> = info.NetworkSettings.Ports ?? {};
    const host = (b: { HostIp: string; HostPort: string }): string =>
      `${b.HostIp.includes(':') ? `[${b.HostIp}]` : b.HostIp}:${b.HostPort}`;
    if (wanted !== undefined) {
      const [number, proto = 'tcp'] = wanted.split('/');
      if (!/^\d+$/.test(number!)) throw new Stop(`Error: invalid port (${wanted}): strconv.ParseUint: parsing ${JSON.stringify(number)}: invalid syntax`);
      const bound = ports[`${number}/${proto}`];
      if (!bound) throw new Stop(`Error: No public port '${wanted}' published for ${name}`);
      yield* print(bound.map((b) => `${host(b)}\n`).join(''));
      return 0;
    }
    const lines = Object.entries(ports).flatMap(([key, bound]) => (bound ?? []).map((b) => `${key} -> ${host(b)}`));
    lines.sort((a, b) => Number.parseInt(a, 10) - Number.parseInt(b, 10) || compare(a, b));
    yield* print(lines.map((l) => `${l}\n`).join(''));
    return 0;
  },
};

const KINDS: Readonly<Record<number, string>> = { 0: 'C', 1: 'A', 2: 'D' };

export const diff: Command = {
  names: ['diff', 'container diff'],
  usage: 'CONTAINER',
  short: "Inspect changes to files or directories on a container's filesystem",
  options: '',
  args: [1, 1],
  *run(client, flags) {
    if (flags.args[0] === '') throw new Stop('Container name cannot be empty');
    const changes = yield* api(client, 'GET', at(flags.args[0]!, 'changes'));
    yield* print((changes ?? []).map((c: Any) => `${KINDS[c.Kind]} ${c.Path}\n`).join(''));
    return 0;
  },
};

export const logs: Command = {
  names: ['logs', 'container logs'],
  usage: '[OPTIONS] CONTAINER',
  short: 'Fetch the logs of a container',
  args: [1, 1],
  options: `
      --details        Show extra details provided to logs
  -f, --follow         Follow log output
      --since string   Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
  -n, --tail string    Number of lines to show from the end of the logs (default "all")
  -t, --timestamps     Show timestamps
      --until string   Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m" for 42 minutes)
`,
  *run(client, flags) {
    const info = yield* api(client, 'GET', at(flags.args[0]!, 'json'));
    const now = yield* nowNs();
    const when = (name: string): string | undefined => (flags.get(name) ? timestamp(flags.get(name)!, now, name) : undefined);
    const opened = yield* stream(client, 'GET', at(info.Id, 'logs'), {
      query: {
        stdout: 1,
        stderr: 1,
        since: when('since'),
        until: when('until'),
        timestamps: flags.has('timestamps') ? 1 : undefined,
        follow: flags.has('follow') ? 1 : undefined,
        tail: flags.get('tail') ?? 'all',
        details: flags.has('details') ? 1 : undefined,
      },
    });
    yield* copyOut(opened, info.Config.Tty);
    return 0;
  },
};

export function* copyOut(opened: Stream, tty: boolean): Call<void> {
  let held: Uint8Array = new Uint8Array(0);
  for (;;) {
    const chunk = yield* opened.readChunk();
    if (chunk === null) return;
    if (tty) yield* writeAll(1, chunk);
    else held = yield* frames(held.length === 0 ? chunk : joinBytes([held, chunk]));
  }
}
