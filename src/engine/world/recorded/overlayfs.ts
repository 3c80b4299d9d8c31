/** The state in which the overlayfs transcript began: a tmpfs on /ov, where layers and mounts are made. */
import type { ScenarioSpec } from '../scenario.ts';
import { plainMachine } from './namespaces.ts';

export const overlayScenarios: Record<string, () => ScenarioSpec> = {
  overlayfs: () => plainMachine('overlayfs', { '/ov': { type: 'dir', mode: 0o1777 }, '/etc/fstab': { type: 'file', data: 'tmpfs /ov tmpfs mode=1777 0 0\n' } }),
};
