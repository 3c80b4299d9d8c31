/**
 * The ways to run a guest: a pair of how its instructions run and how its memory is reached, each a row. A technique that
 * is named but has no row here is not modelled yet.
 */
import { bare } from './cpu/direct.ts';
import { paravirt } from './cpu/paravirt.ts';
import { vmx } from './cpu/vmx.ts';
import { vmxShadow } from './cpu/vmx-shadow.ts';
import { direct } from './memory/direct.ts';
import { directPaging } from './memory/directpaging.ts';
import { ept } from './memory/ept.ts';
import { shadow } from './memory/shadow.ts';
import type { TechniqueName, Way } from './vm.ts';

export const TECHNIQUES: Partial<Readonly<Record<TechniqueName, Way>>> = {
  native: { cpu: bare, memory: direct },
  paravirt: { cpu: paravirt, memory: directPaging },
  'vmx-shadow': { cpu: vmxShadow, memory: shadow },
  'vmx-ept': { cpu: vmx, memory: ept },
};
