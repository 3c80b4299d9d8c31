/** Handlers of a container's life: postStart and preStop by command, HTTP or sleep. Source: pkg/kubelet/lifecycle/handlers.go 1.32. */
import type { Json } from '../../../cluster/types/objects.ts';
import { sys } from '../../../kernel/sys.ts';
import { fromBase64, text } from '../../../sim/text.ts';
import { SECOND } from '../../../sim/units.ts';
import type { Call } from '../../lib/http.ts';
import { cri, refused } from '../cri.ts';
import { getOnce, portOf } from '../probes.ts';
import type { Runner, Work } from './work.ts';

/** Runs one; null when it went well, else why not. */
export function* runHook(w: Work, r: Runner, hook: Json, timeout = 0): Call<string | null> {
  if (hook.exec) {
    const cmd: string[] = hook.exec.command ?? [];
    const answer = yield* cri('ExecSync', { containerId: r.id, cmd, timeout: String(timeout) });
    if (refused(answer)) return `${answer.error}`;
    const said = [answer.stdout, answer.stderr].map((part) => (part ? text(fromBase64(part)) : '')).join('');
    const code = Number(answer.exitCode ?? 0);
    return code === 0 ? null : `command '${cmd.join(' ')}' exited with ${code}: ${said}`;
  }
  if (hook.sleep) {
    yield* sys('nanosleep', Math.min(Number(hook.sleep.seconds ?? 0), timeout > 0 ? timeout : Number.MAX_SAFE_INTEGER) * SECOND);
    return null;
  }
  if (hook.httpGet) {
    const port = portOf(r.spec, hook.httpGet.port);
    if (port === null) return `couldn't find port: ${JSON.stringify(hook.httpGet.port)} in container: ${r.spec.name}`;
    return (yield* getOnce(hook.httpGet.host || w.ip, port, hook.httpGet, timeout > 0 ? timeout : 30)).fault;
  }
  return hook.tcpSocket ? null : 'invalid handler: not modelled';
}
