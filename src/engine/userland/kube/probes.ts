/**
 * Probes of one container: a thread each, from its start to its end. Startup gates the others; readiness says whether the
 * pod's Services send to it; liveness asks for a restart. Source: pkg/kubelet/prober 1.32. Left out: gRPC, HTTPS, headers.
 */
import type { Container, Json, Pod } from '../../cluster/types/objects.ts';
import { POLLIN, SysError } from '../../kernel/abi.ts';
import { type Body, sys } from '../../kernel/sys.ts';
import { fromBase64, text } from '../../sim/text.ts';
import { formatRequest } from '../../sim/wire.ts';
import { type Call, dial, thread, writeAll } from '../lib/http.ts';
import { cri, refused } from './cri.ts';
import { type Kubelet, say } from './node.ts';

const SECOND = 1_000_000_000;

/** What probes have found out about a running container. */
export interface Health {
  started: boolean;
  ready: boolean;
  /** A liveness or startup probe gave up on it. */
  doomed: boolean;
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

const WORDS = { startupProbe: 'Startup', livenessProbe: 'Liveness', readinessProbe: 'Readiness' } as const;
type Which = keyof typeof WORDS;

/** Health of a container that has just been started; its probes run from now on. */
export function* beginProbes(k: Kubelet, pod: Pod, spec: Container, id: string, ip: string): Call<Health> {
  const health: Health = { started: !spec.startupProbe, ready: !spec.readinessProbe && !spec.startupProbe, doomed: false, over: false };
  const p: Probed = { k, pod, spec, id, ip, health };
  for (const which of Object.keys(WORDS) as Which[]) if (spec[which]) yield* thread(() => prober(p, which, spec[which]));
  return health;
}

function* prober(p: Probed, which: Which, probe: Json): Body {
  const { health } = p;
  yield* sys('nanosleep', Math.max(0.1, probe.initialDelaySeconds ?? 0) * SECOND);
  let good = 0;
  let bad = 0;
  while (!health.over && !health.doomed) {
    if (which === 'startupProbe' || health.started) {
      const fault = yield* tryProbe(p, probe);
      if (health.over) break;
      if (fault === null) {
        good++;
        bad = 0;
      } else {
        good = 0;
        bad++;
        yield* say(p.k, p.pod, 'Warning', 'Unhealthy', `${WORDS[which]} probe failed: ${fault}`, `spec.containers{${p.spec.name}}`);
      }
      apply(p, which, good >= (probe.successThreshold ?? 1), bad >= (probe.failureThreshold ?? 3));
      if (which === 'startupProbe' && health.started) break;
    }
    yield* sys('nanosleep', (probe.periodSeconds ?? 10) * SECOND);
  }
  return 0;
}

function apply({ health, spec }: Probed, which: Which, passed: boolean, failed: boolean): void {
  if (which === 'readinessProbe') {
    if (passed) health.ready = true;
    else if (failed) health.ready = false;
  } else if (failed) health.doomed = true;
  else if (which === 'startupProbe' && passed) {
    health.started = true;
    if (!spec.readinessProbe) health.ready = true;
  }
}

/** Null when it passes, otherwise why not. */
function* tryProbe(p: Probed, probe: Json): Call<string | null> {
  const timeout = probe.timeoutSeconds ?? 1;
  if (probe.exec) {
    const answer = yield* cri('ExecSync', { containerId: p.id, cmd: probe.exec.command ?? [], timeout: String(timeout) });
    if (refused(answer)) return answer.error;
    const said = [answer.stdout, answer.stderr].map((part) => (part ? text(fromBase64(part)) : '')).join('');
    return Number(answer.exitCode ?? 0) === 0 ? null : said;
  }
  const action = probe.httpGet ?? probe.tcpSocket;
  if (!action) return 'not modelled: gRPC probes';
  const port = /^\d+$/.test(String(action.port)) ? Number(action.port) : (p.spec.ports ?? []).find((x) => x.name === action.port)?.containerPort;
  if (port === undefined) return `could not find port named "${action.port}"`;
  const host = action.host || p.ip;
  try {
    const fd = yield* dial({ family: 'inet', address: host, port });
    const fault = probe.httpGet ? yield* httpGet(fd, `${host}:${port}`, action.path ?? '/', timeout) : null;
    yield* sys('close', fd);
    return fault;
  } catch (error) {
    if (!(error instanceof SysError)) throw error;
    const why = `dial tcp ${host}:${port}: connect: ${error.message.toLowerCase()}`;
    return probe.httpGet ? `Get "http://${host}:${port}${action.path ?? '/'}": ${why}` : why;
  }
}

function* httpGet(fd: number, host: string, path: string, timeout: number): Call<string | null> {
  yield* writeAll(fd, formatRequest('GET', path, { Host: host, 'User-Agent': 'kube-probe/1.32', Accept: '*/*', Connection: 'close' }));
  if ((yield* sys('poll', [{ fd, events: POLLIN }], timeout * SECOND)).length === 0) {
    return `Get "http://${host}${path}": context deadline exceeded (Client.Timeout exceeded while awaiting headers)`;
  }
  const m = /^HTTP\/1\.\d (\d+)/.exec(text(yield* sys('read', fd, 4096)));
  if (!m) return `Get "http://${host}${path}": EOF`;
  const code = Number(m[1]);
  return code >= 200 && code < 400 ? null : `HTTP probe failed with statuscode: ${code}`;
}
