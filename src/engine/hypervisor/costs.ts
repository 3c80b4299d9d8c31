/**
 * What crossing between guest, kernel and program costs, in cycles, by processor generation. The only place where a cost
 * of virtualization is written. `round` is exit plus entry with an empty handler.
 * Sources: Agesen et al., USENIX ATC 2012, table 1 (Prescott to Sandy Bridge); SplitX, WIOV 2011 (Nehalem with KVM: 2,000 a
 * whole exit); kvm-unit-tests inl_from_qemu, about 5,800 (to user space and back). Later generations are measurements of KVM
 * CPUID loops with and without mitigations, less exact; "default" is their round middle, used unless a profile is chosen.
 */
export interface CostProfile {
  name: string;
  launched: number;
  /** Hardware alone, exit + entry. */
  round: number;
  /** A handler inside KVM. */
  handler: number;
  /** More, when the program that called KVM_RUN must answer. */
  userspace: number;
  /** More, when the vCPU sleeps and is woken (HLT). */
  sleep: number;
  source: string;
}

const ATC = 'Agesen et al., USENIX ATC 2012, table 1';
const profile = (name: string, launched: number, round: number, handler: number, source: string): CostProfile =>
  ({ name, launched, round, handler, userspace: 4500, sleep: 5000, source });

export const COSTS = {
  default: profile('default', 2020, 1000, 500, 'middle of the measurements below'),
  prescott: profile('prescott', 2005, 3963, 1000, ATC),
  merom: profile('merom', 2006, 1579, 1000, ATC),
  penryn: profile('penryn', 2008, 1266, 1000, ATC),
  nehalem: profile('nehalem', 2009, 1009, 991, `${ATC}; SplitX, WIOV 2011 for the whole of 2,000`),
  westmere: profile('westmere', 2010, 761, 900, ATC),
  'sandy-bridge': profile('sandy-bridge', 2011, 784, 800, ATC),
  haswell: profile('haswell', 2013, 575, 600, 'published measurements, low confidence'),
  skylake: profile('skylake', 2015, 750, 450, 'kvm-unit-tests runs without mitigations, low confidence'),
  'skylake-mitigated': profile('skylake-mitigated', 2018, 1500, 500, 'KVM CPUID exit with L1TF and Spectre mitigations, low confidence'),
  'ice-lake': profile('ice-lake', 2019, 750, 500, 'KVM CPUID exit, low confidence'),
} as const satisfies Readonly<Record<string, CostProfile>>;

export type CostName = keyof typeof COSTS;

/** Cycles of one exit in the hypervisor, whoever answers it. */
export const lightCost = (costs: CostProfile): number => costs.round + costs.handler;
