/**
 * The world of IA-32e mode: the same round as world.ts with gates and system descriptors of 16 bytes and four levels of tables.
 * Cases are 64-bit code, or 32-bit code in compatibility mode, in any ring.
 */
import { descriptor, DONE, GDT, LDT, STACKS, TABLES } from './world.ts';

export const LONG_IDT = 0x1800;
export const LONG_TSS = 0x2800;
export const ROOT = 0x3000; // PML4, then PDPT, PD
export const WINDOW_TABLE = 0xa000;
export const GIANT = 0x40000000; // linear; its entry is the second of the PDPT
export const IST_STACKS = 0xac00; // not used by good cases: IST n is the top of ring 1's or 2's stack page
/** RPL 0. `compat` is 32-bit code. */
export const LONG = { code: [0x08, 0x18, 0x28, 0x38], data: [0x10, 0x20, 0x30, 0x40], compat: [0x70, 0x58], tss: 0x48, ldt: 0x60, slots: [0x80, 0x90, 0xa0, 0xb0] } as const;

function put(view: DataView, at: number, value: bigint): void { view.setBigUint64(at, value, true); }
export const wideGate = (selector: number, offset: bigint, rights: number, ist: number): [bigint, bigint] => [
  (offset & 0xffffn) | (BigInt(selector) << 16n) | (BigInt(ist) << 32n) | (BigInt(rights & 0xff) << 40n) | (((offset >> 16n) & 0xffffn) << 48n), (offset >> 32n) & 0xffffffffn,
];

/** Tables into an image that begins at 0. */
export function longTables(image: Uint8Array, handler: number): void {
  const view = new DataView(image.buffer);
  for (let ring = 0; ring < 4; ring++) {
    put(view, GDT + LONG.code[ring]!, descriptor(0, 0xfffff, 0xa09b | (ring << 5)));
    put(view, GDT + LONG.data[ring]!, descriptor(0, 0xfffff, 0xc093 | (ring << 5)));
    if (ring < 3) put(view, LONG_TSS + 4 + 8 * ring, BigInt(STACKS[ring]!));
  }
  put(view, GDT + LONG.compat[0]!, descriptor(0, 0xfffff, 0xc09b));
  put(view, GDT + LONG.compat[1]!, descriptor(0, 0xfffff, 0xc0fb));
  put(view, GDT + LONG.tss, descriptor(LONG_TSS, 0x15f, 0x89));
  put(view, GDT + LONG.ldt, descriptor(LDT, 0x3f, 0x82));
  for (let n = 1; n < 8; n++) put(view, LONG_TSS + 28 + 8 * n, BigInt(0xdff8 - 0x10 * n));
  view.setUint16(LONG_TSS + 102, 0x68, true);
  for (let vector = 0; vector < 256; vector++) {
    const [low, high] = wideGate(LONG.code[0]!, BigInt(handler), vector === DONE || vector === 3 ? 0xee : 0x8e, 0);
    put(view, LONG_IDT + 16 * vector, low);
    put(view, LONG_IDT + 16 * vector + 8, high);
  }
  put(view, ROOT, BigInt(ROOT + 0x1000) | 7n);
  put(view, ROOT + 0x1000, BigInt(ROOT + 0x2000) | 7n);
  for (let n = 0; n < 2; n++) {
    for (let k = 0; k < 512; k++) put(view, TABLES + 0x1000 * n + 8 * k, BigInt((n * 512 + k) * 4096) | 7n);
    put(view, ROOT + 0x2000 + 8 * n, BigInt(TABLES + 0x1000 * n) | 3n);
    put(view, ROOT + 0x2000 + 8 * (n + 4), BigInt(TABLES + 0x1000 * n) | 7n);
  }
  put(view, ROOT + 0x2000 + 16, BigInt(WINDOW_TABLE) | 7n);
}

export function longKernel(cases: string, code: number): string {
  return `org ${code}
bits 16
  cli
  cld
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0xf000
  o32 lgdt [cs:gdtr - ${code}]
  o32 lidt [cs:idtr - ${code}]
  mov eax, 0x20
  mov cr4, eax
  mov eax, ${ROOT}
  mov cr3, eax
  mov ecx, 0xc0000080
  mov eax, 0x901
  xor edx, edx
  wrmsr
  mov eax, 0x80000031
  mov cr0, eax
  jmp dword ${LONG.code[0]}:main
gdtr: dw 0xbf
  dd ${GDT}
idtr: dw 0xfff
  dd ${LONG_IDT}
bits 64
main:
  mov ax, ${LONG.data[0]}
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, ${STACKS[0]}
  mov ax, ${LONG.tss}
  ltr ax
  mov ax, ${LONG.ldt}
  lldt ax
  mov ecx, 0xc0000084
  xor eax, eax
  xor edx, edx
  wrmsr
  jmp case_0
next: dq 0
align 16
handler:
  pop rax
  pop rbx
  pop rcx
  pop rdx
  pop rsi
  pop rdi
  mov rbp, cr2
  mov r8d, ds
  mov r9d, es
  mov r10d, fs
  mov r11d, gs
  mov r12d, ss
  mov si, ${LONG.data[0]}
  mov ds, si
  mov es, si
  mov fs, si
  mov gs, si
  mov ss, si
  mov esp, ${STACKS[0]}
  push 2
  popfq
  jmp [next]
align 16
${cases}
the_end:
  jmp the_end
`;
}
