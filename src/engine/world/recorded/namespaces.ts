/** The state in which the namespaces transcript began: a plain machine of one processor and 2 GiB, its shell in the root cgroup. */
import type { ScenarioSpec } from '../scenario.ts';
import { MiB } from '../../sim/units.ts';
import type { Tree } from '../../kernel/vfs/build.ts';

export function plainMachine(name: string, files: Tree): ScenarioSpec {
  return {
    name: `recorded/${name}`, cluster: null, manifests: [],
    hosts: [{ name: 'oracle', cpus: 1, memory: 2048 * MiB, address: '10.0.0.5', services: [], images: [], domains: [], plainInit: true, files }],
  };
}

export const namespaceScenarios: Record<string, () => ScenarioSpec> = {
  namespaces: () => plainMachine('namespaces', { '/etc/fstab': { type: 'file', data: '/dev/vda1 / ext4 rshared 0 1\ntmpfs /tmp tmpfs defaults 0 0\n' } }),
};
