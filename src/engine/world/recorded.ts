/** The scenarios in which the recorded transcripts began: one a file of recordings, by its name. */
import type { ScenarioSpec } from './scenario.ts';

export const recordedScenarios: Record<string, () => ScenarioSpec> = {};
