/** Which machine the picture looks at: one that runs, or one that has ended and whose processor and memory are still there. */
import type { LaneRow, VmRow } from '../../../bridge/rows.ts';
import { useRows } from '../../bridge/client.ts';
import { useStore } from '../../store.ts';

/** `ended`: its number on the host, by which its views are asked for; null while it runs. */
export type Machine = VmRow & { ended: number | null };

export function useMachines(): Machine[] {
  const vms = useRows<VmRow>('vms');
  const lanes = useRows<LaneRow>('lanes');
  const over = lanes.filter((one) => one.machine && one.endedAt !== null).reverse();
  return [...vms.map((one): Machine => ({ ...one, ended: null })), ...over.map(fromLane)];
}

const fromLane = (lane: LaneRow): Machine => ({
  key: lane.key, host: lane.host, name: `${lane.vm} (ended)`, id: null, state: lane.state, pid: null, memory: 0, vcpus: 1, technique: lane.technique, instructions: lane.instructions, cycles: lane.cycles,
  exits: lane.events, rip: '', mode: '', debugger: '', serialBytes: 0, ended: lane.id,
});

/** The chosen one, else the first that runs, else the newest that ended, else the first there is. */
export function useVm(): Machine | undefined {
  const all = useMachines();
  const name = useStore((s) => s.vm);
  return all.find((one) => one.name === name || one.key === name) ?? all.find((one) => one.id !== null) ?? all.find((one) => one.ended !== null) ?? all[0];
}
export const argOf = (vm: Machine | undefined): { host: string; vm: string } | { host: string; id: number } | null =>
  vm ? (vm.ended === null ? { host: vm.host, vm: vm.name } : { host: vm.host, id: vm.ended }) : null;
/** Something of it can be looked at. */
export const isThere = (vm: Machine): boolean => vm.id !== null || vm.ended !== null;
