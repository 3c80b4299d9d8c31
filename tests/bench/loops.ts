/**
 * The three loops of the processor's benchmark, as a guest of ours (64-bit, our assembler) and as the boot sector of a
 * 32-bit peer. Counts are what the loops execute in all.
 *
 *   arithmetic   7 instructions a turn, one load and one store to the same word
 *   random       a linear congruence picks the word to load, a branch that depends on it, a call and its return
 *   bytes        copies 4,096 bytes over and over, changing each
 */
export const LOOPS = ['arithmetic', 'random', 'bytes'] as const;

export const TURNS = { arithmetic: 20_000_000, random: 8_000_000, bytes: 4_000 } as const;
export const INSTRUCTIONS = { arithmetic: TURNS.arithmetic * 7, random: TURNS.random * 12.5, bytes: TURNS.bytes * (4096 * 7 + 5) } as const;

const BODY: Record<(typeof LOOPS)[number], string> = {
  arithmetic: `
    mov esi, 0x200000
    mov ecx, TURNS
again:
    add eax, [rsi]
    lea ebx, [rax+rcx*2+7]
    xor eax, ebx
    mov [rsi], eax
    rol eax, 3
    dec ecx
    jnz again
    hlt
`,
  random: `
    mov esi, 0x200000
    mov eax, 12345
    mov ecx, TURNS
again:
    imul eax, eax, 1103515245
    add eax, 12345
    mov ebx, eax
    shr ebx, 10
    and ebx, 0x3fffc
    add edx, [rsi+rbx]
    test edx, 1
    jz even
    inc edi
even:
    call leaf
    dec ecx
    jnz again
    hlt
leaf:
    add edx, 3
    ret
`,
  bytes: `
    mov ebp, TURNS
outer:
    mov esi, 0x200000
    mov edi, 0x210000
    mov ecx, 4096
again:
    mov al, [rsi]
    add al, cl
    mov [rdi], al
    inc esi
    inc edi
    dec ecx
    jnz again
    dec ebp
    jnz outer
    hlt
`,
};

export const guest = (loop: (typeof LOOPS)[number]): string => `bits 64\norg 0x100000\nTURNS equ ${TURNS[loop]}\n${BODY[loop]}`;

/** The same loops assembled for 32-bit protected mode behind a boot sector; it writes A, B, C, D to COM1 around them. */
const SECTOR = [
  'fa31c08ed88ec08ed0bc007ce4920c02e6920f0116e27c0f20c00c010f22c0ea247c080066b810008ed88ec08ed0bc00000900b041e88a000000be00002000b9111111110306',
  '8d5c480731d88906c1c0034975f0b042e869000000b839300000b92222222269c06d4ec641053930000089c3c1eb0a81e3fcff030003141ef7c201000000740147e834000000',
  '4975d6b043e82e000000bd33333333be00002000bf00002100b9001000008a0600c8880746474975f54d75e3b044e805000000f483c203c366baf803eec30000000000000000',
  'ffff0000009acf00ffff00000092cf001700ca7c',
].join('');

export function bootSector(): Uint8Array {
  const sector = new Uint8Array(1_474_560);
  for (let i = 0; i < SECTOR.length; i += 2) sector[i / 2] = Number.parseInt(SECTOR.slice(i, i + 2), 16);
  sector[510] = 0x55;
  sector[511] = 0xaa;
  const view = new DataView(sector.buffer);
  const counts = new Map([[0x11111111, TURNS.arithmetic], [0x22222222, TURNS.random], [0x33333333, TURNS.bytes]]);
  for (let i = 0; i < 506; i++) {
    const turns = counts.get(view.getUint32(i, true));
    if (turns !== undefined) view.setUint32(i, turns, true);
  }
  return sector;
}
