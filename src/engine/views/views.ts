/** The registry of views: what pictures subscribe to, labs check and `nestbox views` lists. */
import { cgroupCpu, cgroupResources } from './cgroupresources.ts';
import { cgroupHistory, cgroups } from './cgroups.ts';
import { budgets, clusterSize, deployments, kubeEvents, nodes, pods, services } from './cluster.ts';
import { clusterExport, objects, objectText, revisions, rollouts, writes } from './clusterhistory.ts';
import { containers } from './containers.ts';
import { costTable } from './costs.ts';
import { decisions, filters, races, scores } from './decisions.ts';
import { disassembly } from './disassembly.ts';
import { exitLog, exits } from './exits.ts';
import { fileText } from './filetext.ts';
import { hostMemory } from './hostmemory.ts';
import { hosts } from './hosts.ts';
import { imageFiles, imageLayers, imageWaste } from './imagelayers.ts';
import { images, layerFiles, layers } from './images.ts';
import { instructions } from './instructions.ts';
import { guestMarks, lanes, ledgerEvents, ledgerPlaces, spans } from './lanes.ts';
import { kernelLog } from './kernellog.ts';
import { layerSharing } from './layersharing.ts';
import { leaves, lockstep } from './lockstep.ts';
import { marks } from './marks.ts';
import { memory } from './memory.ts';
import { namespaces } from './namespaces.ts';
import { oom } from './oom.ts';
import { network } from './network.ts';
import { overlay, overlays } from './overlay.ts';
import { overlayEvents } from './overlayevents.ts';
import { packets } from './packets.ts';
import { papers } from './papers.ts';
import { processes } from './processes.ts';
import { registers } from './registers.ts';
import { runCalls } from './runcalls.ts';
import { serial } from './serial.ts';
import { shadow } from './shadow.ts';
import { shadowFaults } from './shadowfaults.ts';
import { syscalls } from './syscalls.ts';
import { idMaps, pidLevels, taskNamespaces } from './tasknamespaces.ts';
import { tables } from './tables.ts';
import { tlb } from './tlb.ts';
import { translated, translation } from './translation.ts';
import type { View } from './view.ts';
import { exitCauses, vmcs, vmcsBits } from './vmcs.ts';
import { sensitive, virtualCpu } from './virtualcpu.ts';
import { vms } from './vms.ts';
import { volumes } from './volumes.ts';
import { walkCaches } from './walkcaches.ts';
import { walk, walkHead, walks } from './walk.ts';
import { why } from './why.ts';

export const VIEWS: Readonly<Record<string, View>> = {
  hosts, processes, cgroups, 'cgroup-resources': cgroupResources, 'cgroup-history': cgroupHistory, 'cgroup-cpu': cgroupCpu, 'file-text': fileText, 'kernel-log': kernelLog,
  namespaces, 'task-namespaces': taskNamespaces, 'pid-levels': pidLevels, 'id-maps': idMaps, syscalls, 'run-calls': runCalls, oom,
  containers, images, layers, 'layer-files': layerFiles, 'layer-sharing': layerSharing, 'image-layers': imageLayers, 'image-files': imageFiles, 'image-waste': imageWaste,
  overlay, overlays, 'overlay-events': overlayEvents, network, packets,
  vms, exits, 'exit-log': exitLog, walk, 'walk-head': walkHead, walks, tables, shadow, tlb, 'walk-caches': walkCaches, 'host-memory': hostMemory, 'shadow-faults': shadowFaults, registers, vmcs, 'vmcs-bits': vmcsBits, 'exit-causes': exitCauses, disassembly, memory, instructions,
  translation, translated, 'virtual-cpu': virtualCpu, sensitive,
  lanes, 'ledger-events': ledgerEvents, 'ledger-places': ledgerPlaces, spans, 'guest-marks': guestMarks, leaves, lockstep, serial, costs: costTable, papers,
  'cluster-size': clusterSize, nodes, pods, deployments, services, budgets, volumes, 'kube-events': kubeEvents, decisions, filters, scores, races,
  writes, rollouts, objects, revisions, 'object-text': objectText, 'cluster-export': clusterExport,
  marks, why,
};
