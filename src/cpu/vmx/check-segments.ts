/**
 * Checks of the guest's segment registers and descriptor tables (SDM 3C 27.3.1.2-27.3.1.3): the number of the first rule
 * that is broken (machine/entry-rules.ts), or 0. Virtual-8086 guests have rules of their own: bases sixteen times the
 * selectors, limits FFFF, rights F3.
 */
import { CS, DS, GS, LDTR, SS, TR } from '../layout';
import { canonical, F_VM } from '../state';
import {
  ENTRY_CONTROLS, ENTRY_LONG, field, field32, GUEST_BASES, GUEST_CR0, GUEST_GDTR_LIMIT, GUEST_LIMITS, GUEST_RFLAGS, GUEST_RIGHTS, GUEST_SELECTORS, secondary, UNRESTRICTED,
} from './fields';

@inline function rights(n: u32): u32 { return field32(GUEST_RIGHTS + 2 * n); }
@inline function selector(n: u32): u32 { return field32(GUEST_SELECTORS + 2 * n) & 0xffff; }
@inline function base(n: u32): u64 { return field(GUEST_BASES + 2 * n); }
@inline function limit(n: u32): u32 { return field32(GUEST_LIMITS + 2 * n); }
@inline function usable(n: u32): bool { return (rights(n) & 0x10000) == 0; }
@inline function dpl(n: u32): u32 { return (rights(n) >> 5) & 3; }
@inline function free(): bool { return (secondary() & UNRESTRICTED) != 0; }
/** Bits 11:8 and above 16. */
@inline function reservedRights(n: u32): bool { return (rights(n) & 0xfffe0f00) != 0; }
/** Some low bit of the limit is clear: it counts bytes; some high bit is set: it counts pages. */
@inline function wrongGranularity(n: u32): bool {
  const pages = (rights(n) & 0x8000) != 0;
  return ((limit(n) & 0xfff) != 0xfff && pages) || (limit(n) >> 20 != 0 && !pages);
}

export function checkSegments(): u32 {
  const virtual = (field(GUEST_RFLAGS) & F_VM) != 0;
  const first = checkSelectors(virtual);
  if (first != 0) return first;
  const second = checkBases(virtual);
  if (second != 0) return second;
  const third = virtual ? checkVirtual() : checkCode();
  if (third != 0) return third;
  const fourth = virtual ? 0 : checkStack();
  if (fourth != 0) return fourth;
  const fifth = virtual ? 0 : checkData();
  if (fifth != 0) return fifth;
  const sixth = checkSystem();
  return sixth != 0 ? sixth : checkTables();
}

function checkSelectors(virtual: bool): u32 {
  if ((selector(TR) & 4) != 0) return 85;
  if (usable(LDTR) && (selector(LDTR) & 4) != 0) return 86;
  return !virtual && !free() && ((selector(SS) ^ selector(CS)) & 3) != 0 ? 87 : 0;
}

function checkBases(virtual: bool): u32 {
  if (virtual) {
    for (let n: u32 = 0; n <= u32(GS); n++) {
      if (base(n) != u64(selector(n)) << 4) return 153;
    }
  }
  if (!canonical(base(TR))) return 88;
  if (!canonical(base(4))) return 89;
  if (!canonical(base(5))) return 90;
  if (usable(LDTR) && !canonical(base(LDTR))) return 91;
  if (base(CS) >> 32 != 0) return 92;
  for (let n: u32 = 0; n <= u32(DS); n++) {
    if (n != CS && usable(n) && base(n) >> 32 != 0) return 93;
  }
  return 0;
}

function checkVirtual(): u32 {
  for (let n: u32 = 0; n <= u32(GS); n++) {
    if (limit(n) != 0xffff) return 154;
    if (rights(n) != 0xf3) return 155;
  }
  return 0;
}

function checkCode(): u32 {
  const own = rights(CS);
  const type = own & 15;
  if ((type & 9) != 9 && !(free() && type == 3)) return 94;
  if ((own & 0x10) == 0) return 95;
  if (type == 3 ? dpl(CS) != 0 : (type & 4) != 0 ? dpl(CS) > dpl(SS) : dpl(CS) != dpl(SS)) return 96;
  if ((own & 0x80) == 0) return 97;
  if (reservedRights(CS)) return 98;
  if ((field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0 && (own & 0x6000) == 0x6000) return 99;
  return wrongGranularity(CS) ? 100 : 0;
}

function checkStack(): u32 {
  const type = rights(SS) & 15;
  if (usable(SS)) {
    if (type != 3 && type != 7) return 101;
    if ((rights(SS) & 0x10) == 0) return 102;
  }
  if (!free() && dpl(SS) != (selector(SS) & 3)) return 103;
  if (((rights(CS) & 15) == 3 || (field(GUEST_CR0) & 1) == 0) && dpl(SS) != 0) return 104;
  if (!usable(SS)) return 0;
  if ((rights(SS) & 0x80) == 0) return 105;
  if (reservedRights(SS)) return 106;
  return wrongGranularity(SS) ? 107 : 0;
}

function checkData(): u32 {
  for (let n: u32 = 0; n <= u32(GS); n++) {
    if (n == CS || n == SS || !usable(n)) continue;
    const type = rights(n) & 15;
    if ((type & 1) == 0 || (type & 10) == 8) return 108;
    if ((rights(n) & 0x10) == 0) return 109;
    if (!free() && type <= 11 && dpl(n) < (selector(n) & 3)) return 110;
    if ((rights(n) & 0x80) == 0) return 111;
    if (reservedRights(n)) return 112;
    if (wrongGranularity(n)) return 113;
  }
  return 0;
}

function checkSystem(): u32 {
  const type = rights(TR) & 15;
  if (!usable(TR)) return 119;
  if (type != 11 && (type != 3 || (field32(ENTRY_CONTROLS) & ENTRY_LONG) != 0)) return 114;
  if ((rights(TR) & 0x10) != 0) return 115;
  if ((rights(TR) & 0x80) == 0) return 116;
  if (reservedRights(TR)) return 117;
  if (wrongGranularity(TR)) return 118;
  if (!usable(LDTR)) return 0;
  if ((rights(LDTR) & 15) != 2) return 120;
  if ((rights(LDTR) & 0x10) != 0) return 121;
  if ((rights(LDTR) & 0x80) == 0) return 122;
  if (reservedRights(LDTR)) return 123;
  return wrongGranularity(LDTR) ? 124 : 0;
}

function checkTables(): u32 {
  for (let n: u32 = 0; n < 2; n++) {
    if (!canonical(field(GUEST_BASES + 16 + 2 * n))) return 125 + n;
    if (field32(GUEST_GDTR_LIMIT + 2 * n) > 0xffff) return 127 + n;
  }
  return 0;
}
