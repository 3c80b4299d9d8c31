/**
 * The ways to run a guest: a pair of how its instructions run and how its memory is reached, each a row. A technique that
 * is named but has no row here is not modelled yet.
 */
import { bare } from './cpu/direct.ts';
import { deprivilege } from './cpu/deprivilege.ts';
import { paravirt } from './cpu/paravirt.ts';
import { translate } from './cpu/translate.ts';
import { own } from './cpu/deprivilege-state.ts';
import { vmx } from './cpu/vmx.ts';
import { vmxShadow } from './cpu/vmx-shadow.ts';
import { direct } from './memory/direct.ts';
import { directPaging } from './memory/directpaging.ts';
import { ept } from './memory/ept.ts';
import { shadow, shadowMemory } from './memory/shadow.ts';
import type { MemoryWay, TechniqueName, Way } from './vm.ts';

/** The processor stays in root operation and in long mode; its tables are the monitor's. */
const shadowed = shadowMemory({ guest: false, wide: true });
/** And the translator hears of what is stored to its sources. */
const watched: MemoryWay = {
  ...shadowed,
  written(vm, gpa, length) {
    shadowed.written(vm, gpa, length);
    own(vm).wrote?.(vm, gpa, length);
  },
};

export const TECHNIQUES: Partial<Readonly<Record<TechniqueName, Way>>> = {
  native: { cpu: bare, memory: direct },
  'trap-and-emulate': { cpu: deprivilege, memory: shadowed },
  'binary-translation': { cpu: translate, memory: watched },
  paravirt: { cpu: paravirt, memory: directPaging },
  'vmx-shadow': { cpu: vmxShadow, memory: shadow },
  'vmx-ept': { cpu: vmx, memory: ept },
};
