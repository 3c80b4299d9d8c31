/** docker update: new limits and restart policy for a container, running or not. Source: moby daemon/update.go, container/container_unix.go. */
import type { Call } from '../../../lib/http.ts';
import { emit } from './events.ts';
import { saveContainer } from './record.ts';
import { type Any, type Container, type Daemon, Refused } from './state.ts';

const FIELDS = [
  'CpuShares',
  'NanoCpus',
  'CpuPeriod',
  'CpuQuota',
  'CpusetCpus',
  'CpusetMems',
  'Memory',
  'MemoryReservation',
  'MemorySwap',
  'PidsLimit',
  'BlkioWeight',
] as const;

/** Throws Refused; `apply` writes the resources of one that runs. */
export function* updateContainer(
  daemon: Daemon,
  c: Container,
  body: Any,
  apply: (c: Container) => Call<unknown>,
): Call<{ Warnings: string[] | null }> {
  const before = { ...c.HostConfig };
  const h = c.HostConfig;
  const say = (why: string): Refused => new Refused(400, `Cannot update container ${c.ID}: ${why}`);
  if (c.live.removing) throw new Refused(409, `Cannot update container ${c.ID}: Container is marked for removal and cannot be "update".`);
  if (body.RestartPolicy?.Name && h.AutoRemove)
    throw say('Restart policy cannot be updated because AutoRemove is enabled for the container');
  if (body.Memory && body.Memory > h.MemorySwap && !body.MemorySwap)
    throw say('Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time');
  if (body.NanoCpus > 0 && (h.CpuPeriod > 0 || h.CpuQuota > 0)) {
    throw say(`Conflicting options: Nano CPUs cannot be updated as CPU ${h.CpuPeriod > 0 ? 'Period' : 'Quota'} has already been set`);
  }
  for (const field of FIELDS) if (body[field]) (h as Any)[field] = body[field];
  if (body.RestartPolicy?.Name)
    h.RestartPolicy = { Name: body.RestartPolicy.Name, MaximumRetryCount: body.RestartPolicy.MaximumRetryCount ?? 0 };
  try {
    if (c.State.Running && !c.State.Restarting) yield* apply(c);
  } catch (error) {
    Object.assign(h, before);
    throw error;
  }
  yield* saveContainer(c);
  yield* emit(daemon, 'container', 'update', c);
  return { Warnings: null };
}
