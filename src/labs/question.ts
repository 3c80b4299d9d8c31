/** Which scenes a step may show, and what a lab's checks may ask: names that a lab file is held against. */
import type { LabCheck, LabStep } from './format.ts';

/** Scenes, and views that a scene draws: what `show` may name. */
export const SHOWN = [
  'walk', 'spectrum', 'vms', 'exits', 'registers', 'tlb', 'containers', 'cgroups', 'processes', 'overlay', 'namespaces', 'images', 'calls', 'network', 'cluster', 'pods', 'nodes', 'decisions', 'scores', 'filters', 'toolbox',
] as const;

/** Every check and hint condition of a step. */
export function questionsOf(step: LabStep): LabCheck[] {
  return [...step.check, ...step.hints.flatMap((hint) => (hint.when ? [hint.when] : []))];
}
