/**
 * The 32-bit worlds: tables as bytes, the kernel round the cases as NASM source. Every vector leads to one handler that takes
 * its frame into registers, shows segments and CR2, puts everything back and goes on behind the case, so that one image runs
 * many cases. Rings 1 to 3 run the same code through a user alias of the first 4 MiB where there is paging.
 */
export type Paging = 'none' | 'legacy' | 'pae';

export const ORIGIN = 0;
export const CODE = 0x10000;
export const GDT = 0x1000;
export const LDT = 0x1400;
export const IDT = 0x1800;
export const TSS = 0x2000;
export const DIRECTORY = 0x3000; // PAE: the four pointers, directories behind
export const TABLES = 0x8000; // of the first 4 MiB (PAE: two), then of the window
export const WINDOW = 0x400000; // linear; eight pages with entries of the case's own
export const FRAMES = 0x200000; // physical, behind the window
export const FRAME_BYTES = 0x10000;
export const ALIAS = 0x800000; // linear, the first 4 MiB for the user

/** Selectors, RPL 0. */
export const SELECTOR = { code: [0x08, 0x18, 0x28, 0x38], data: [0x10, 0x20, 0x30, 0x40], tss: 0x48, ldt: 0x50, slots: [0x80, 0x88, 0x90, 0x98, 0xa0, 0xa8, 0xb0, 0xb8] } as const;
export const GDT_LIMIT = 0xbf;
export const LDT_LIMIT = 0x3f;
export const VECTOR = 0x80; // its gate is the case's
export const DONE = 0xff; // int DONE ends a case
export const STACKS = [0xf000, 0xe000, 0xd000, 0xc800] as const;

export interface World {
  paging: Paging;
  alias: number;
  /** Bytes of an entry, and where the window's tables are. */
  entry: 4 | 8;
  windowTable: number;
  windowDirectory: number;
}

export function world(paging: Paging): World {
  if (paging === 'none') return { paging, alias: 0, entry: 4, windowTable: 0, windowDirectory: 0 };
  if (paging === 'legacy') return { paging, alias: ALIAS, entry: 4, windowTable: TABLES + 0x2000, windowDirectory: DIRECTORY + 4 };
  return { paging, alias: ALIAS, entry: 8, windowTable: TABLES + 0x2000, windowDirectory: DIRECTORY + 0x1000 + 16 };
}

export const descriptor = (base: number, limit: number, rights: number): bigint =>
  BigInt(limit & 0xffff) | (BigInt(base & 0xffffff) << 16n) | (BigInt(rights & 0xff) << 40n) | (BigInt((limit >>> 16) & 15) << 48n) | (BigInt((rights >> 12) & 15) << 52n) | (BigInt(base >>> 24) << 56n);
export const gate = (selector: number, offset: number, rights: number, count = 0): bigint =>
  BigInt(offset & 0xffff) | (BigInt(selector) << 16n) | (BigInt(count) << 32n) | (BigInt(rights & 0xff) << 40n) | (BigInt(offset >>> 16) << 48n);

/** Memory that ends a case when it is executed: INT DONE over and over. */
export function filled(bytes: number): Uint8Array {
  const out = new Uint8Array(bytes);
  for (let n = 0; n < bytes; n += 2) out.set([0xcd, DONE], n);
  return out;
}

function put(view: DataView, at: number, value: bigint): void { view.setBigUint64(at - ORIGIN, value, true); }

/** Tables into an image that begins at ORIGIN. `handler`: linear address of the common handler. */
export function tables(image: Uint8Array, w: World, handler: number): void {
  const view = new DataView(image.buffer);
  for (let ring = 0; ring < 4; ring++) {
    put(view, GDT + SELECTOR.code[ring]!, descriptor(0, 0xfffff, 0xc09b | (ring << 5)));
    put(view, GDT + SELECTOR.data[ring]!, descriptor(0, 0xfffff, 0xc093 | (ring << 5)));
    view.setUint32(TSS - ORIGIN + 4 + 8 * ring, STACKS[ring]!, true);
    view.setUint32(TSS - ORIGIN + 8 + 8 * ring, SELECTOR.data[ring]! | ring, true);
  }
  put(view, GDT + SELECTOR.tss, descriptor(TSS, 0x15f, 0x89));
  put(view, GDT + SELECTOR.ldt, descriptor(LDT, LDT_LIMIT, 0x82));
  view.setUint16(TSS - ORIGIN + 102, 0x68, true);
  for (let vector = 0; vector < 256; vector++) put(view, IDT + 8 * vector, gate(SELECTOR.code[0], handler, vector === DONE || vector === 3 || vector === 4 ? 0xee : 0x8e));
  if (w.paging !== 'none') pages(view, w);
}

/** The first 4 MiB twice: at 0 for the supervisor, at ALIAS for the user; the window's directory entry leads to its table. */
function pages(view: DataView, w: World): void {
  const set = (at: number, value: bigint): void => (w.entry === 8 ? put(view, at, value) : view.setUint32(at - ORIGIN, Number(value), true));
  const per = w.entry === 8 ? 512 : 1024;
  const directory = w.entry === 8 ? DIRECTORY + 0x1000 : DIRECTORY;
  if (w.entry === 8) for (let n = 0; n < 3; n++) put(view, DIRECTORY + 8 * n, BigInt(directory + 0x1000 * n) | 1n);
  const span = 1024 / per;
  for (let n = 0; n < span; n++) {
    for (let k = 0; k < per; k++) set(TABLES + 0x1000 * n + w.entry * k, BigInt((n * per + k) * 4096) | 7n);
    set(directory + w.entry * n, BigInt(TABLES + 0x1000 * n) | 3n);
    set(directory + w.entry * (n + 2 * span), BigInt(TABLES + 0x1000 * n) | 7n);
  }
  set(w.windowDirectory, BigInt(w.windowTable) | 7n);
}

/** The kernel in front of the cases; `cases` is code at label case_0 and so on, each with a label after_N. */
export function kernel(w: World, cases: string): string {
  const paged = w.paging === 'none' ? '' : `${w.paging === 'pae' ? 'mov eax, 0x20\n mov cr4, eax' : 'mov eax, 0x10\n mov cr4, eax'}
  mov eax, ${DIRECTORY}
  mov cr3, eax
  mov eax, cr0
  or eax, 0x80000000
  mov cr0, eax`;
  return `org ${CODE}
bits 16
  cli
  cld
  xor ax, ax
  mov ds, ax
  mov ss, ax
  mov sp, 0xf000
  o32 lgdt [cs:gdtr - ${CODE}]
  o32 lidt [cs:idtr - ${CODE}]
  mov eax, cr0
  and eax, 0x1fffffff
  or eax, 0x21
  mov cr0, eax
  jmp dword ${SELECTOR.code[0]}:main
gdtr: dw ${GDT_LIMIT}
  dd ${GDT}
idtr: dw 0x7ff
  dd ${IDT}
bits 32
main:
  mov ax, ${SELECTOR.data[0]}
  mov ds, ax
  mov es, ax
  mov ss, ax
  mov esp, ${STACKS[0]}
  ${paged}
  mov ax, ${SELECTOR.tss}
  ltr ax
  mov ax, ${SELECTOR.ldt}
  lldt ax
  jmp case_0
next: dd 0
align 16
handler:
  pop eax
  pop ebx
  pop ecx
  pop edx
  pop esi
  pop edi
  mov ebp, cr2
  mov eax, ds
  mov ebx, es
  mov ecx, fs
  mov edx, gs
  mov si, ${SELECTOR.data[0]}
  mov ds, si
  mov es, si
  mov fs, si
  mov gs, si
  mov ss, si
  mov esp, ${STACKS[0]}
  push dword 2
  popfd
  jmp [next]
align 16
${cases}
the_end:
  jmp the_end
`;
}
