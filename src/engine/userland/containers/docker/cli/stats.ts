/** docker stats: the daemon's samples as percentages. Source: docker/cli container/stats.go, stats_helpers.go. */
import { decimalSize, binarySize } from '../../../lib/clock.ts';
import type { Call } from '../../../lib/http.ts';
import { print } from '../../../lib/io.ts';
import { sys } from '../../../../kernel/sys.ts';
import { type Any, api, ApiError, Stop } from './client.ts';
import type { Command } from './command.ts';
import { FORMAT_HELP, rowsText, type Row } from './table.ts';
import { shortId } from './values.ts';

const TITLES: Row = {
  ID: 'CONTAINER ID',
  Container: 'CONTAINER',
  Name: 'NAME',
  CPUPerc: 'CPU %',
  MemUsage: 'MEM USAGE / LIMIT',
  MemPerc: 'MEM %',
  NetIO: 'NET I/O',
  BlockIO: 'BLOCK I/O',
  PIDs: 'PIDS',
};

export const stats: Command = {
  names: ['stats', 'container stats'],
  usage: '[OPTIONS] [CONTAINER...]',
  short: 'Display a live stream of container(s) resource usage statistics',
  args: [0, -1],
  options: `
  -a, --all             Show all containers (default shows just running)
${FORMAT_HELP}
      --no-stream       Disable streaming stats and only pull the first result
      --no-trunc        Do not truncate output
`,
  *run(client, flags) {
    const format = flags.get('format') ?? '';
    const whole = flags.has('no-trunc');
    for (;;) {
      const found: { id: string; name: string }[] =
        flags.args.length > 0
          ? flags.args.map((name) => ({ id: name, name }))
          : (yield* api(client, 'GET', '/containers/json', { query: { all: flags.has('all') ? 1 : undefined } })).map((c: Any) => ({
              id: c.Id,
              name: c.Names[0].slice(1),
            }));
      const errors: string[] = [];
      const rows: Row[] = [];
      for (const one of found) {
        try {
          rows.push(
            rowOf(one.id, yield* api(client, 'GET', `/containers/${encodeURIComponent(one.id)}/stats`, { query: { stream: 0 } }), whole),
          );
        } catch (error) {
          if (!(error instanceof ApiError)) throw error;
          if (flags.args.length > 0) errors.push(`Error response from daemon: ${error.message}`);
        }
      }
      if (errors.length > 0) throw new Stop(errors.join('\n'));
      const text = rowsText(format, 'ID Name CPUPerc MemUsage MemPerc NetIO BlockIO PIDs', TITLES, rows, 'container.statsContext');
      if (flags.has('no-stream')) {
        yield* print(text);
        return 0;
      }
      yield* print(`\x1b[2J\x1b[H${text}`);
      yield* wait();
    }
  },
};

function* wait(): Call<void> {
  yield* sys('nanosleep', 500e6);
}

function rowOf(asked: string, s: Any, whole: boolean): Row {
  const used = (s.memory_stats.usage ?? 0) - Math.min(s.memory_stats.stats?.inactive_file ?? 0, s.memory_stats.usage ?? 0);
  const limit = s.memory_stats.limit ?? 0;
  const cpu = (s.cpu_stats.cpu_usage.total_usage ?? 0) - (s.precpu_stats.cpu_usage.total_usage ?? 0);
  const system = (s.cpu_stats.system_cpu_usage ?? 0) - (s.precpu_stats.system_cpu_usage ?? 0);
  const percent = cpu > 0 && system > 0 ? (cpu / system) * (s.cpu_stats.online_cpus ?? 1) * 100 : 0;
  const nets: Any[] = Object.values(s.networks ?? {});
  const total = (of: (n: Any) => number): number => nets.reduce((sum, n) => sum + of(n), 0);
  const io: Any[] = s.blkio_stats?.io_service_bytes_recursive ?? [];
  const ops = (op: string): number => io.filter((e) => e.op.toLowerCase() === op).reduce((sum, e) => sum + e.value, 0);
  return {
    Container: asked,
    ID: whole ? s.id : shortId(s.id),
    Name: s.name.replace(/^\//, ''),
    CPUPerc: `${percent.toFixed(2)}%`,
    MemUsage: `${binarySize(used)} / ${binarySize(limit)}`,
    MemPerc: `${(limit > 0 ? (used / limit) * 100 : 0).toFixed(2)}%`,
    NetIO: `${decimalSize(
      total((n) => n.rx_bytes),
      3,
    )} / ${decimalSize(
      total((n) => n.tx_bytes),
      3,
    )}`,
    BlockIO: `${decimalSize(ops('read'), 3)} / ${decimalSize(ops('write'), 3)}`,
    PIDs: String(s.pids_stats.current ?? 0),
  };
}
