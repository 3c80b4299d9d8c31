/** The scenarios in which the recorded transcripts began: one a file of recordings, by its name. */
import type { ScenarioSpec } from './scenario.ts';
import { dockerScenario } from './recorded/docker.ts';
import { kubectlScenarios } from './recorded/kubectl.ts';
import { networkScenario } from './recorded/network.ts';

export const recordedScenarios: Record<string, () => ScenarioSpec> = { ...kubectlScenarios, docker: dockerScenario, network: networkScenario };
