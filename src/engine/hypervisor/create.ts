/** Making a virtual machine: a processor with its memory, empty EPT, a VMCS. */
import { createIrqchip } from '../machine/devices/irqchip.ts';
import { createMachine } from '../machine/machine.ts';
import { HOST_MAX } from '../../cpu/layout.ts';
import { COSTS } from './costs.ts';
import { initVmcs } from './cpu/vmcs.ts';
import { createEpt } from './memory/ept.ts';
import { hostBytes, type Vm, type VmOptions } from './vm.ts';

export function createVm(module: WebAssembly.Module, options: VmOptions): Vm {
  const machine = createMachine(module, Math.min(HOST_MAX, hostBytes(options.memoryBytes)));
  const vm: Vm = {
    name: options.name, technique: options.technique, machine, costs: COSTS.default, ghz: options.ghz, vpid: options.vpid, chip: createIrqchip(), slots: new Map(),
    frames: new Map(), nextFrame: 0x1000, ept: { root: 0, pointer: 0n, tables: 0 }, event: null, halted: false, io: null, exits: new Map(), log: [], exitsEver: 0,
    serial: { bytes: 0, latch: false }, walked: { ns: options.now, cycles: 0n, walks: 0n }, broken: null,
  };
  createEpt(vm);
  initVmcs(vm, options.now);
  return vm;
}
