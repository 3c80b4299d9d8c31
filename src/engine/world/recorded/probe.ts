/**
 * The states in which the probe transcript began. Its host was itself a guest of KVM, its guest one of plain QEMU; that there is a
 * hypervisor below is told here too, not which one, and the processor's model differs.
 */
import { GiB } from '../../sim/units.ts';
import type { ScenarioSpec } from '../scenario.ts';

export const probeScenario = (): ScenarioSpec => ({
  name: 'recorded/probe', cluster: null, manifests: [],
  hosts: [{ name: 'vm', cpus: 2, memory: 2 * GiB, address: '10.0.0.5', services: [], images: [], domains: [], guest: true }],
});
