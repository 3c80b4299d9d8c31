/**
 * What crossing between guest, kernel and program costs, in cycles, by processor generation. The only place where a cost
 * of virtualization is written. `round` is exit plus entry with an empty handler.
 * Sources: Agesen et al., USENIX ATC 2012, table 1 (Prescott to Sandy Bridge); SplitX, WIOV 2011 (Nehalem with KVM: 2,000 a
 * whole exit); kvm-unit-tests inl_from_qemu, about 5,800 (to user space and back). Later generations are measurements of KVM
 * CPUID loops with and without mitigations, less exact; "default" is their round middle, used unless a profile is chosen.
 */
export interface ParavirtCosts {
  /** There and back, with an empty body. */
  hypercall: number;
  /** Checking one entry of a page table. */
  validate: number;
  /** Bringing a trap, a system call or an event to the guest's handler. */
  bounce: number;
}

export interface ProcessorCosts {
  /** By mnemonic. */
  instructions: Readonly<Record<string, number>>;
  /** Delivery of an exception or interrupt, natively and under VT-x; a walk and one of its references; MOV to a control register. */
  event: number;
  guestEvent: number;
  walk: number;
  reference: number;
  control: number;
}

/** What a monitor without VT-x pays, in cycles; the processor's own part of a trap (delivery of the event) comes besides. */
export interface MonitorCosts {
  /** A trap from the guest's ring to the monitor and back. */
  trap: number;
  /** Decoding an instruction that trapped and doing it on the virtual processor. */
  emulate: number;
  /** Bringing an event to the guest's handler: its gate, stack and frame by software. */
  reflect: number;
  /** The same for a system call. */
  call: number;
  /** Walking the guest's tables and filling a shadow entry. */
  fill: number;
  /** A store to a watched page, done for the guest: its decoding, and the shadow entry that follows. */
  watched: number;
  /** Translating one instruction. */
  translate: number;
  /** From translated code to the monitor and back: a call, no trap. */
  callout: number;
  /** What an emulated instruction does once translated code has called out for it. */
  service: number;
  /** A store to a watched page from code that was translated again to call out for it. */
  adaptive: number;
  /** The return lookup beyond its instructions: loads that wait for each other, a jump that is predicted badly. */
  lookup: number;
}

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
  /** What the processor itself takes, where it differs from the instruction table's; events in a guest apart. */
  processor: ProcessorCosts | null;
  /** Shadow tables of the time: leaves may be out of sync with the guest's (KVM since 2008), or every write is traced. */
  outOfSync: boolean;
  paravirt: ParavirtCosts;
  monitor: MonitorCosts;
  shadow: ShadowCosts;
  source: string;
}

/** What the hypervisor does with shadow tables, in cycles beyond the exit and entry around it. */
export interface ShadowCosts {
  /** The guest's tables are walked, entries filled. */
  hidden: number;
  /** Walked, and the fault is the guest's. */
  true: number;
  /** A write to a traced table: decoded, carried out, its shadow corrected. */
  write: number;
  /** CR3 loaded: the root found or made. */
  switch: number;
  /** INVLPG. */
  invlpg: number;
  /** One table out of sync is compared with the guest's, beside any of the above. */
  resync: number;
  source: string;
}

/**
 * Barham et al., SOSP 2003, tables 4 and 5, on a 2.4 GHz Xeon: a page fault costs 2.73 us under Xen and 1.42 us natively, 3,144
 * cycles more: one bounce, one hypercall that changes one entry. A context switch costs 1.20 us, 2,880 cycles, more: two
 * hypercalls. The split between the three is ours; later processors are taken to cross rings four times as fast (low confidence).
 */
const NETBURST: ParavirtCosts = { hypercall: 1300, validate: 144, bounce: 1700 };
const LATER: ParavirtCosts = { hypercall: 325, validate: 36, bounce: 425 };
const paravirtAt = (launched: number): ParavirtCosts => (launched < 2006 ? NETBURST : LATER);

/**
 * Adams and Agesen, ASPLOS 2006, section 6.3: nanobenchmarks of the software VMM on a 3.8 GHz Pentium 4 (syscall 2308, in 214, call and return 51,
 * page fault 3927, division by zero 3223, page-table write 391), from which these parts were worked out; the division is ours.
 * Later processors are taken to be four times as fast in the parts that cross rings (low confidence).
 */
const SOFTWARE_VMM: MonitorCosts = { trap: 1000, emulate: 200, reflect: 1310, call: 252, fill: 470, watched: 1600, translate: 300, callout: 60, service: 140, adaptive: 60, lookup: 29 };
const SOFTWARE_VMM_LATER: MonitorCosts = { trap: 250, emulate: 80, reflect: 120, call: 120, fill: 350, watched: 450, translate: 100, callout: 20, service: 50, adaptive: 100, lookup: 6 };
const monitorAt = (launched: number): MonitorCosts => (launched < 2006 ? SOFTWARE_VMM : SOFTWARE_VMM_LATER);

const ATC = 'Agesen et al., USENIX ATC 2012, table 1';
/**
 * Adams and Agesen (ASPLOS 2006, nanobenchmarks, Pentium 4 672): a true fault is 11,242 cycles in all and a write to a page-table entry
 * 12,733, of which exit and entry are 4,340, the handler around it 1,000 and the fault's own way through the guest 1,093; what is left is the software.
 * The rest of that column, and every later generation, is in proportion: to `handler` as it is there. Low confidence.
 */
const P4: Omit<ShadowCosts, 'source'> = { hidden: 5800, true: 4915, write: 7141, switch: 4000, invlpg: 2500, resync: 6000 };
const P4_HANDLER = 1000;

function shadowCosts(handler: number, measured: boolean): ShadowCosts {
  // a P4 spends many more cycles than its successors on the same software
  const scale = measured ? 1 : (handler / P4_HANDLER) * 0.4;
  const of = (cycles: number): number => Math.round(cycles * scale);
  return {
    hidden: of(P4.hidden), true: of(P4.true), write: of(P4.write), switch: of(P4.switch), invlpg: of(P4.invlpg), resync: of(P4.resync),
    source: measured ? 'Adams and Agesen, ASPLOS 2006: true fault and write; the rest estimated' : 'scaled from Adams and Agesen, ASPLOS 2006, low confidence',
  };
}

/**
 * Adams and Agesen, ASPLOS 2006, nanobenchmarks on a Pentium 4 672 at 3.8 GHz, native column: a system call 242, IN from port 0x80
 * 3,209, MOV to CR8 about 140, a call and its return 11, a page fault 1,093, a division by zero 889 (1,014 under VT-x). What
 * the small kernel of the lab does on the way is taken off; the division between the two ends of a pair is ours.
 */
const PENTIUM4: ProcessorCosts = {
  instructions: { syscall: 83, sysret: 84, iretq: 187, iretd: 187, lahf: 11, sahf: 12, in: 3209, call: 5, ret: 6 }, event: 650, guestEvent: 775, walk: 57, reference: 47, control: 139,
};

const profile = (name: string, launched: number, round: number, handler: number, source: string): CostProfile =>
  ({ name, launched, round, handler, userspace: 4500, sleep: 5000, processor: null, outOfSync: launched >= 2008, paravirt: paravirtAt(launched), monitor: monitorAt(launched), shadow: shadowCosts(handler, name === 'prescott'), source });

export const COSTS = {
  default: profile('default', 2020, 1000, 500, 'middle of the measurements below'),
  'pentium4-672': {
    ...profile('pentium4-672', 2005, 4340, 1000, 'Adams and Agesen, ASPLOS 2006: entry 2,409, page-fault exit 1,931, and the nanobenchmarks'), userspace: 9885, processor: PENTIUM4,
    shadow: shadowCosts(1000, true),
  },
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
