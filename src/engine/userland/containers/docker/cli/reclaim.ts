/** docker system df and the prunes: what images, containers, volumes and the build cache take, and giving it back. Source: docker/cli command/system. */
import { decimalSize, humanDuration, nowNs } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { tabulate } from '../../../kube/kubectl/tabwriter.ts';
import { type Any, api, type Client, filtersOf, Stop } from './client.ts';
import type { Command } from './command.ts';
import type { Flags } from './flags.ts';
import { ellipsisOfId } from './containers.ts';
import { prompt, pruneNetworks } from './objects.ts';
import { printRows } from './table.ts';
import { ellipsis, shortId } from './values.ts';

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
      'formatter.diskUsageImagesContext',
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

const force = (example: string): string => `      --filter filter   Provide filter values (e.g. "${example}")\n  -f, --force           Do not prompt for confirmation\n`;

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
    options: `\n${more}${force(kind === 'volumes' ? 'label=<label>' : 'until=<timestamp>')}`,
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
    options: `\n  -a, --all             Remove all unused images not just dangling ones\n${force('label=<key>=<value>')}      --volumes         Prune anonymous volumes\n`,
    *run(client, flags) {
      if (flags.has('volumes') && flags.all('filter').some((v) => v.startsWith('until='))) throw new Stop('ERROR: The "until" filter is not supported with "--volumes"');
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
