/**
 * A decoded instruction and a decoded block. A record is 48 bytes: what to do and the addresses of its operands, so that
 * executing is loading from them. A missing base, index or segment is the address of a slot that is always zero; an
 * immediate is an operand whose address is inside the record. A block is a straight run of records within one page; it ends
 * with a record that leads out of it: a branch, an instruction that may change how the next is fetched, or END.
 */

// ---- record
export const R_OP: usize = 0; // u16, of ops.ts
export const R_LENGTH: usize = 2; // u8 bytes
export const R_SCALE: usize = 3; // u8 shift of the index
export const R_DST: usize = 4; // u32 address
export const R_SRC: usize = 8; // u32 address
export const R_BASE: usize = 12; // u16 address of a register
export const R_INDEX: usize = 14; // u16
export const R_SEGMENT: usize = 16; // u16 address of a segment's base
export const R_OFFSET: usize = 18; // u16 in its page
export const R_DISPLACEMENT: usize = 24; // i64; of a relative branch: its target less the page's base
export const R_IMMEDIATE: usize = 32; // i64
export const R_CYCLES: usize = 40; // u16 of the block before this instruction
export const R_ORDINAL: usize = 42; // u16 instructions of the block before this one
export const R_FLAGS: usize = 44; // u8, below
export const R_SIZE: usize = 45; // u8 log2 of bytes
export const R_REG: usize = 46; // u8 ModRM.reg with REX.R
export const R_RM: usize = 47; // u8 ModRM.rm with REX.B, or 0xff: memory
export const RECORD: usize = 48;

export const RF_RING0: u8 = 1;
export const RF_REP: u8 = 2;
export const RF_REPNE: u8 = 4;
export const RF_NARROW: u8 = 8; // address size 32
export const RF_A16: u8 = 16; // address size 16
export const RF_LAST: u8 = 32; // its block ends with it

// ---- block
export const B_KEY: usize = 0; // u64 host-physical address of the first byte; all ones: dead
export const B_END: usize = 8; // u32 address after the last record
export const B_CYCLES: usize = 12; // u32
export const B_COUNT: usize = 16; // u32 instructions
export const B_NEXT: usize = 20; // u32 next block of the same page
export const B_FALL: usize = 24; // u32 offset in the page after the last instruction
export const B_TAKEN: usize = 28; // u32 block of the same page that the branch leads to, or LINK_TAKEN: not known
export const B_NOT_TAKEN: usize = 32; // u32 the same of what follows, or LINK_NOT_TAKEN
export const B_HEADER: usize = 64;
export const LINK_INDIRECT: usize = 0; // RIP says where it goes on
export const LINK_TAKEN: usize = 1;
export const LINK_NOT_TAKEN: usize = 2;
