/** The state in which the cgroup2 transcript began: the same plain machine, no cgroup but the root, no controller enabled. */
import type { ScenarioSpec } from '../scenario.ts';
import { plainMachine } from './namespaces.ts';

export const cgroupScenarios: Record<string, () => ScenarioSpec> = { cgroup2: () => plainMachine('cgroup2', {}) };
