/** Making a virtual machine: a processor with its memory, and what its technique needs before the first instruction. */
import { createIrqchip } from '../machine/devices/irqchip.ts';
import { createMachine, setCosts } from '../machine/machine.ts';
import { HOST_MAX } from '../../cpu/layout.ts';
import { COSTS } from './costs.ts';
import { createLedger } from './ledger.ts';
import { TECHNIQUES } from './technique.ts';
import { hostBytes, HUGE, type Vm, type VmOptions } from './vm.ts';

/** Throws when the technique has no row, RangeError when there is no memory for it. */
export function createVm(module: WebAssembly.Module, options: VmOptions): Vm {
  const way = TECHNIQUES[options.technique];
  if (!way) throw new Error(`not modelled: technique ${options.technique}`);
  const bare = options.technique === 'native';
  const bytes = bare ? options.memoryBytes : hostBytes(options.memoryBytes);
  const machine = createMachine(module, Math.min(HOST_MAX, bytes + (options.hugePages ? HUGE : 0)), { vmx: bare ? 'allowed' : 'hidden' });
  const vm: Vm = {
    name: options.name, technique: options.technique, way, machine, costs: COSTS[options.costs ?? 'default'], ghz: options.ghz, vpid: options.vpid, chip: createIrqchip(), slots: new Map(),
    frames: new Map(), nextFrame: 0x1000, topFrame: machine.memory.length, hugePages: options.hugePages ?? false, tables: 0, ept: null, shadow: null, event: null, halted: false, io: null, device: null, exits: new Map(), log: [], exitsEver: 0, ledger: createLedger(), own: null, entered: false, events: null,
    serial: { bytes: 0, latch: false }, walked: { ns: options.now, cycles: 0n, walks: 0n }, broken: null,
  };
  price(vm);
  way.memory.init(vm);
  if (vm.shadow && !vm.costs.outOfSync) Object.assign(vm.shadow.policy, { unsync: false, flooding: Number.POSITIVE_INFINITY });
  way.cpu.init(vm, options.now);
  return vm;
}

/** The processor's own costs, of the generation. */
function price({ machine, technique, costs: { processor } }: Vm): void {
  if (!processor) return;
  const { instructions, event, guestEvent, walk, reference, control } = processor;
  setCosts(machine, instructions, { event: technique.startsWith('vmx') ? guestEvent : event, walk, reference, control });
}
