/** systemctl status: the machine's, or a unit's with its processes and newest journal lines. Source: systemctl(1). */
import { sys } from '../../kernel/sys.ts';
import { strftime } from '../coreutils/calendar.ts';
import { tryRead } from '../lib/files.ts';
import type { Call } from '../lib/http.ts';
import { complain, print } from '../lib/io.ts';
import { treeOfCgroup } from './cgls.ts';
import { ask, type UnitRow } from './control.ts';
import { enabledState } from './enable.ts';
import { groups } from './groups.ts';
import { size as human } from './life.ts';
import { lastLines } from './journalctl.ts';
import { exitName, signalName } from './service.ts';
import { formatSpan, relative } from './span.ts';
import { dropInPaths } from './unitfile.ts';

export function* machineStatus(): Call<number> {
  const { units } = yield* ask({ verb: 'list', units: [] });
  const failed = units.filter((u) => u.active === 'failed').length;
  const host = (yield* sys('uname')).nodename;
  yield* print(`● ${host}\n    State: ${failed > 0 ? 'degraded' : 'running'}\n    Units: ${units.length} loaded (incl. loaded aliases)\n     Jobs: 0 queued\n   Failed: ${failed} units\n   CGroup: /\n${(yield* treeOfCgroup('/', '           ')).trimEnd()}\n`);
  return 0;
}

function* running(): Call<number> {
  const failed = (yield* ask({ verb: 'list', units: [] })).units.some((u) => u.active === 'failed');
  yield* print(failed ? 'degraded\n' : 'running\n');
  return failed ? 1 : 0;
}

export function* statuses(units: readonly string[], on: ReadonlyMap<string, number>, lines: number): Call<number> {
  const answer = yield* ask({ verb: 'list', units });
  answer.units.push(...(yield* groups()).filter((u) => units.includes(u.name)));
  let worst = 0;
  for (const name of units) {
    const row = answer.units.find((u) => u.name === name);
    if (!row) {
      yield* complain(`Unit ${name} could not be found.\n`);
      worst = 4;
      continue;
    }
    yield* print((yield* statusText(row)) + (lines > 0 && !on.has('quiet') ? yield* journalPart(row, lines) : ''));
    if (row.active !== 'active') worst = Math.max(worst, 3);
  }
  return worst;
}

function* journalPart(row: UnitRow, lines: number): Call<string> {
  const text = yield* lastLines(row.name, lines);
  return text === '' ? '' : `\n${text}`;
}

function* statusText(row: UnitRow): Call<string> {
  const now = yield* sys('clock_gettime', 'realtime');
  const dot = row.active === 'active' ? '●' : row.active === 'failed' ? '×' : row.active === 'inactive' ? '○' : '●';
  const transient = row.path.startsWith('/run/systemd/transient/');
  const enabled = row.path === '' || transient ? '' : yield* enabledState(row.name, row.path);
  const state = row.path === '' ? '' : transient ? '; transient' : `; ${enabled}${enabled === 'static' ? '' : '; preset: enabled'}`;
  const loaded = row.load === 'masked' ? `masked (Reason: Unit ${row.name} is masked.)` : row.load === 'bad-setting' ? `bad-setting (Reason: Unit ${row.name} has a bad unit file setting.)` : `loaded${row.path === '' ? '' : ` (${row.path}${state})`}`;
  const result = row.active === 'failed' ? ` (Result: ${row.result})` : row.sub === 'auto-restart' ? ` (auto-restart)${row.result === 'success' ? '' : ` (Result: ${row.result})`}` : row.active === 'inactive' ? ' (dead)' : row.sub === row.active ? '' : ` (${row.sub})`;
  const since = row.since > 0 ? ` since ${strftime('%a %Y-%m-%d %H:%M:%S UTC', row.since / 1e9)}; ${relative(now - row.since)}` : '';
  const drops = (yield* dropInPaths(row.name)).map((one) => [one.slice(0, one.lastIndexOf('/')), one.slice(one.lastIndexOf('/') + 1)] as const);
  let out = `${dot} ${row.name}${row.description === row.name || row.description === '' ? '' : ` - ${row.description}`}\n     Loaded: ${loaded}\n${transient ? '  Transient: yes\n' : ''}`;
  for (const [i, dir] of [...new Set(drops.map(([one]) => one))].entries()) out += `${i === 0 ? '    Drop-In: ' : '             '}${dir}\n             └─${drops.filter(([one]) => one === dir).map(([, one]) => one).join(', ')}\n`;
  out += `     Active: ${row.active}${result}${since}\n`;
  if (row.triggers !== '') out += `    Trigger: ${row.next === 0 ? 'n/a' : `${strftime('%a %Y-%m-%d %H:%M:%S UTC', row.next / 1e9)}; ${relative(now - row.next)}`}\n   Triggers: ● ${row.triggers}\n`;
  if (row.pid === 0 && row.code !== '' && row.ran > 0) out += `   Duration: ${formatSpan(Math.floor(row.ran / 1000), 1000)}\n`;
  if (row.invocation !== '') out += ` Invocation: ${row.invocation}\n`;
  for (const by of (yield* ask({ verb: 'list', units: [] })).units.filter((u) => u.triggers === row.name)) out += `TriggeredBy: ${by.active === 'active' ? '●' : '○'} ${by.name}\n`;
  out += docs(row.documentation);
  for (const one of row.past) if (one.phase !== 'ExecStart' || row.pid === 0) out += `    Process: ${one.pid} ${one.phase}=${one.argv.join(' ')} (${how(one.code, one.status)})\n`;
  if (row.pid === 0 && row.code !== '') out += endedText(row);
  if (row.pid > 0 || (row.active === 'active' && row.cgroup !== '')) {
    const comm = (yield* tryRead(`/proc/${row.pid}/comm`))?.trim() ?? '';
    if (row.pid > 0) out += `   Main PID: ${row.pid} (${comm})\n`;
    const dir = `/sys/fs/cgroup${row.cgroup}`;
    const [tasks, memory, cpu] = [yield* tryRead(`${dir}/pids.current`), yield* tryRead(`${dir}/memory.current`), yield* tryRead(`${dir}/cpu.stat`)];
    out += (yield* taskLine(dir, tasks)) + (yield* memoryLine(dir, memory));
    const usec = /usage_usec (\d+)/.exec(cpu ?? '')?.[1];
    if (usec) out += `        CPU: ${span(Number(usec))}\n`;
    out += `     CGroup: ${row.cgroup}\n${yield* treeOfCgroup(row.cgroup, '             ')}`;
  }
  return out;
}

const how = (code: string, status: number): string => (code === 'exited' ? `code=exited, status=${status}${status === 0 ? '/SUCCESS' : exitName(status) === 'n/a' ? '' : `/${exitName(status)}`}` : `code=killed, signal=${signalName(status)}`);

const docs = (all: readonly string[]): string => all.map((one, i) => `${i === 0 ? '       Docs: ' : '             '}${one}\n`).join('');

function endedText(row: UnitRow): string {
  return [`   Main PID: ${row.exitedPid} (${how(row.code, row.status)})`, ...(row.peak > 0 ? [`   Mem peak: ${human(row.peak)}`] : []), ...(row.cpu > 0 ? [`        CPU: ${span(row.cpu / 1000)}`] : [])].map((one) => `${one}\n`).join('');
}

function* taskLine(dir: string, tasks: string | null): Call<string> {
  if (!tasks) return '';
  const max = (yield* tryRead(`${dir}/pids.max`))?.trim();
  return `      Tasks: ${tasks.trim()}${max && max !== 'max' ? ` (limit: ${max})` : ''}\n`;
}

/** "Memory: 1.2M (max: 50M, available: 48.8M, peak: 2M)". */
function* memoryLine(dir: string, current: string | null): Call<string> {
  if (!current) return '';
  const parts: string[] = [];
  for (const [file, word] of [['memory.min', 'min'], ['memory.low', 'low'], ['memory.high', 'high'], ['memory.max', 'max'], ['memory.swap.max', 'swap max']] as const) {
    const value = (yield* tryRead(`${dir}/${file}`))?.trim();
    if (value && value !== 'max' && value !== '0') parts.push(`${word}: ${human(Number(value))}`);
  }
  const limits: number[] = [];
  for (const file of ['memory.high', 'memory.max']) limits.push(Number((yield* tryRead(`${dir}/${file}`))?.trim().replace('max', 'Infinity') ?? Number.POSITIVE_INFINITY));
  const limit = Math.min(...limits);
  if (limit < Number.POSITIVE_INFINITY) parts.push(`available: ${human(Math.max(0, limit - Number(current)))}`);
  const peak = (yield* tryRead(`${dir}/memory.peak`))?.trim();
  if (peak) parts.push(`peak: ${human(Number(peak))}`);
  return `     Memory: ${human(Number(current))}${parts.length > 0 ? ` (${parts.join(', ')})` : ''}\n`;
}

function span(us: number): string {
  if (us < 1_000_000) return `${Math.floor(us / 1000)}ms`;
  return `${(us / 1e6).toFixed(3)}s`;
}
