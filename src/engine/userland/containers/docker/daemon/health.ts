/** Health checks: the test run as an exec at intervals, and what its results say of the container. Source: moby daemon/health.go. */
import { SysError } from '../../../../kernel/abi.ts';
import { type Body, sys } from '../../../../kernel/sys.ts';
import { SECOND } from '../../../../sim/units.ts';
import { text } from '../../../../sim/text.ts';
import { isoNano, nowNs, parseIso } from '../../../lib/clock.ts';
import { type Call, thread } from '../../../lib/http.ts';
import { Refusal, tasks } from '../../containerd/api.ts';
import { NS } from './containerd.ts';
import { emit } from './events.ts';
import { createExec, startExec } from './exec.ts';
import { saveContainer } from './record.ts';
import { type Container, type Daemon, type Exec, type Healthcheck, Refused } from './state.ts';
import { createStreams } from './streams.ts';
import { waitWhile } from './waiters.ts';

const INTERVAL = 30 * SECOND;

export function* startHealth(daemon: Daemon, c: Container): Call<void> {
  const check = c.Config.Healthcheck;
  const kind = check?.Test?.[0];
  if (!check || !kind || kind === 'NONE') return;
  const round = ++c.live.healthRound;
  c.State.Health = { Status: 'starting', FailingStreak: 0, Log: [] };
  yield* saveContainer(c);
  yield* thread(() => monitor(daemon, c, check, round));
}

function* monitor(daemon: Daemon, c: Container, check: Healthcheck, round: number): Body {
  const started = parseIso(c.State.StartedAt);
  for (;;) {
    const starting = c.State.Health?.Status === 'starting' && (yield* nowNs()) - started < (check.StartPeriod ?? 0);
    yield* sys('nanosleep', (starting ? check.StartInterval || 5 * SECOND : check.Interval) || INTERVAL);
    if (c.live.healthRound !== round || !c.State.Running) return 0;
    if (c.State.Paused) continue;
    try {
      yield* probe(daemon, c, check, round, started);
    } catch (error) {
      if (!(error instanceof Refused) && !(error instanceof SysError) && !(error instanceof Refusal)) throw error;
      if (!c.State.Running) return 0;
    }
  }
}

function* probe(daemon: Daemon, c: Container, check: Healthcheck, round: number, started: number): Call<void> {
  const [kind, ...rest] = check.Test!;
  const cmd = kind === 'CMD-SHELL' ? ['/bin/sh', '-c', rest[0] ?? ''] : rest;
  const begun = yield* nowNs();
  let code = -1;
  let output = '';
  try {
    const exec = yield* createExec(daemon, c, { Cmd: cmd, AttachStdout: true, AttachStderr: true });
    const heard = yield* listen(exec);
    yield* startExec(daemon, exec);
    const timeout = check.Timeout || 30 * SECOND;
    if (!(yield* waitWhile(exec.exit, () => exec.ExitCode === null, timeout))) {
      try {
        yield* tasks(NS, 'Kill', { containerId: c.ID, execId: exec.ID, signal: 9 });
      } catch (error) {
        if (!(error instanceof Refusal)) throw error;
      }
      output = `Health check exceeded timeout (${timeout / SECOND}s)`;
    } else {
      code = exec.ExitCode ?? -1;
      output = yield* heard();
    }
    daemon.execs.delete(exec.ID);
    c.live.execs = c.live.execs.filter((id) => id !== exec.ID);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    output = error.message;
  }
  if (c.live.healthRound === round && c.State.Health)
    yield* note(
      daemon,
      c,
      check,
      { Start: isoNano(begun), End: isoNano(yield* nowNs()), ExitCode: code, Output: output.slice(0, 4096) },
      begun - started,
    );
}

/** A pipe among the clients of the exec's output; the call gives what came, once it has ended. */
function* listen(exec: Exec): Call<() => Call<string>> {
  const [read, write] = yield* sys('pipe2', 0);
  exec.streams = createStreams(true, null, new Set());
  exec.streams.clients.add({ fd: write, stdout: true, stderr: true, ended: new Set(), gone: false });
  return function* () {
    yield* sys('close', write);
    const data = yield* sys('read', read, 65536);
    yield* sys('close', read);
    return text(data);
  };
}

function* note(
  daemon: Daemon,
  c: Container,
  check: Healthcheck,
  result: { Start: string; End: string; ExitCode: number; Output: string },
  age: number,
): Call<void> {
  const health = c.State.Health!;
  const before = health.Status;
  health.Log = [...health.Log, result].slice(-5);
  if (result.ExitCode === 0) {
    health.FailingStreak = 0;
    health.Status = 'healthy';
  } else if (before !== 'starting' || age >= (check.StartPeriod ?? 0)) {
    health.FailingStreak++;
    if (health.FailingStreak >= (check.Retries || 3)) health.Status = 'unhealthy';
  }
  yield* saveContainer(c);
  if (before !== health.Status) yield* emit(daemon, 'container', `health_status: ${health.Status}`, c);
}
