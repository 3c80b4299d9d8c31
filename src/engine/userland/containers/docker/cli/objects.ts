/** docker network, volume and inspect. Source: docker/cli command/network, volume, system/inspect.go. */
import { sys } from '../../../../kernel/sys.ts';
import { text } from '../../../../sim/text.ts';
import type { Call } from '../../../lib/http.ts';
import { complain, print } from '../../../lib/io.ts';
import { decoded, execute, goJson, type Template, TemplateError } from '../../template.ts';
import { type Any, api, ApiError, type Client, filtersOf, Stop } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';
import { typed } from './gotypes.ts';
import { FORMAT_HELP, parsed, printRows, type Row } from './table.ts';
import { shortId } from './values.ts';

const FORMAT =
  "  -f, --format string   Format output using a custom template:\n                        'json':             Print in JSON format\n                        'TEMPLATE':         Print output using the given Go template.\n                        Refer to https://docs.docker.com/go/formatting/ for more information about formatting output with templates";

/** Prints what each name stands for, as an array or by a template; what went wrong is told after. Of what has no raw form only the Go type is looked at. */
export function* inspectAll(names: readonly string[], format: string, find: (name: string) => Call<Any>, raw: 'raw' | 'typed' = 'raw'): Call<number> {
  const template = format === '' || format === 'json' ? null : parsed(format, 'template parsing error', 64);
  const found: Any[] = [];
  const errors: string[] = [];
  let text = '';
  for (const name of names) {
    try {
      const one = yield* find(name);
      if (template) text += `${raw === 'typed' ? execute(template, typed(one, 'value'), '') : byTemplate(template, one)}\n`;
      found.push(one);
    } catch (error) {
      if (error instanceof ApiError) errors.push(`Error response from daemon: ${error.message}`);
      else if (error instanceof TemplateError) errors.push(`template parsing error: ${error.message}`);
      else if (error instanceof Missing) errors.push(error.message);
      else throw error;
    }
  }
  yield* print(template ? text || '\n' : `${format === 'json' ? goJson(found) : goJson(found, '    ')}\n`);
  if (errors.length > 0) throw new Stop(errors.join('\n'));
  return 0;
}

/** Over the Go types first; where they have no such field, over the JSON. Throws TemplateError. */
function byTemplate(template: Template, one: Any): string {
  try {
    return execute(template, typed(one), '');
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    return execute(template, decoded(one));
  }
}

export class Missing extends Error {}

const KINDS: readonly { type: string; path: (name: string, size: boolean) => string }[] = [
  { type: 'container', path: (n, size) => `/containers/${n}/json${size ? '?size=1' : ''}` },
  { type: 'image', path: (n) => `/images/${n}/json` },
  { type: 'network', path: (n) => `/networks/${n}` },
  { type: 'volume', path: (n) => `/volumes/${n}` },
];

/** Says what is not there for swarm's objects, as docker does without one. */
function* findAny(client: Client, name: string, type: string, size: boolean): Call<Any> {
  for (const kind of KINDS) {
    if (type !== '' && kind.type !== type) continue;
    try {
      return yield* api(client, 'GET', kind.path(encodeURIComponent(name), size));
    } catch (error) {
      if (!(error instanceof ApiError) || error.status !== 404 || type !== '') throw error;
    }
  }
  throw new Missing(`Error: No such ${type || 'object'}: ${name}`);
}

export const inspect: Command = {
  names: ['inspect'],
  usage: '[OPTIONS] NAME|ID [NAME|ID...]',
  short: 'Return low-level information on Docker objects',
  args: [1, -1],
  options: `\n${FORMAT}\n  -s, --size            Display total file sizes if the type is container\n      --type string     Return JSON for specified type\n`,
  *run(client, flags) {
    const type = flags.get('type') ?? '';
    if (!['', ...KINDS.map((k) => k.type)].includes(type))
      throw new Stop(`${JSON.stringify(type)} is not a valid value for --type`);
    return yield* inspectAll(flags.args, flags.get('format') ?? '', (name) => findAny(client, name, type, flags.has('size')));
  },
};

function inspector(names: string[], usage: string, short: string, path: (name: string, flags: Flags) => string, more = '', raw: 'raw' | 'typed' = 'raw'): Command {
  return {
    names,
    usage,
    short,
    args: [1, -1],
    options: `\n${FORMAT}\n${more}`,
    *run(client, flags) {
      return yield* inspectAll(flags.args, flags.get('format') ?? '', (name) => api(client, 'GET', path(encodeURIComponent(name), flags)), raw);
    },
  };
}

/** Asks before something is lost; -f answers. */
export function* prompt(flags: Flags, warning: string): Call<boolean> {
  if (flags.has('force')) return true;
  yield* print(`WARNING! ${warning}\nAre you sure you want to continue? [y/N] `);
  const answer = text(yield* sys('read', 0, 256));
  return /^y\s*$/i.test(answer);
}

/** Removes each by name, printing the names; a missing one is only told with -f. */
function remover(names: string[], usage: string, short: string, path: string): Command {
  return {
    names,
    usage,
    short,
    args: [1, -1],
    options: `\n  -f, --force   Do not error if the ${names[0]!.split(' ')[0]} does not exist\n`,
    *run(client, flags) {
      const errors: string[] = [];
      for (const name of flags.args) {
        try {
          yield* api(client, 'DELETE', `${path}/${encodeURIComponent(name)}`, { query: { force: flags.has('force') ? 1 : undefined } });
          yield* print(`${name}\n`);
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (flags.has('force') && error.status === 404) continue;
          errors.push(`Error response from daemon: ${error.message}`);
        }
      }
      if (errors.length > 0 && names[0] === 'network rm') {
        yield* complain(`${errors.join('\n')}\n`);
        return 1;
      }
      if (errors.length > 0) throw new Stop(errors.join('\n'));
      return 0;
    },
  };
}

const NETWORK_TITLES: Row = {
  ID: 'NETWORK ID',
  Name: 'NAME',
  Driver: 'DRIVER',
  Scope: 'SCOPE',
  IPv6: 'IPV6',
  Internal: 'INTERNAL',
  Labels: 'LABELS',
  CreatedAt: 'CREATED AT',
};

const labelsText = (labels: Record<string, string> | null): string =>
  Object.entries(labels ?? {})
    .map(([k, v]) => `${k}=${v}`)
    .sort()
    .join(',');
const pairs = (list: readonly string[]): Record<string, string> =>
  Object.fromEntries(list.map((l) => (l.includes('=') ? [l.slice(0, l.indexOf('=')), l.slice(l.indexOf('=') + 1)] : [l, ''])));

/** Ranges and gateways with the subnets they lie in. Throws Stop. */
function ipamOf(subnets: readonly string[], ranges: readonly string[], gateways: readonly string[]): Any[] {
  const config: Any[] = subnets.map((Subnet) => ({ Subnet }));
  const place = (value: string, field: 'IPRange' | 'Gateway', what: string): void => {
    const one = config.find((c) => within(c.Subnet, value));
    if (!one) throw new Stop(`no matching subnet for ${what} ${value}`);
    if (one[field]) throw new Stop(what === 'range' ? `cannot configure multiple ranges (${value}, ${one[field]}) on the same subnet (${one.Subnet})` : `cannot configure multiple gateways (${value}, ${one[field]}) for the same subnet (${one.Subnet})`);
    one[field] = value;
  };
  for (const range of ranges) place(range, 'IPRange', 'range');
  for (const gateway of gateways) place(gateway, 'Gateway', 'gateway');
  return config;
}

/** Does an address or a block lie in a subnet? Throws Stop for a subnet that is none. */
function within(subnet: string, value: string): boolean {
  const read = (text: string): { at: number; bits: number } | null => {
    const m = /^(\d{1,3})\.(\d{1,3})\.(\d{1,3})\.(\d{1,3})(?:\/(\d{1,2}))?$/.exec(text);
    return m && { at: m.slice(1, 5).reduce((n, part) => n * 256 + Number(part), 0), bits: Number(m[5] ?? 32) };
  };
  const net = read(subnet);
  if (!net || !subnet.includes('/')) throw new Stop(`invalid subnet: invalid CIDR address: ${subnet}`);
  const one = read(value);
  return one !== null && Math.floor(one.at / 2 ** (32 - net.bits)) === Math.floor(net.at / 2 ** (32 - net.bits));
}

export const networks: readonly Command[] = [
  {
    names: ['network ls', 'network list'],
    usage: '[OPTIONS]',
    short: 'List networks',
    args: [0, 0],
    options: `\n  -f, --filter filter   Provide filter values (e.g. "driver=bridge")\n${FORMAT_HELP}\n      --no-trunc        Do not truncate the output\n  -q, --quiet           Only display network IDs\n`,
    *run(client, flags) {
      const found: Any[] = yield* api(client, 'GET', '/networks', { query: { filters: filtersOf(flags.all('filter')) } });
      const rows = found.map(
        (n): Row => ({
          ID: flags.has('no-trunc') ? n.Id : shortId(n.Id),
          Name: n.Name,
          Driver: n.Driver,
          Scope: n.Scope,
          IPv6: String(n.EnableIPv6),
          Internal: String(n.Internal),
          Labels: labelsText(n.Labels),
          CreatedAt: n.Created,
        }),
      );
      rows.sort((a, b) => (a.Name! < b.Name! ? -1 : 1));
      if (flags.has('quiet') && !flags.has('format')) yield* print(rows.map((r) => `${r.ID}\n`).join(''));
      else yield* printRows(flags.get('format') ?? '', 'ID Name Driver Scope', NETWORK_TITLES, rows, 'network.networkContext');
      return 0;
    },
  },
  inspector(
    ['network inspect'],
    '[OPTIONS] NETWORK [NETWORK...]',
    'Display detailed information on one or more networks',
    (n) => `/networks/${n}`,
    '  -v, --verbose         Verbose output for diagnostics\n',
  ),
  {
    names: ['network create'],
    usage: '[OPTIONS] NETWORK',
    short: 'Create a network',
    args: [1, 1],
    options: `
      --attachable           Enable manual container attachment
      --aux-address map      Auxiliary IPv4 or IPv6 addresses used by Network driver (default map[])
      --config-from string   The network from which to copy the configuration
      --config-only          Create a configuration only network
  -d, --driver string        Driver to manage the Network (default "bridge")
      --gateway strings      IPv4 or IPv6 Gateway for the master subnet
      --ingress              Create swarm routing-mesh network
      --internal             Restrict external access to the network
      --ip-range strings     Allocate container ip from a sub-range
      --ipam-driver string   IP Address Management Driver (default "default")
      --ipam-opt map         Set IPAM driver specific options (default map[])
      --ipv6                 Enable IPv6 networking
      --label list           Set metadata on a network
  -o, --opt map              Set driver specific options (default map[])
      --scope string         Control the network's scope
      --subnet strings       Subnet in CIDR format that represents a network segment
`,
    *run(client, flags) {
      for (const absent of ['config-from', 'config-only', 'ingress', 'ipam-opt', 'scope']) if (flags.on.has(absent)) throw new Stop(`not modelled: docker network create --${absent}`);
      const subnets = flags.all('subnet');
      const gateways = flags.all('gateway');
      const ranges = flags.all('ip-range');
      if (subnets.length < gateways.length || subnets.length < ranges.length) throw new Stop('every ip-range or gateway must have a corresponding subnet');
      const config = ipamOf(subnets, ranges, gateways);
      const made = yield* api(client, 'POST', '/networks/create', {
        body: {
          Name: flags.args[0],
          Driver: flags.get('driver') ?? 'bridge',
          Internal: flags.has('internal'),
          Attachable: flags.has('attachable'),
          EnableIPv6: flags.has('ipv6'),
          IPAM: { Driver: flags.get('ipam-driver') ?? 'default', Config: config },
          Options: pairs(flags.all('opt')),
          Labels: pairs(flags.all('label')),
        },
      });
      yield* print(`${made.Id}\n`);
      return 0;
    },
  },
  remover(['network rm', 'network remove'], 'NETWORK [NETWORK...]', 'Remove one or more networks', '/networks'),
  {
    names: ['network connect'],
    usage: '[OPTIONS] NETWORK CONTAINER',
    short: 'Connect a container to a network',
    args: [2, 2],
    options:
      '\n      --alias list           Add network-scoped alias for the container\n      --ip string            IPv4 address (e.g., "172.30.100.104")\n',
    *run(client, flags) {
      const endpoint = {
        ...(flags.has('ip') ? { IPAMConfig: { IPv4Address: flags.get('ip') } } : {}),
        ...(flags.on.has('alias') ? { Aliases: flags.all('alias') } : {}),
      };
      yield* api(client, 'POST', `/networks/${encodeURIComponent(flags.args[0]!)}/connect`, {
        body: { Container: flags.args[1], EndpointConfig: endpoint },
      });
      return 0;
    },
  },
  {
    names: ['network disconnect'],
    usage: '[OPTIONS] NETWORK CONTAINER',
    short: 'Disconnect a container from a network',
    args: [2, 2],
    options: '\n  -f, --force   Force the container to disconnect from a network\n',
    *run(client, flags) {
      yield* api(client, 'POST', `/networks/${encodeURIComponent(flags.args[0]!)}/disconnect`, {
        body: { Container: flags.args[1], Force: flags.has('force') },
      });
      return 0;
    },
  },
  {
    names: ['network prune'],
    usage: '[OPTIONS]',
    short: 'Remove all unused networks',
    args: [0, 0],
    options:
      '\n      --filter filter   Provide filter values (e.g. "until=<timestamp>")\n  -f, --force           Do not prompt for confirmation\n',
    *run(client, flags) {
      if (!(yield* prompt(flags, 'This will remove all custom networks not used by at least one container.'))) return 0;
      yield* pruneNetworks(client, flags);
      return 0;
    },
  },
];

export function* pruneNetworks(client: Client, flags: Flags): Call<void> {
  const gone = yield* api(client, 'POST', '/networks/prune', { query: { filters: filtersOf(flags.all('filter')) } });
  const names: string[] = gone.NetworksDeleted ?? [];
  if (names.length > 0) yield* print(`Deleted Networks:\n${names.map((n) => `${n}\n`).join('')}\n`);
}

const VOLUME_TITLES: Row = {
  Driver: 'DRIVER',
  Name: 'VOLUME NAME',
  Scope: 'SCOPE',
  Mountpoint: 'MOUNTPOINT',
  Labels: 'LABELS',
  Links: 'LINKS',
  Size: 'SIZE',
  Availability: 'AVAILABILITY',
  Group: 'GROUP',
  Status: 'STATUS',
};

export const volumes: readonly Command[] = [
  {
    names: ['volume ls', 'volume list'],
    usage: '[OPTIONS]',
    short: 'List volumes',
    args: [0, 0],
    options: `\n  -f, --filter filter   Provide filter values (e.g. "dangling=true")\n${FORMAT_HELP}\n  -q, --quiet           Only display volume names\n`,
    *run(client, flags) {
      const found = yield* api(client, 'GET', '/volumes', { query: { filters: filtersOf(flags.all('filter')) } });
      const rows = (found.Volumes ?? []).map(
        (v: Any): Row => ({
          Driver: v.Driver,
          Name: v.Name,
          Scope: v.Scope,
          Mountpoint: v.Mountpoint,
          Labels: labelsText(v.Labels),
          Links: 'N/A',
          Size: 'N/A',
          Availability: 'N/A',
          Group: 'N/A',
          Status: 'N/A',
        }),
      );
      rows.sort((a: Row, b: Row) => (a.Name! < b.Name! ? -1 : 1));
      if (flags.has('quiet') && !flags.has('format')) yield* print(rows.map((r: Row) => `${r.Name}\n`).join(''));
      else yield* printRows(flags.get('format') ?? '', 'Driver Name', VOLUME_TITLES, rows, 'formatter.volumeContext');
      return 0;
    },
  },
  {
    names: ['volume create'],
    usage: '[OPTIONS] [VOLUME]',
    short: 'Create a volume',
    args: [0, 1],
    options:
      '\n  -d, --driver string         Specify volume driver name (default "local")\n      --label list            Set metadata for a volume\n      --name string          \n  -o, --opt map               Set driver specific options (default map[])\n',
    *run(client, flags) {
      const made = yield* api(client, 'POST', '/volumes/create', {
        body: {
          Name: flags.args[0] ?? flags.get('name') ?? '',
          Driver: flags.get('driver') ?? 'local',
          DriverOpts: pairs(flags.all('opt')),
          Labels: pairs(flags.all('label')),
        },
      });
      yield* print(`${made.Name}\n`);
      return 0;
    },
  },
  inspector(
    ['volume inspect'],
    '[OPTIONS] VOLUME [VOLUME...]',
    'Display detailed information on one or more volumes',
    (n) => `/volumes/${n}`,
    '',
    'typed',
  ),
  remover(['volume rm', 'volume remove'], '[OPTIONS] VOLUME [VOLUME...]', 'Remove one or more volumes', '/volumes'),
];

export const containerInspect = inspector(
  ['container inspect'],
  '[OPTIONS] CONTAINER [CONTAINER...]',
  'Display detailed information on one or more containers',
  (n, flags) => `/containers/${n}/json${flags.has('size') ? '?size=1' : ''}`,
  '  -s, --size            Display total file sizes\n',
);
export const imageInspect = inspector(
  ['image inspect'],
  '[OPTIONS] IMAGE [IMAGE...]',
  'Display detailed information on one or more images',
  (n) => `/images/${n}/json`,
);
