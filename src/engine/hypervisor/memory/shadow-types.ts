/**
 * Shadow page tables as records: tables of the hypervisor's that map guest-linear to host-physical, one for each guest table and
 * way of using it (its role), with what is needed to keep them true. Source: Linux Documentation/virt/kvm/x86/mmu.rst.
 */

/** What decides how the guest's tables are read. `pdptes` are the four entries that loading CR3 read (PAE paging). */
export interface Paging {
  cr0: bigint;
  cr3: bigint;
  cr4: bigint;
  efer: bigint;
}

/** Paging off; 32-bit tables of 4-byte entries; PAE; four levels. */
export type Mode = 'none' | '32' | 'pae' | 'long';
export const MODES: readonly Mode[] = ['none', '32', 'pae', 'long'];

export const MAY_WRITE = 1;
export const MAY_USER = 2;
export const MAY_EXECUTE = 4;
export const MAY_ALL = 7;

/** The other half of a shadow page's name beside the guest frame. */
export interface Role {
  /** 4 PML4, 3 PDPT, 2 PD, 1 PT. */
  level: number;
  /** It stands for no table of the guest's: part of a large page, or paging is off. */
  direct: boolean;
  /** Rights that the entries above leave: MAY_*. */
  access: number;
  /** Which part of a guest table of 1,024 entries: 0-3 of a PD, 0-1 of a PT. */
  quadrant: number;
  mode: Mode;
  nx: boolean;
  wp: boolean;
  pse: boolean;
  /** SMEP or SMAP with CR0.WP clear: pages made the kernel's for its writes are not those of other settings. */
  smepNotWp: boolean;
  smapNotWp: boolean;
}

export interface ShadowPage {
  id: number;
  key: string;
  /** Guest's table; of a direct one the first guest frame that it maps. */
  gfn: number;
  role: Role;
  /** The table itself: 512 entries. */
  hpa: number;
  /** Host-physical addresses of the entries that point here. */
  parents: Set<number>;
  /** Guest frame that an entry of level 1 maps; -1. */
  gfns: Int32Array;
  /** Entries in use. */
  present: number;
  /** A leaf that the guest may write without being seen, until it flushes. */
  unsync: boolean;
  /** Emulated writes since it was last used. */
  writes: number;
  /** Clock of its last use. */
  used: number;
}

/** A page fault as the processor reports it. */
export interface Fault {
  address: bigint;
  /** Error code: 0 present, 1 write, 2 user, 3 reserved, 4 fetch. */
  error: number;
  paging: Paging;
  /** RFLAGS.AC lets the kernel at the user's pages in spite of SMAP. */
  ac: boolean;
  rip: bigint;
  /** An event was being delivered: no instruction to emulate. */
  delivering: boolean;
}

export type FaultKind = 'hidden' | 'true' | 'write' | 'page' | 'mmio' | 'reserved';

/** What became of a fault. */
export type Sorted =
  /** The shadow table was missing or stale: filled, the guest tries again. */
  | { kind: 'filled' }
  /** The guest's own tables refuse: its page fault, with this error code; CR2 is the fault's address. */
  | { kind: 'inject'; error: number }
  /** A write to a traced table: emulate it (`emulateWrite`). */
  | { kind: 'write'; gpa: number }
  /** A guest page without a frame: back it, call `memory.map`. */
  | { kind: 'page'; gpa: number }
  /** Nobody has memory there. */
  | { kind: 'mmio'; gpa: number }
  /** The address lies in a PML4 slot that the monitor keeps for itself. */
  | { kind: 'reserved'; slot: number };

export interface FaultRecord {
  n: number;
  kind: FaultKind;
  gva: bigint;
  error: number;
  rip: bigint;
  gpa: number;
  done: string;
}

export interface Shadow {
  /** VPID of the guest's translations; 0 in root operation. */
  vpid: number;
  /** The processor stays in long mode whatever the guest's mode: roots have four levels. */
  wide: boolean;
  /** By guest frame and role, least recently used first. */
  pages: Map<string, ShadowPage>;
  byHpa: Map<number, ShadowPage>;
  /** Shadow pages of a guest table, by its frame. */
  byGfn: Map<number, Set<ShadowPage>>;
  /** Reverse map: addresses of the leaf entries that map a guest frame. */
  rmap: Map<number, Set<number>>;
  unsync: Set<ShadowPage>;
  /** Guest frames besides tables that the guest must not write unseen: code that was translated. */
  watched: Set<number>;
  /** Frames of pages that were given up. */
  free: number[];
  limit: number;
  ids: number;
  clock: number;
  /** Root in force: what CR3 holds, the pages at its top (PAE: four), and for which guest state. */
  root: number;
  tops: ShadowPage[];
  paging: Paging | null;
  pdptes: bigint[];
  /** Frames for the four-entry root and, when `wide`, the PML4 above it; 0: none yet. */
  pointers: number;
  above: number;
  /** PML4 slots that the monitor keeps in every root. */
  fixed: Map<number, bigint>;
  /** Of such a slot only this entry of the table below it is the monitor's; the rest is the guest's when the guest has tables there. */
  deep: { slot: number; index: number; entry: bigint } | null;
  /** Outside long mode two directory entries are the monitor's, from this linear address on. */
  low: { base: number; entries: readonly [bigint, bigint] } | null;
  policy: { unsync: boolean; prefetch: number; flooding: number };
  /** A fault that waits for its page. */
  pending: Fault | null;
  /** Stores to guest memory are an emulated instruction's. */
  emulating: boolean;
  counts: Record<'hidden' | 'true' | 'write' | 'switch' | 'found' | 'invlpg' | 'resync' | 'flooded' | 'recycled' | 'prefetched' | 'unsynced' | 'unprotected', number>;
  /** The newest, at most FAULTS. */
  faults: FaultRecord[];
  faultsEver: number;
}

export const FAULTS = 100;

// entries, as the processor reads them (SDM 3A 4.5) and two bits that it ignores
export const PRESENT = 1n;
export const WRITE = 2n;
export const USER = 4n;
export const ACCESSED = 0x20n;
export const DIRTY = 0x40n;
export const LARGE = 0x80n;
/** Would be writable, but the frame is a traced table of the guest's. */
export const TRACED = 0x400n;
export const NO_EXECUTE = 1n << 63n;
export const FRAME = 0x000f_ffff_ffff_f000n;
