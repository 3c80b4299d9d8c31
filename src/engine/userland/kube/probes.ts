/**
 * Probes of one container: a thread each, from its start to its end. Startup gates the others; readiness says whether the
 * pod's Services send to it; liveness asks for a restart. Source: pkg/kubelet/prober 1.32. Left out: gRPC, HTTPS.
 */
import type { Container, Json, Pod } from '../../cluster/types/objects.ts';
import { AF_INET, POLLIN, SOCK_STREAM, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { fromBase64, text } from '../../sim/text.ts';
import { formatRequest } from '../../sim/wire.ts';
import { SECOND } from '../../sim/units.ts';
import { attempt } from '../lib/files.ts';
import { type Call, thread, writeAll } from '../lib/http.ts';
import { cri, refused } from './cri.ts';
import { type Kubelet, say } from './node.ts';

/** What of an answer's body is shown. */
const SHOWN = 10 * 1024;

/** What probes have found out about a running container. */
export interface Health {
  started: boolean;
  ready: boolean;
  /** The probe that gave up on it. */
  doomed: '' | 'liveness' | 'startup';
  /** Seconds that the probe which gave up allows for the end. */
  grace?: number;
  /** It has ended: its probes end too. */
  over: boolean;
}

interface Probed {
  k: Kubelet;
  pod: Pod;
  spec: Container;
  id: string;
  ip: string;
  health: Health;
}

/** Why a probe failed; an error is not counted, only told. */
type Outcome = { fault: string | null; error?: boolean };

const WORDS = { startupProbe: 'Startup', livenessProbe: 'Liveness', readinessProbe: 'Readiness' } as const;
type Which = keyof typeof WORDS;

/** Health of a container that has just been started; its probes run from now on. */
export function* beginProbes(k: Kubelet, pod: Pod, spec: Container, id: string, ip: string): Call<Health> {
  const health: Health = { started: !spec.startupProbe, ready: !spec.readinessProbe && !spec.startupProbe, doomed: '', over: false };
  const p: Probed = { k, pod, spec, id, ip, health };
  for (const which of Object.keys(WORDS) as Which[]) if (spec[which]) yield* thread(() => prober(p, which, spec[which]));
  return health;
}

function* prober(p: Probed, which: Which, probe: Json): Body {
  const { health } = p;
  const period = (probe.periodSeconds ?? 10) * SECOND;
  const delay = (probe.initialDelaySeconds ?? 0) * SECOND;
  // Readiness is asked for at once; the others at the ticks of their period.
  yield* sys('nanosleep', which === 'readinessProbe' ? Math.max(0.1 * SECOND, delay) : Math.max(1, Math.ceil(delay / period)) * period);
  let good = 0;
  let bad = 0;
  while (!health.over && !health.doomed) {
    if (which === 'startupProbe' || health.started) {
      const { fault, error } = yield* tryProbe(p, probe);
      if (health.over) break;
      if (fault !== null) yield* say(p.k, p.pod, 'Warning', 'Unhealthy', `${WORDS[which]} probe ${error ? 'errored and resulted in unknown state' : 'failed'}: ${fault}`, `spec.containers{${p.spec.name}}`);
      if (!error) {
        [good, bad] = fault === null ? [good + 1, 0] : [0, bad + 1];
        apply(p, which, probe, good >= (probe.successThreshold ?? 1), bad >= (probe.failureThreshold ?? 3));
      }
      if (which === 'startupProbe' && health.started) break;
    } else {
      yield* sys('nanosleep', SECOND / 4);
      continue;
    }
    yield* sys('nanosleep', period);
  }
  return 0;
}

function apply({ health, spec, k }: Probed, which: Which, probe: Json, passed: boolean, failed: boolean): void {
  if (which === 'readinessProbe') {
    if (passed) health.ready = true;
    else if (failed) health.ready = false;
  } else if (failed) {
    health.doomed = which === 'startupProbe' ? 'startup' : 'liveness';
    health.ready = false;
    if (probe.terminationGracePeriodSeconds !== undefined) health.grace = probe.terminationGracePeriodSeconds;
  } else if (which === 'startupProbe' && passed) {
    health.started = true;
    if (!spec.readinessProbe) health.ready = true;
  }
  k.changes++;
}

/** A port by number or by name. */
export function portOf(c: Container, port: unknown): number | null {
  if (/^\d+$/.test(String(port))) return Number(port);
  return (c.ports ?? []).find((x) => x.name === port)?.containerPort ?? null;
}

function* tryProbe(p: Probed, probe: Json): Call<Outcome> {
  const timeout = probe.timeoutSeconds ?? 1;
  if (probe.exec) {
    const cmd: string[] = probe.exec.command ?? [];
    const answer = yield* cri('ExecSync', { containerId: p.id, cmd, timeout: String(timeout) });
    if (refused(answer)) return /code = DeadlineExceeded/.test(answer.error) ? { fault: `command timed out: ${JSON.stringify(cmd.join(' '))} timed out after ${timeout}s` } : { fault: answer.error, error: true };
    const said = [answer.stdout, answer.stderr].map((part) => (part ? text(fromBase64(part)) : '')).join('');
    return { fault: Number(answer.exitCode ?? 0) === 0 ? null : said.slice(0, SHOWN) };
  }
  const action = probe.httpGet ?? probe.tcpSocket;
  if (!action) return { fault: 'not modelled: gRPC probes', error: true };
  const port = portOf(p.spec, action.port);
  if (port === null) return { fault: `strconv.Atoi: parsing ${JSON.stringify(action.port)}: invalid syntax`, error: true };
  if (probe.httpGet) return yield* getOnce(action.host || p.ip, port, action, timeout);
  const host = action.host || p.ip;
  const { fd, fault } = yield* dialWithin(host, port, timeout);
  if (fd >= 0) yield* sys('close', fd);
  return { fault };
}

/** A connection within so many seconds, or why there is none, as Go says it. */
function* dialWithin(host: string, port: number, timeout: number): Call<{ fd: number; fault: string | null }> {
  const fd = yield* sys('socket', AF_INET, SOCK_STREAM, 0);
  const state: { over: boolean; why: string | null } = { over: false, why: null };
  yield* thread(function* (): Body {
    yield* sys('nanosleep', timeout * SECOND);
    if (!state.over) {
      state.why = 'i/o timeout';
      yield* attempt(sys('shutdown', fd, 2), 0);
    }
    return 0;
  });
  try {
    yield* sys('connect', fd, { family: 'inet', address: host, port });
    state.over = true;
    return { fd, fault: null };
  } catch (error) {
    state.over = true;
    yield* sys('close', fd);
    if (!(error instanceof SysError)) throw error;
    return { fd: -1, fault: state.why ? `dial tcp ${host}:${port}: ${state.why}` : `dial tcp ${host}:${port}: connect: ${error.message.toLowerCase()}` };
  }
}

/** One GET; anything from 200 to 399 is fine. */
export function* getOnce(host: string, port: number, action: Json, timeout: number): Call<Outcome> {
  const path: string = action.path ?? '/';
  const url = `${String(action.scheme ?? 'HTTP').toLowerCase()}://${host}:${port}${path.startsWith('/') ? '' : '/'}${path}`;
  if (action.scheme === 'HTTPS') return { fault: `Get "${url}": not modelled: TLS` };
  const { fd, fault } = yield* dialWithin(host, port, timeout);
  if (fault !== null) return { fault: `Get "${url}": ${/i\/o timeout/.test(fault) ? 'context deadline exceeded (Client.Timeout exceeded while awaiting headers)' : fault}` };
  try {
    const given = Object.fromEntries(((action.httpHeaders ?? []) as { name: string; value: string }[]).map((h) => [h.name, h.value]));
    yield* writeAll(fd, formatRequest('GET', path, { Host: `${host}:${port}`, 'User-Agent': 'kube-probe/1.32', Accept: '*/*', Connection: 'close', ...given }));
    if ((yield* sys('poll', [{ fd, events: POLLIN }], timeout * SECOND)).length === 0) return { fault: `Get "${url}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)` };
    const m = /^HTTP\/1\.\d (\d+)/.exec(text(yield* sys('read', fd, 4096)));
    if (!m) return { fault: `Get "${url}": EOF` };
    return { fault: Number(m[1]) >= 200 && Number(m[1]) < 400 ? null : `HTTP probe failed with statuscode: ${m[1]}` };
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    return { fault: `Get "${url}": read tcp ${host}:${port}: ${error.message.toLowerCase()}` };
  } finally {
    yield* attempt(sys('close', fd), 0);
  }
}
