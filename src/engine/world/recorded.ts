/** The scenarios in which the recorded transcripts began: one a file of recordings, by its name. */
import type { ScenarioSpec } from './scenario.ts';
import { cgroupScenarios } from './recorded/cgroup2.ts';
import { dockerScenario } from './recorded/docker.ts';
import { kubectlScenarios } from './recorded/kubectl.ts';
import { probeScenario } from './recorded/probe.ts';
import { qemuImgScenario } from './recorded/qemu-img.ts';
import { virshScenarios } from './recorded/virsh.ts';
import { namespaceScenarios } from './recorded/namespaces.ts';
import { networkScenario } from './recorded/network.ts';
import { overlayScenarios } from './recorded/overlayfs.ts';
import { runcScenario } from './recorded/runc.ts';
import { machineScenario } from './recorded/machine.ts';

export const recordedScenarios: Record<string, () => ScenarioSpec> = {
  ...kubectlScenarios, ...virshScenarios, ...namespaceScenarios, ...cgroupScenarios, ...overlayScenarios, docker: dockerScenario, machine: machineScenario, network: networkScenario, runc: runcScenario, probe: probeScenario, 'qemu-img': qemuImgScenario,
};
