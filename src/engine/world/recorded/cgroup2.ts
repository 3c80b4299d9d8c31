/** The state in which the cgroup2 transcript began: the same plain machine, no cgroup but the root, no controller enabled. */
import type { ScenarioSpec } from '../scenario.ts';
import { plainMachine } from './namespaces.ts';

/** The same with two and four processors, for what happens among them. */
const withCpus = (name: string, cpus: number): ScenarioSpec => {
  const spec = plainMachine(name, {});
  return { ...spec, hosts: spec.hosts.map((host) => ({ ...host, cpus })) };
};

export const cgroupScenarios: Record<string, () => ScenarioSpec> = {
  cgroup2: () => plainMachine('cgroup2', {}), 'cgroup2-smp2': () => withCpus('cgroup2-smp2', 2), 'cgroup2-smp4': () => withCpus('cgroup2-smp4', 4),
};
