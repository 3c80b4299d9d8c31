/**
 * Mistakes that people make in a hypervisor of their own, as changes to guests/own-vmx.asm, and what it says then: its last line, but for the one that it is off.
 * The same list is run on Debian's bochs by tests/differential/vmx.mjs.
 */
import { readFileSync } from 'node:fs';

export const SOURCE = readFileSync(new URL('../../../src/engine/hypervisor/guests/own-vmx.asm', import.meta.url), 'utf8');

export const GOOD = `vmx: present and allowed
vmx: on
vmx: launching
exit 10 CPUID
exit 18 VMCALL: hello from the guest
exit 30 OUT 47 port 80
exit 30 IN port 60
exit 48 EPT violation at 40000008, qualification 182
exit 12 HLT
vmx: off, exits: 6
`;

export interface Mistake {
  what: string;
  /** Text to be found once, and what stands there instead. */
  edit: readonly [from: string, to: string];
  says: RegExp;
  /** Why bochs does otherwise. */
  bochs?: string;
}

const mistake = (what: string, from: string, to: string, says: RegExp): Mistake => ({ what, edit: [from, to], says });
const before = (what: string, from: string, added: string, says: RegExp): Mistake => mistake(what, from, `${added}\n${from}`, says);
const LAUNCH = '    say t_launch\n';
const try_ = (instruction: string, name = 't_vmwrite'): string => `    ${instruction}\n    mov ebx, ${name}\n    call check`;

export const MISTAKES: readonly Mistake[] = [
  mistake('CR4.VMXE is forgotten', '    bts rax, CR4_VMXE\n', '', /^#UD 0 at 100[0-9a-f]{3}$/),
  mistake('CR0.NE is clear', '    bts rax, 5\n', '    btr rax, 5\n', /^#GP 0 at 100[0-9a-f]{3}$/),
  mistake('the VMXON region has no revision', '    mov [VMXON_AREA], eax\n', '', /^VMXON: VMfailInvalid$/),
  mistake('the VMXON region is not aligned', 'vmxon_area: dq VMXON_AREA', 'vmxon_area: dq VMXON_AREA + 8', /^VMXON: VMfailInvalid$/),
  mistake('the VMXON region lies beyond the physical-address width', 'vmxon_area: dq VMXON_AREA', 'vmxon_area: dq 1 << 52', /^VMXON: VMfailInvalid$/),
  mistake('the VMCS region has no revision', '    mov [VMCS_AREA], eax\n', '', /^VMPTRLD: VMfailInvalid$/),
  mistake('the VMCS is the VMXON region', 'vmcs_area:  dq VMCS_AREA', 'vmcs_area:  dq VMXON_AREA', /^VMCLEAR: VMfailInvalid$/),
  mistake('VMPTRLD is forgotten', '    vmptrld [rel vmcs_area]\n', '', /^VMWRITE: VMfailInvalid$/),
  before('VMXON twice', LAUNCH, try_('vmxon [rel vmxon_area]', 't_vmxon'), /^VMXON: VM-instruction error 15$/),
  before('VMCLEAR of the VMXON region', LAUNCH, try_('vmclear [rel vmxon_area]', 't_vmclear'), /^VMCLEAR: VM-instruction error 3$/),
  before('VMPTRLD of the VMXON region', LAUNCH, try_('vmptrld [rel vmxon_area]', 't_vmptrld'), /^VMPTRLD: VM-instruction error 10$/),
  before('VMPTRLD of a page without revision', LAUNCH, `${try_('vmptrld [rel elsewhere]', 't_vmptrld')}\n    jmp after\nelsewhere: dq 0x300000\nafter:`, /^VMPTRLD: VM-instruction error 11$/),
  before('VMPTRLD of an odd address', LAUNCH, `${try_('vmptrld [rel elsewhere]', 't_vmptrld')}\n    jmp after\nelsewhere: dq 0x300010\nafter:`, /^VMPTRLD: VM-instruction error 9$/),
  before('VMCLEAR of an odd address', LAUNCH, `${try_('vmclear [rel elsewhere]', 't_vmclear')}\n    jmp after\nelsewhere: dq 0x300010\nafter:`, /^VMCLEAR: VM-instruction error 2$/),
  before('a field that does not exist is read', LAUNCH, try_('mov edx, 0x6830\n    vmread rax, rdx'), /^VMWRITE: VM-instruction error 12$/),
  before('a field that does not exist is written', LAUNCH, try_('mov edx, 0x0030\n    vmwrite rdx, rax'), /^VMWRITE: VM-instruction error 12$/),
  before('INVEPT of a type that does not exist', LAUNCH, try_('mov eax, 3\n    invept rax, [rel ept_descriptor]', 't_invept'), /^INVEPT: VM-instruction error 28$/),
  before('INVVPID of VPID 0', LAUNCH, `${try_('mov eax, 1\n    invvpid rax, [rel elsewhere]', 't_invept')}\n    jmp after\nelsewhere: dq 0, 0\nafter:`, /^INVEPT: VM-instruction error 28$/),
  { ...before('VMCALL in root operation', LAUNCH, try_('vmcall'), /^VMWRITE: VM-instruction error 1$/), bochs: 'VMCALL in root operation is not implemented there, it stops' },
  mistake('VMRESUME comes first', '    vmlaunch\n', '    vmresume\n', /^VMLAUNCH: VM-instruction error 5$/),
  mistake('VMLAUNCH comes twice', '    vmresume\n', '    vmlaunch\n', /^VMRESUME: VM-instruction error 4$/),
  mistake('VMLAUNCH right after MOV SS', '    vmlaunch\n', '    mov eax, ss\n    mov ss, eax\n    vmlaunch\n', /^VMLAUNCH: VM-instruction error 26$/),
  mistake('pin-based controls are zero', '    field PIN, rax', '    field PIN, 0', /^VMLAUNCH: VM-instruction error 7$/),
  mistake('the EPT pointer has no memory type and length', 'EPT_PML4 | 0x1e\n\n', 'EPT_PML4\n\n', /^VMLAUNCH: VM-instruction error 7$/),
  mistake('host CS is null', 'dd 0x0c00, 0x10, 0x0c02, 0x08,', 'dd 0x0c00, 0x10, 0x0c02, 0x00,', /^VMLAUNCH: VM-instruction error 8$/),
  mistake('host TR is null', '0x0c0c, 0x18 ', '0x0c0c, 0 ', /^VMLAUNCH: VM-instruction error 8$/),
  mistake('host RSP and the rest are right, "host address-space size" is not', '0x00300200 ', '0x00300000 ', /^VMLAUNCH: VM-instruction error 8$/),
  mistake('the link pointer is zero', '    field LINK, -1\n', '', /^entry failed, reason 33, qualification 4$/),
  mistake('RFLAGS bit 1 is clear', '0x6820, 2 ', '0x6820, 0 ', /^entry failed, reason 33, qualification 0$/),
  mistake('TR is not busy', '0x4822, 0x8b ', '0x4822, 0x89 ', /^entry failed, reason 33, qualification 0$/),
  mistake('the code segment is of 32 bits and 64', '0x4816, 0xa09b,', '0x4816, 0xe09b,', /^entry failed, reason 33, qualification 0$/),
  mistake('the LDT is zero but usable', '0x4820, 0x10000,', '0x4820, 0,', /^entry failed, reason 33, qualification 0$/),
  mistake('the guest has no tables', '    field GUEST_CR3, rcx\n', '', /^exit 2 unexpected, qualification 0$/),
  mistake('an exception in the guest finds no gate', 'guest:\n', 'guest:\n    ud2\n', /^exit 2 unexpected, qualification 0$/),
];

/** The changed source; throws when the text is not there once. */
export function changed({ what, edit: [from, to] }: Mistake): string {
  if (SOURCE.split(from).length !== 2) throw new Error(`${what}: ${SOURCE.split(from).length - 1} places`);
  return SOURCE.replace(from, () => to);
}

/** What it says last, before that it is off. */
export const lastWords = (text: string): string => text.split('\n').filter((line) => line !== '' && !line.startsWith('vmx: off')).at(-1) ?? '';
