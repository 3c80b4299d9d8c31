/**
 * Hooks of a container's life: programs that get its state on their standard input. prestart and createRuntime run beside runc,
 * createContainer and startContainer inside of the container's namespaces, poststart and poststop beside runc again.
 * Source: OCI runtime spec config.md, runc 1.1 libcontainer/configs/config.go (Command.Run).
 */
import { O_CLOEXEC, SIG, SysError, exited, POLLIN, termSignal } from '../../../kernel/abi.ts';
import { sys } from '../../../kernel/sys.ts';
import { bytes, text } from '../../../sim/text.ts';
import { attempt, fork, reap } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import type { Hook, HookKind, Spec } from './spec.ts';

/** What a hook is told. */
export interface HookState {
  id: string;
  status: 'creating' | 'created' | 'running' | 'stopped';
  pid: number;
  bundle: string;
}

/** A hook that failed, in runc's words. */
export class HookFailed extends Error {}

export function* runHooks(spec: Spec, kind: HookKind, state: HookState): Call<void> {
  const hooks = spec.hooks?.[kind] ?? [];
  const { annotations } = spec;
  const told = JSON.stringify({ ociVersion: '1.2.0', id: state.id, status: state.status, ...(state.pid > 0 ? { pid: state.pid } : {}), bundle: state.bundle, ...(annotations && Object.keys(annotations).length > 0 ? { annotations } : {}) });
  for (const [i, hook] of hooks.entries()) {
    const fault = yield* runOne(hook, told);
    if (fault !== null) throw new HookFailed(`error running hook #${i}: ${fault}`);
  }
}

function envOf(hook: Hook): Record<string, string> {
  return Object.fromEntries((hook.env ?? []).filter((one) => one.includes('=')).map((one) => [one.slice(0, one.indexOf('=')), one.slice(one.indexOf('=') + 1)]));
}

/** What went wrong, or null. */
function* runOne(hook: Hook, told: string): Call<string | null> {
  const [input, output, errors, started] = [yield* sys('pipe2', O_CLOEXEC), yield* sys('pipe2', O_CLOEXEC), yield* sys('pipe2', O_CLOEXEC), yield* sys('pipe2', O_CLOEXEC)];
  const pid = yield* fork(function* () {
    for (const [i, fd] of [input[0], output[1], errors[1]].entries()) yield* sys('dup3', fd, i, 0);
    try {
      yield* sys('execve', hook.path, hook.args && hook.args.length > 0 ? hook.args : [hook.path], envOf(hook));
    } catch (error) {
      if (!(error instanceof SysError)) throw error;
      yield* sys('write', started[1], bytes(error.message.toLowerCase()));
    }
    return 255;
  });
  for (const fd of [input[0], output[1], errors[1], started[1]]) yield* sys('close', fd);
  const refused = text(yield* sys('read', started[0], 256));
  yield* sys('close', started[0]);
  if (refused === '') yield* attempt(sys('write', input[1], bytes(told)), 0, 'EPIPE');
  yield* sys('close', input[1]);
  const heard = yield* listen([output[0], errors[0]], hook.timeout, pid);
  for (const fd of [output[0], errors[0]]) yield* sys('close', fd);
  const status = yield* reap(pid);
  if (refused !== '') return `fork/exec ${hook.path}: ${refused}`;
  if (heard.late) return `hook ran past specified timeout of ${hook.timeout!.toFixed(1)}s`;
  const code = exited(status);
  if (code === 0) return null;
  return `error running hook: ${code === null ? `signal: ${SIGNAL_WORDS[termSignal(status) ?? 0] ?? termSignal(status)}` : `exit status ${code}`}, stdout: ${heard.texts[0]}, stderr: ${heard.texts[1]}`;
}

const SIGNAL_WORDS: Readonly<Record<number, string>> = { [SIG.KILL]: 'killed', [SIG.TERM]: 'terminated', [SIG.INT]: 'interrupt', [SIG.HUP]: 'hangup', [SIG.QUIT]: 'quit', [SIG.SEGV]: 'segmentation fault', [SIG.ABRT]: 'aborted', [SIG.PIPE]: 'broken pipe' };

/** Reads both streams to their ends; after the timeout, seconds, the hook is killed. */
function* listen(fds: readonly number[], timeout: number | undefined, pid: number): Call<{ texts: string[]; late: boolean }> {
  const texts = fds.map(() => '');
  const open = new Set(fds);
  const end = timeout === undefined ? null : (yield* sys('clock_gettime', 'monotonic')) + timeout * 1e9;
  let late = false;
  while (open.size > 0) {
    const left = end === null || late ? -1 : Math.max(0, end - (yield* sys('clock_gettime', 'monotonic')));
    const ready = yield* sys('poll', [...open].map((fd) => ({ fd, events: POLLIN })), left);
    if (ready.every((one) => !one.revents)) {
      late = true;
      yield* attempt(sys('kill', pid, SIG.KILL), 0);
      continue;
    }
    for (const { fd, revents } of ready) {
      if (!revents) continue;
      const data = yield* sys('read', fd, 65536);
      if (data.length === 0) open.delete(fd);
      else texts[fds.indexOf(fd)] += text(data);
    }
  }
  return { texts, late };
}
