/** The state in which the qemu-img transcript began: a machine with the tools of qemu-utils, an empty working directory, no images. */
import { GiB } from '../../sim/units.ts';
import type { ScenarioSpec } from '../scenario.ts';

export const qemuImgScenario = (): ScenarioSpec => ({
  name: 'recorded/qemu-img', cluster: null, manifests: [],
  hosts: [{ name: 'vm', cpus: 2, memory: 4 * GiB, address: '10.0.0.5', services: [], images: [], domains: [] }],
});
