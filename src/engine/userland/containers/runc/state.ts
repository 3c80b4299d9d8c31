/**
 * What runc keeps of a container between its runs: ROOT/ID/state.json and the exec fifo beside it. Everything else is asked
 * of the kernel: whether the first process still is the one that was started (its start time in /proc/PID/stat), whether it
 * still waits at the fifo, whether its cgroup is frozen. Source: runc libcontainer/{container,state}_linux.go.
 */
import { exists, list, readJson, removeAll, statOf, tryRead, writeFile } from '../../lib/files.ts';
import type { Call } from '../../lib/http.ts';
import { keyed } from './cgroup.ts';
import { Fatal, type Settings } from './log.ts';
import type { Spec } from './spec.ts';

export interface Saved {
  id: string;
  bundle: string;
  rootfs: string;
  initPid: number;
  /** Clock ticks since boot, as /proc/PID/stat says. */
  initStart: string;
  created: string;
  cgroup: string;
  systemd: boolean;
  spec: Spec;
}

export type Status = 'created' | 'running' | 'paused' | 'stopped';

export const FIFO = 'exec.fifo';

export function checkId(id: string): void {
  if (!/^[\w+.-]+$/.test(id) || id === '.' || id === '..' || id.length > 1024) throw new Fatal('invalid container ID format');
}

/** Throws Fatal "container does not exist". */
export function* load(settings: Settings, id: string): Call<Saved> {
  checkId(id);
  const saved = yield* readJson<Saved>(`${settings.root}/${id}/state.json`);
  if (!saved) throw new Fatal('container does not exist');
  return saved;
}

export function* save(settings: Settings, saved: Saved): Call<void> {
  yield* writeFile(`${settings.root}/${saved.id}/state.json`, JSON.stringify(saved), 0o600);
}

/** Fields 3 (state) and 22 (start time) of /proc/PID/stat; null when there is no such process. */
export function* procStat(pid: number): Call<{ state: string; start: string } | null> {
  const line = yield* tryRead(`/proc/${pid}/stat`);
  if (line === null) return null;
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  return { state: fields[0] ?? '', start: fields[19] ?? '' };
}

export function* statusOf(settings: Settings, saved: Saved): Call<Status> {
  const stat = saved.initPid > 0 ? yield* procStat(saved.initPid) : null;
  if (!stat || stat.state === 'Z' || stat.state === 'X' || stat.start !== saved.initStart) return 'stopped';
  if ((yield* keyed(`${saved.cgroup}/cgroup.events`, 'frozen')) === 1) return 'paused';
  return (yield* exists(`${settings.root}/${saved.id}/${FIFO}`)) ? 'created' : 'running';
}

/** `runc state` and one element of `runc list -f json`. */
export function* described(settings: Settings, saved: Saved): Call<{ ociVersion: string; id: string; pid: number; status: Status; bundle: string; rootfs: string; created: string }> {
  const status = yield* statusOf(settings, saved);
  return {
    ociVersion: '1.2.0', id: saved.id, pid: status === 'stopped' ? 0 : saved.initPid, status, bundle: saved.bundle, rootfs: saved.rootfs, created: saved.created,
  };
}

export function* containersIn(settings: Settings): Call<Saved[]> {
  const all: Saved[] = [];
  for (const { name, type } of yield* list(settings.root)) {
    if (type !== 'dir') continue;
    const saved = yield* readJson<Saved>(`${settings.root}/${name}/state.json`);
    if (saved) all.push(saved);
  }
  return all;
}

export function* forget(settings: Settings, id: string): Call<void> {
  yield* removeAll(`${settings.root}/${id}`);
}

/** The name of a container's owner: who made its directory. */
export function* ownerOf(settings: Settings, id: string): Call<string> {
  const uid = (yield* statOf(`${settings.root}/${id}`))?.uid ?? 0;
  const line = ((yield* tryRead('/etc/passwd')) ?? '').split('\n').find((l) => l.split(':')[2] === String(uid));
  return line?.split(':')[0] ?? `#${uid}`;
}
