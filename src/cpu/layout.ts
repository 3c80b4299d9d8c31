/**
 * Where everything lies in the processor's linear memory. Read by the processor (AssemblyScript) and by the machine round
 * it (TypeScript), so it holds numbers and nothing else. All little-endian; "slot" is 8 bytes.
 *
 *   0x00400  registers, segments, control and model-specific registers, counters, why run() stopped
 *   0x01000  what instructions, events and walks cost
 *   0x02000  the current VMCS, one slot a field
 *   0x10000  ring of page walks, then TLB, its fast front, trace ring, decoded blocks
 *   HOST     host-physical memory, from address 0 of the host
 */

// ---- registers (slots)
export const GPR = 0x400; // rax rcx rdx rbx rsp rbp rsi rdi r8..r15
export const ZERO = 0x480; // always 0: the base or index that is not there
export const PAGE_BASE = 0x488; // linear address of the page that is being executed
export const RIP = 0x490;
export const RFLAGS = 0x498; // true between runs; inside a run the arithmetic flags are lazy
export const CR0 = 0x4a0;
export const CR2 = 0x4a8;
export const CR3 = 0x4b0;
export const CR4 = 0x4b8;
export const CR8 = 0x4c0;
export const DR0 = 0x4c8; // dr0..dr3
export const DR6 = 0x4e8;
export const DR7 = 0x4f0;

// ---- segments, in VMCS order: base slot, limit u32, access rights u32 (VMCS format), selector u32
export const SEGMENTS = 0x500;
export const SEGMENT_SIZE = 24;
export const SEGMENT_LIMIT = 8;
export const SEGMENT_RIGHTS = 12;
export const SEGMENT_SELECTOR = 16;
export const ES = 0;
export const CS = 1;
export const SS = 2;
export const DS = 3;
export const FS = 4;
export const GS = 5;
export const LDTR = 6;
export const TR = 7;
export const GDTR = 8;
export const IDTR = 9;

// ---- model-specific registers (slots)
export const EFER = 0x600;
export const STAR = 0x608;
export const LSTAR = 0x610;
export const CSTAR = 0x618;
export const FMASK = 0x620;
export const KERNEL_GS_BASE = 0x628;
export const TSC_AUX = 0x630;
export const TSC_BASE = 0x638; // time-stamp counter = cycles + this (+ TSC offset in a guest)
export const PAT = 0x640;
export const SYSENTER_CS = 0x648;
export const SYSENTER_ESP = 0x650;
export const SYSENTER_EIP = 0x658;
export const APIC_BASE = 0x660;
export const DEBUGCTL = 0x668;
export const MISC_ENABLE = 0x670;

// ---- state outside the registers (u32 unless said)
export const CPL = 0x680;
export const MODE = 0x684;
export const MODE_REAL = 0;
export const MODE_PROTECTED = 1;
export const MODE_COMPATIBILITY = 2;
export const MODE_LONG = 3;
export const VMX = 0x688; // 0 root operation, 1 a guest runs
export const ACTIVITY = 0x68c; // 0 active, 1 HLT, 2 shutdown, 3 wait for SIPI
export const INTERRUPTIBILITY = 0x690; // bit 0 STI, 1 MOV SS, 3 NMI
export const LINE = 0x694; // external interrupt requested: 0x100 | vector, LINE_ASKS, or 0
export const LINE_ASKS = 0x200; // one whose vector the host will say: STOP_BUDGET when it could be taken
export const NMI_LINE = 0x698; // 1: an NMI waits
export const LAUNCHED = 0x69c; // launch state of the current VMCS: 0 clear, 1 launched
export const MEMORY_BYTES = 0x6a0; // slot: size of host-physical memory
export const TLB_SETS = 0x6a8; // power of two, at most TLB_SETS_MAX
export const TLB_WAYS = 0x6ac; // at most TLB_WAYS_MAX
export const TRACE_ON = 0x6b0; // 1: every instruction is written to the trace ring
export const CODE_EPOCH = 0x6b4; // changes whenever decoded code was dropped
export const TRAPS = 0x6b8; // 1: in root operation the host's handlers stand behind every vector and behind SYSCALL: STOP_TRAP instead of delivery; 2: it stops before sensitive instructions that do not trap outside ring 3, too
export const WALK_CACHES = 0x6bc; // 1: walks use paging-structure caches

// ---- counters (slots)
export const CYCLES = 0x6c0;
export const INSTRUCTIONS = 0x6c8;
export const WALKS = 0x6d0; // walks recorded since power-on; the newest is (WALKS - 1) % WALK_COUNT
export const REFERENCES = 0x6d8; // table entries read by walks
export const TRACED = 0x6e0; // instructions traced; the newest is (TRACED - 1) % TRACE_COUNT
export const BLOCKS = 0x6e8; // blocks decoded
export const ENTRIES = 0x6f0; // VM entries
export const EXITS = 0x6f8; // VM exits

// ---- why run() stopped
export const STOP = 0x700; // u32
export const STOP_BUDGET = 0; // the budget of cycles or instructions is spent
export const STOP_EXIT = 1; // VM exit: the VMCS says why
export const STOP_HALT = 2; // HLT, and nothing to wake it
export const STOP_IO = 3; // root operation: port I/O for the board; finishIo() before the next run
export const STOP_SHUTDOWN = 4; // root operation: triple fault
export const STOP_FAILED = 5; // VM entry: VMfail, VM_INSTRUCTION_ERROR in P0, broken rule in P1
export const STOP_TRAP = 6; // root operation with TRAPS: an exception, INT n or SYSCALL that the host handles
export const STOP_DEVICE = 7; // an instruction met a device: DEVICE_USED 0, it has not happened and lacks an answer; otherwise it has
export const PAYLOAD = 0x708; // eight slots
// STOP_EXIT: 0 exit reason field, 1 exit qualification, 2 guest-physical address, 3 broken entry rule (reason 33)
// STOP_IO: 0 port, 1 bytes, 2 in (1) or out (0), 3 value
// STOP_SHUTDOWN: 0 vector of the last exception
// STOP_TRAP: 0 vector, 256 SYSCALL, 257 SYSENTER, 258 a sensitive instruction; 1 error code; 2 interruption type as in a VMCS (3 exception, 4 INT n, 5 INT1, 6 INT3 and INTO);
//   3 length of the instruction for types above 3. RIP is that instruction's, CR2 is set for a page fault
// STOP_DEVICE before the instruction: 0 address, or SPACE_MSR and the index, or SPACE_CR8; 1 bytes (a page's worth: not to be answered, only tried); 2 kind of DEVICE_KIND; 3 value for an MSR
export const TRAP_SYSCALL = 256;
export const TRAP_SYSENTER = 257;
export const TRAP_SILENT = 258;

// ---- the last exception delivered or intercepted, for pictures and tests (u32 but CR2)
export const LAST_VECTOR = 0x750;
export const LAST_ERROR = 0x754;
export const EXCEPTIONS = 0x800; // 32 slots: exceptions raised, by vector

// ---- what things cost, in cycles: filled at reset from the instruction table, read when code is decoded (the instructions) and
// when it happens (the rest)
export const COSTS = 0x1000; // u16 a row of isa/table.ts (COST_ROWS), in its order
export const COSTS_MAX = 0x3f8;
export const COST_EVENT = 0x17f0; // u32: delivery of an exception or interrupt
export const COST_WALK = 0x17f4; // u32: a walk besides its references (the second-level TLB missed)
export const COST_REFERENCE = 0x17f8; // u32, below 65,536: one table entry read
export const COST_ENTRY = 0x17fc; // u32: a VM entry by code; the host program charges its own
export const COST_EXIT = 0x1800; // u32: a VM exit to code
export const COST_CONTROL = 0x1804; // u32: MOV to a control register, beside its row

// ---- VMX operation of code (VMXON to VMXOFF)
export const VMX_OPERATION = 0x758; // u32, 1: entered by VMXON, and the current VMCS is the code's; 0: a VMCS in force is the host program's
export const VMX_HIDDEN = 0x75c; // u32, set by the machine's owner; 1: CPUID, CR4.VMXE and the MSRs deny that there is VMX
export const VMXON_POINTER = 0x760; // slot
export const CURRENT_VMCS = 0x768; // slot: address of the VMCS that VMPTRLD loaded; all ones: none
export const FEATURE_CONTROL = 0x770; // slot: IA32_FEATURE_CONTROL; 5 after firmware (locked, VMXON outside SMX)
export const BROKEN_RULE = 0x778; // u32: rule that the last VM entry broke (machine/entry-rules.ts); 0: none
export const ROOT_NMI = 0x77c; // u32: blocking by NMI of root operation, while a guest with virtual NMIs runs

// ---- accesses to devices (devices.ts)
export const DEVICES = 0x780; // u32, set by the machine's owner; 1: accesses outside memory, to the APIC's MSRs and to CR8 are a device's; 0: outside memory is nothing
export const DEVICE_TRY = 0x784; // u32, 1: the next instruction's accesses to devices are answered from DEVICE_ACCESSES; strings go element by element
export const DEVICE_GIVEN = 0x788; // u32: answers there
export const DEVICE_USED = 0x78c; // u32: accesses of the instruction, once it is done
export const DEVICE_REFUSED = 0x790; // u32, 1: the access to an MSR is #GP
export const DEVICE_NAMED = 4; // pages that can be named
export const DEVICE_PAGES = 0x798; // slots: physical pages of devices in a guest whose tables lack them
export const DEVICE_LINEAR = 0x7b8; // slots: linear pages that are these; all ones: EPT says which
export const DEVICE_ACCESSES = 0x1900;
export const DEVICE_MOST = 8;
export const DEVICE_ACCESS_SIZE = 32;
export const DEVICE_ADDRESS = 0; // slot
export const DEVICE_SIZE = 8; // u32 bytes
export const DEVICE_KIND = 12; // u32, below
export const DEVICE_VALUE = 16; // 16 bytes
export const DEVICE_READS = 0;
export const DEVICE_STORES = 1; // without reading
export const DEVICE_MODIFIES = 2;
export const SPACE_MSR = 0x10000000000000;
export const SPACE_CR8 = 0x18000000000000;

// ---- the current VMCS: one slot a field
export const VMCS = 0x2000;
export const VMCS_SIZE = 0x2000;
// slot of a field = VMCS + ((width << 8) | (type << 6) | index) * 8, from the parts of its encoding

// ---- page walks: a header, then the references in order
export const WALK_RING = 0x10000;
export const WALK_COUNT = 64;
export const WALK_SIZE = 2048;
export const WALK_GVA = 0; // slot
export const WALK_GPA = 8; // slot; without EPT the same as WALK_HPA
export const WALK_HPA = 16; // slot; valid when WALK_RESULT is 0
export const WALK_RIP = 24; // slot: instruction that caused it
export const WALK_CR3 = 32; // slot
export const WALK_EPTP = 40; // slot; 0: no EPT
export const WALK_AT = 48; // slot: cycles when it ended
export const WALK_COST = 56; // u32 cycles
export const WALK_ACCESS = 60; // u8: 0 read, 1 write, 2 fetch
export const WALK_RESULT = 61; // u8, below
export const WALK_REFERENCES = 62; // u8
export const WALK_RING_LEVEL = 63; // u8: privilege of the access, 0 supervisor, 3 user
export const WALK_ERROR = 64; // slot: page-fault error code, or exit qualification of an EPT violation
export const WALK_GUEST_SHIFT = 72; // u8: 12, 21 or 30: size of the guest's page; 0: not reached
export const WALK_HOST_SHIFT = 73; // u8: of the EPT's page; 0 without EPT
export const WALK_NUMBER = 80; // slot: number of this walk since power-on, from 0
export const WALK_VPID = 88; // u16
export const WALK_PCID = 90; // u16
export const WALK_OK = 0;
export const WALK_PAGE_FAULT = 1;
export const WALK_VIOLATION = 2;
export const WALK_MISCONFIGURATION = 3;
export const REFERENCE = 128; // offset of the first reference
export const REFERENCE_SIZE = 40;
export const REFERENCE_MAX = 47;
export const REFERENCE_TABLE = 0; // u8: 0 guest's, 1 EPT
export const REFERENCE_LEVEL = 1; // u8: 4 PML4E, 3 PDPTE, 2 PDE, 1 PTE
export const REFERENCE_ROW = 2; // u8: translation it belongs to: 0..3 guest's tables from the top, 4 the page itself
export const REFERENCE_LEAF = 3; // u8: 1 when this entry ends its walk
export const REFERENCE_INDEX = 4; // u16: entry of the table
export const REFERENCE_CYCLES = 6; // u16
export const REFERENCE_GPA = 8; // slot: guest-physical address being translated (EPT), or of the entry (guest's)
export const REFERENCE_HPA = 16; // slot: where the entry was read
export const REFERENCE_ENTRY = 24; // slot: the entry as read, before accessed and dirty were set
export const REFERENCE_AFTER = 32; // slot: as it was left

// ---- translation lookaside buffer
export const TLB = 0x30000;
export const TLB_SETS_MAX = 128;
export const TLB_WAYS_MAX = 12;
export const TLB_ENTRY_SIZE = 48;
export const TLB_LINEAR = 0; // slot: linear address of the page, bit 0 set when valid
export const TLB_HOST = 8; // slot: host-physical address of the page
export const TLB_GUEST = 16; // slot: guest-physical address of the page
export const TLB_EPT = 24; // slot: EPT root it was made under; 0: none
export const TLB_TAG = 32; // u32: VPID << 16 | PCID
export const TLB_SHIFT = 36; // u8: 12, 21, 30
export const TLB_RIGHTS = 37; // u8, below
export const TLB_USED = 40; // slot: stamp of last use, smallest goes first
export const RIGHT_WRITE = 1; // guest's tables
export const RIGHT_USER = 2;
export const RIGHT_EXECUTE = 4;
export const RIGHT_GLOBAL = 8;
export const RIGHT_DIRTY = 16; // dirty is set wherever it is kept, so a write needs no walk
export const RIGHT_EPT_WRITE = 32;
export const RIGHT_EPT_EXECUTE = 64;

// ---- fast fronts of the TLB, direct mapped: read, write, fetch for the supervisor, the same for the user, then for each
// writes to pages that hold decoded code
export const FAST = 0x44000;
export const FAST_COUNT = 256;
export const FAST_BYTES = 0x1000; // one of them
export const FAST_FRONTS = 8;

// ---- instructions executed, when TRACE_ON
export const TRACE = 0x4c000;
export const TRACE_COUNT = 1024;
export const TRACE_SIZE = 16; // slot rip, slot cycles before it

// ---- paging-structure caches: three for linear addresses, and CACHE_EPT_OFFSET further the same three for guest-physical ones
export const CACHE_PML4E = 0x50000;
export const CACHE_PML4E_COUNT = 2;
export const CACHE_PDPTE = 0x50100;
export const CACHE_PDPTE_COUNT = 4;
export const CACHE_PDE = 0x50200;
export const CACHE_PDE_COUNT = 32;
export const CACHE_EPT_OFFSET = 0x1000;
export const CACHE_ENTRY_SIZE = 64;
export const CACHE_KEY = 0; // slot: the address that the cached entry covers, bit 0 set when valid
export const CACHE_TABLE = 8; // slot: where it says the next table is
export const CACHE_HOST = 16; // slot: host-physical address of that table
export const CACHE_EPT = 24; // slot: EPT root; 0: none
export const CACHE_TAG = 32; // u32: VPID << 16 | PCID; 0 in those for guest-physical addresses
export const CACHE_RIGHTS = 36; // u32: RIGHT_ bits of all entries so far; for guest-physical addresses 1 read, 2 write, 4 execute
export const CACHE_USED = 40; // slot: stamp of last use
export const CACHE_EPT_RIGHTS = 48; // u32: EPT's rights to that table

// ---- what memory that is not there reads as, and where writes to it go
export const VOID_READ = 0x5c000;
export const VOID_WRITE = 0x5d000;

// ---- decoded blocks
export const BLOCK_HASH = 0x60000;
export const BLOCK_HASH_COUNT = 0x8000; // 16 bytes each
export const CODE_LINES = 0x100000; // one slot a host page: bit n set when its 64-byte line n holds decoded code
export const HOST_MAX = 0x40000000; // so at most 1 GiB
export const PAGE_BLOCKS = 0x300000; // u32 a host page: first block decoded from it
export const ARENA = 0x400000;
export const ARENA_END = 0xb00000;

// ---- host-physical memory
export const STATIC = 0xb00000; // the compiler's own data
export const HOST = 0xc00000;
