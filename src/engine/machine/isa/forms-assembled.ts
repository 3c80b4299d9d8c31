/**
 * Encodings that the assembler writes beside those of forms.ts, in the same notation: 16- and 32-bit code's own, far branches,
 * names that mean one of the others with a prefix. The processor's decoder knows them by the rows of table.ts.
 * `o32`, `a16` and `a32` name the size that an encoding needs, `legacy` and `long` the code that has it. Source: SDM 2; NASM's choice of forms.
 */
export const ASSEMBLED_ONLY: readonly string[] = [
  'push r32 | 50+r legacy', 'push m16 | o16 ff /6', 'push m32 | ff /6 legacy', 'push imm8 | 6a ib legacy', 'push imm8s | o16 6a ib', 'push imm16 | o16 68 iw', 'push imm8s | o32 6a ib legacy', 'push imm32 | o32 68 id legacy',
  'push es | 06 legacy', 'push cs | 0e legacy', 'push ss | 16 legacy', 'push ds | 1e legacy', 'pop es | 07 legacy', 'pop ss | 17 legacy', 'pop ds | 1f legacy',
  'pop r32 | 58+r legacy', 'pop m16 | o16 8f /0', 'pop m32 | 8f /0 legacy', 'inc r16 | o16 40+r legacy', 'inc r32 | 40+r legacy', 'dec r16 | o16 48+r legacy', 'dec r32 | 48+r legacy',
  'mov al, moffs | a0', 'mov ax, moffs | o16 a1', 'mov eax, moffs | a1', 'mov rax, moffs | REX.W a1', 'mov moffs, al | a2', 'mov moffs, ax | o16 a3', 'mov moffs, eax | a3', 'mov moffs, rax | REX.W a3',
  'mov r32, cr | neutral 0f 20 /r legacy', 'mov cr, r32 | neutral 0f 22 /r legacy', 'mov r32, dr | neutral 0f 21 /r legacy', 'mov dr, r32 | neutral 0f 23 /r legacy',
  'call r/m16 | o16 ff /2 legacy', 'call r/m32 | ff /2 legacy', 'jmp r/m16 | o16 ff /4 legacy', 'jmp r/m32 | ff /4 legacy',
  'call ptr | 9a legacy', 'jmp ptr | ea legacy', 'call far16 | o16 ff /3', 'call far32 | o32 ff /3', 'call far64 | REX.W ff /3', 'jmp far16 | o16 ff /5', 'jmp far32 | o32 ff /5', 'jmp far64 | REX.W ff /5',
  'retn | c3', 'retn imm16 | c2 iw', 'retw | o16 c3', 'retw imm16 | c2 iw', 'retd | o32 c3 legacy', 'retd imm16 | o32 c2 iw legacy', 'retq | c3 long', 'retq imm16 | c2 iw long', 'retf | cb', 'retf imm16 | ca iw', 'retfw | o16 cb', 'retfw imm16 | o16 ca iw',
  'retfd | o32 cb', 'retfd imm16 | o32 ca iw', 'retfq | REX.W cb', 'retfq imm16 | REX.W ca iw', 'iretw | o16 cf', 'pusha | 60 legacy', 'pushaw | o16 60 legacy', 'pushad | o32 60 legacy', 'popa | 61 legacy', 'popaw | o16 61 legacy', 'popad | o32 61 legacy',
  'pushfw | o16 9c', 'pushfd | o32 9c legacy', 'popfw | o16 9d', 'popfd | o32 9d legacy', 'jcxz rel8 | a16 e3 cb legacy', 'jecxz rel8 | a32 e3 cb',
  ...[['loop', 'e2'], ['loope', 'e1'], ['loopz', 'e1'], ['loopne', 'e0'], ['loopnz', 'e0']].flatMap(([name, code]) => [`${name} rel8, cx | a16 ${code} cb legacy`, `${name} rel8, ecx | a32 ${code} cb`, `${name} rel8, rcx | ${code} cb long`]),
  'daa | 27 legacy', 'das | 2f legacy', 'aaa | 37 legacy', 'aas | 3f legacy', 'aam | d4 0a legacy', 'aam imm8 | d4 ib legacy', 'aad | d5 0a legacy', 'aad imm8 | d5 ib legacy', 'salc | d6 legacy', 'into | ce legacy',
  'bound r16, m | o16 62 /r legacy', 'bound r32, m | 62 /r legacy', 'arpl r/m16, r16 | neutral 63 /r legacy', 'les r16, m | o16 c4 /r legacy', 'les r32, m | c4 /r legacy', 'lds r16, m | o16 c5 /r legacy', 'lds r32, m | c5 /r legacy',
  ...[['lss', 'b2'], ['lfs', 'b4'], ['lgs', 'b5']].flatMap(([name, code]) => [`${name} r16, m | o16 0f ${code} /r`, `${name} r32, m | 0f ${code} /r`, `${name} r64, m | REX.W 0f ${code} /r`]),
  'nop r/m16 | o16 0f 1f /0', 'nop r/m64 | REX.W 0f 1f /0', 'cmpxchg8b m64 | 0f c7 /1', 'cmpxchg16b m128 | REX.W 0f c7 /1', 'finit | 9b db e3', 'fclex | 9b db e2', 'icebp | f1', 'xlat | d7', 'wait | 9b', 'pushfq | 9c long', 'popfq | 9d long', 'popcnt r16, r/m16 | f3 o16 0f b8 /r',
  'invept r32, m | neutral 66 0f 38 80 /r legacy', 'invvpid r32, m | neutral 66 0f 38 81 /r legacy', 'invpcid r32, m | neutral 66 0f 38 82 /r legacy', 'vmread r/m32, r32 | neutral 0f 78 /r legacy', 'vmwrite r32, r/m32 | neutral 0f 79 /r legacy',
];
