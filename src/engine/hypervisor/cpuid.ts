/**
 * What CPUID tells a guest: an Intel processor with what `src/cpu` executes and no more, and KVM's leaf. A processor that
 * is asked for a leaf beyond the last answers with its last basic one. Source: SDM 2A CPUID, Linux virt/kvm/x86/cpuid.rst.
 */
export interface CpuidLeaf {
  eax: number;
  ebx: number;
  ecx: number;
  edx: number;
}

const word = (text: string, at: number): number => {
  let value = 0;
  for (let n = 3; n >= 0; n--) value = value * 256 + (text.charCodeAt(at + n) || 0);
  return value;
};
const leaf = (eax = 0, ebx = 0, ecx = 0, edx = 0): CpuidLeaf => ({ eax, ebx, ecx, edx });

const LAST = 7;
const VENDOR = 'GenuineIntel';
const BRAND = 'Nestbox modelled processor @ 2.00GHz'.padEnd(48, '\0');
/** FPU is said to be there, as long mode promises it, though no instruction of it is modelled. */
const FEATURES_EDX = (1 << 0) | (1 << 3) | (1 << 4) | (1 << 5) | (1 << 6) | (1 << 8) | (1 << 13) | (1 << 15) | (1 << 16);
const CX16 = 1 << 13;
const X2APIC = 1 << 21;
const TSC_DEADLINE = 1 << 24;
const APIC = 1 << 9;
const HYPERVISOR = 0x8000_0000;
const SYSCALL = 1 << 11;
const NX = 1 << 20;
const GIGABYTE_PAGES = 1 << 26;
const RDTSCP = 1 << 27;
const LONG_MODE = 1 << 29;
const INVARIANT_TSC = 1 << 8;

/** `apic`: the local APIC is on, as IA32_APIC_BASE says. */
export function cpuid(index: number, _sub: number, apic = true): CpuidLeaf {
  if (index === 0x4000_0000) return leaf(0x4000_0001, word('KVMK', 0), word('VMKV', 0), word('M', 0));
  if (index === 0x4000_0001) return leaf();
  if (index >= 0x8000_0000 && index <= 0x8000_0008) return extended(index);
  switch (Math.min(index, LAST)) {
    case 0: return leaf(LAST, word(VENDOR, 0), word(VENDOR, 8), word(VENDOR, 4));
    case 1: return leaf(0x0005_0654, 0x0001_0800, (HYPERVISOR | CX16 | X2APIC | TSC_DEADLINE) >>> 0, apic ? FEATURES_EDX | APIC : FEATURES_EDX);
    default: return leaf();
  }
}

function extended(index: number): CpuidLeaf {
  switch (index) {
    case 0x8000_0000: return leaf(0x8000_0008);
    case 0x8000_0001: return leaf(0, 0, 1, SYSCALL | NX | GIGABYTE_PAGES | RDTSCP | LONG_MODE);
    case 0x8000_0002:
    case 0x8000_0003:
    case 0x8000_0004: {
      const at = (index - 0x8000_0002) * 16;
      return leaf(word(BRAND, at), word(BRAND, at + 4), word(BRAND, at + 8), word(BRAND, at + 12));
    }
    case 0x8000_0007: return leaf(0, 0, 0, INVARIANT_TSC);
    case 0x8000_0008: return leaf(0x3028);
    default: return leaf();
  }
}
