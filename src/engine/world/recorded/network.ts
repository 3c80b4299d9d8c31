/** The machine on which the network recording began: one processor, no wire, a loopback that is up. */
import { GiB } from '../../sim/units.ts';
import type { ScenarioSpec } from '../scenario.ts';

export function networkScenario(): ScenarioSpec {
  return {
    name: 'network',
    hosts: [{ name: 'oracle', cpus: 1, memory: 2 * GiB, address: '', services: [], images: [], domains: [], plainInit: true }],
    cluster: null, manifests: [],
  };
}
